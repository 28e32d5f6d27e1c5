"""`!job`, `!jobs`, `!cancel`: what became of a training."""

import re

from pydantic import Field

from chorus.common.contracts.names import JOB_ID
from chorus.common.contracts.training import JobRecord, JobState
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.replies import Card, Reply, Text

SHOWN = 20  # jobs


class OneJob(Parameters):
    """What `!job` and `!cancel` take."""

    job: str = Field(description="a job's id")


class NoParameters(Parameters):
    """For commands that take nothing."""


async def job(ctx: Context, asked: OneJob) -> Reply:
    """Say how far one job is, or how it ended."""
    record = await ctx.chorus.jobs.get(ctx.guild, _id(asked.job))
    return Text(f"Job {record.job.job} ({record.job.model} from {record.job.dataset}): {told(record)}")


async def jobs(ctx: Context, _: NoParameters) -> Reply:
    """List the guild's jobs, newest first."""
    records = (await ctx.chorus.jobs.recent(ctx.guild))[:SHOWN]
    if not records:
        return Text("No jobs yet. Start one with !train.")
    rows = [
        (r.job.job, r.job.model, r.job.dataset, f"{r.job.submitted_at:%Y-%m-%d %H:%M} UTC", told(r))
        for r in records
    ]
    return Card("Jobs", ("job", "model", "dataset", "submitted", "state"), rows)


async def cancel(ctx: Context, asked: OneJob) -> Reply:
    """Stop a job that waits or runs."""
    record = await ctx.chorus.jobs.cancel(ctx.guild, _id(asked.job))
    if record.state is JobState.CANCELLED:
        return Text(f"Job {record.job.job} is cancelled.")
    return Text(f"Job {record.job.job} is being cancelled.")


def told(record: JobRecord) -> str:
    """A job's state in one line."""
    if record.error:
        return f"{record.state}: {record.error.message} [{record.error.code}]"
    if record.result:
        return (
            f"{record.state}: {record.result.model}, loss {record.result.loss_before:.2f} → "
            f"{record.result.loss_after:.2f} in {record.result.seconds:.0f} s"
        )
    if record.state is JobState.RUNNING and record.progress:
        return f"{record.state}: step {record.progress.step} of {record.progress.steps}"
    return f"{record.state}: {record.stage}" if record.stage else str(record.state)


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
