"""`!job`, `!jobs`, `!logs`, `!cancel`, `!pause`, `!resume`, `!keep`: what a training became, or shall."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import Field

from chorus.common.contracts.names import JOB_ID
from chorus.common.contracts.training import JobEvent, JobRecord, JobState
from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.figures import estimated, figures, measured
from chorus.gateway.commands.outcome import curve_of
from chorus.gateway.commands.parsing import NoParameters, Parameters
from chorus.gateway.commands.phrases import minute
from chorus.gateway.commands.replies import Card, Progress, Reply, Text
from chorus.gateway.commands.rights import require
from chorus.gateway.commands.telling import course, ended_in_words

SHOWN = 20  # jobs
SILENT = 30.0  # seconds; a worker writes every ten, but for long stages


class OneJob(Parameters):
    """What commands take that are about one job."""

    job: str = Field(description="a job's id")


class Logs(OneJob):
    """What `!logs` takes."""

    count: int = Field(default=40, ge=1, le=1000, description="how many lines, the newest ones")


async def job(ctx: Context, asked: OneJob) -> Reply:
    """Say all that is known of one job."""
    record = await ctx.chorus.jobs.get(ctx.guild, _id(asked.job))
    curve, missing = await curve_of(ctx.chorus, record)
    rows = [row for row in (*_course(record), *_wished(record)) if row[1]]
    footer = missing or f"What was said of it: !logs {record.job.job}"
    return Card(f"Job {record.job.job}", ("", ""), rows, footer, curve)


async def jobs(ctx: Context, _: NoParameters) -> Reply:
    """List the guild's jobs, newest first."""
    records = (await ctx.chorus.jobs.recent(ctx.guild))[:SHOWN]
    if not records:
        return Text("No jobs yet. Start one with !train.")
    rows = [(r.job.job, r.job.model, r.job.dataset, minute(r.job.submitted_at), told(r)) for r in records]
    return Card("Jobs", ("job", "model", "dataset", "submitted", "state"), rows, "More: !job ID")


async def logs(ctx: Context, asked: Logs) -> Reply:
    """List what was said while a job ran, oldest first."""
    name = _id(asked.job)
    events = [event for event in await ctx.chorus.jobs.logs(ctx.guild, name) if event.type == "message"]
    if not events:
        return Text(f"Nothing has been said of job {name}, or longer ago than a week. See !job {name}")
    left_out = len(events) - asked.count
    footer = f"{left_out} earlier lines: !logs {name} count={len(events)}" if left_out > 0 else ""
    rows = [_line(event) for event in events[-asked.count :]]
    return Card(f"Job {name}", ("UTC", "", ""), rows, footer)


async def cancel(ctx: Context, asked: OneJob) -> Reply:
    """Stop a job that waits, runs, or is paused."""
    record = await ctx.chorus.jobs.cancel(ctx.guild, await _theirs(ctx, asked))
    if record.state is JobState.CANCELLED:
        return Text(f"Job {record.job.job} is cancelled.")
    return Text(f"Job {record.job.job} is being cancelled.")


async def pause(ctx: Context, asked: OneJob) -> Reply:
    """Stop a job, and keep what it has learned so far."""
    name = (await ctx.chorus.jobs.pause(ctx.guild, await _theirs(ctx, asked))).job.job
    return Text(f"Job {name} stops, and keeps what it has learned. To go on: !resume {name}")


async def resume(ctx: Context, asked: OneJob) -> Reply:
    """Let a paused job go on, and watch it."""
    record = await ctx.chorus.jobs.resume(ctx.guild, await _theirs(ctx, asked))
    name = record.job.job
    moments = course(ctx.chorus, ctx.guild, name, record.benchmarks)
    return Progress(f"Job {name} goes on.", ended_in_words(moments), job=name)


async def keep(ctx: Context, asked: OneJob) -> Reply:
    """Leave the answering to whoever does it now, and note who has decided so."""
    record = await ctx.chorus.jobs.decline(ctx.guild, _id(asked.job), ctx.user)
    voice = await ctx.chorus.models.voice(ctx.guild)
    old = f"{voice}@{(await ctx.chorus.models.find(ctx.guild, voice)).tag}" if voice else "The base model"
    new = record.result.model if record.result else record.job.model
    return Text(f"{old} goes on answering. To change that: !use {new}", settles=True)


def told(record: JobRecord) -> str:
    """A job's state in one line."""
    if record.error:
        return f"{record.state}: {record.error.message} [{record.error.code}]"
    if record.result:
        return (
            f"{record.state}: {record.result.model}, loss {record.result.loss_before:.2f} → "
            f"{record.result.loss_after:.2f} in {record.result.seconds:.0f} s"
        )
    if record.state is JobState.RUNNING and (silent := (now() - record.updated_at).total_seconds()) > SILENT:
        return f"{record.state}: not heard of for {silent:.0f} s; if its trainer is gone, another one goes on"
    if record.state is JobState.RUNNING and record.progress:
        return f"{record.state}: step {record.progress.step} of {record.progress.steps}"
    waits = record.state in {JobState.QUEUED, JobState.RUNNING}
    return f"{record.state}: {record.stage}" if record.stage and waits else str(record.state)


def _wished(record: JobRecord) -> Iterable[tuple[str, str]]:
    """What was asked for."""
    job = record.job
    wishes = job.hyperparameters.model_dump(exclude_defaults=True)
    yield "model", job.model
    yield "learns from", job.dataset
    yield "goes on from", job.parent.model if job.parent else ""
    yield "base model", job.base or ""
    yield "method", job.hyperparameters.method
    yield "chosen", ", ".join(f"{name}={value}" for name, value in wishes.items() if name != "method")
    yield "submitted", f"{minute(job.submitted_at)}, by {job.submitted_by}"
    yield "estimate", estimated(record.estimate) if record.estimate else ""


def _course(record: JobRecord) -> Iterable[tuple[str, str]]:
    """What became of it."""
    yield "state", told(record)
    goes_on = not record.state.final
    yield "progress", ", ".join(figures(record.progress)) if goes_on and record.progress else ""
    yield "attempt", f"{record.attempt}" if record.attempt > 1 else ""
    for benchmark in record.benchmarks:
        yield benchmark.name, ", ".join(measured(benchmark))
    yield "checkpoint", f"of step {record.checkpoint.step}" if goes_on and record.checkpoint else ""
    if result := record.result:
        decided = f"not yet, {record.declined_by} has kept the old one" if record.declined_by else "not yet"
        yield "answers", "now" if result.in_use else f"{decided}: !use {result.model}"
        yield "ended early", result.ended or ""
        yield "as served", f"{result.parity.verdict}: {result.parity.reason}" if result.parity else ""


def _line(event: JobEvent) -> tuple[str, ...]:
    at = datetime.fromtimestamp(event.created_at, UTC)
    level = "" if event.level == "info" else event.level
    return (f"{at:%Y-%m-%d %H:%M:%S}", level, event.message)


async def _theirs(ctx: Context, asked: OneJob) -> str:
    """The id of a job that the person may stop: their own, or any for who may train in the whole server."""
    record = await ctx.chorus.jobs.get(ctx.guild, _id(asked.job))
    if record.job.submitted_by != ctx.user:
        await require(ctx, "train", "Another person's training")
    return record.job.job


def _id(text: str) -> str:
    """A job's id as people paste it."""
    job = text.strip().strip("`.").lower()
    if re.fullmatch(JOB_ID, job) is None:
        raise InvalidInput(
            f"{text!r} is not a job's id. It has ten of a to z and 2 to 7; !jobs lists them.",
            code="invalid_job_id",
            param="job",
        )
    return job
