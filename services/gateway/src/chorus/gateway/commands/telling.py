"""How an import and a training are told while they go on.

The same words in every front-end: each of them renders moments.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

from chorus.common.contracts.datasets import Building, Dataset
from chorus.common.contracts.models import Benchmark
from chorus.common.contracts.training import JobEvent, JobRecord, JobState
from chorus.common.errors import ChorusError
from chorus.gateway.commands.context import Chorus
from chorus.gateway.commands.figures import figures, measured
from chorus.gateway.commands.outcome import choice, ended, shown_below
from chorus.gateway.commands.phrases import counted
from chorus.gateway.commands.replies import Button, Moment, Problem, Text


def summary(dataset: Dataset) -> str:
    """What a dataset holds, in a line, and what to know of it in further ones."""
    card = dataset.card
    dropped = "".join(f", {count:,} dropped ({reason})" for reason, count in card.dropped.items())
    warnings = "".join(f"\nNote: {warning}" for warning in card.warnings)
    return f"Dataset {dataset.id}: {counted(card.examples, 'example')} of {card.format}{dropped}.{warnings}"


def of_build(step: Building) -> Moment:
    """How far a build is."""
    share = (f"{min(1.0, step.done / step.total):.0%}",) if step.total else ()
    return Moment(stage=step.stage, done=step.done, total=step.total, figures=share)


async def ended_in_words(moments: AsyncIterator[Moment]) -> AsyncIterator[Moment]:
    """The moments; what goes wrong on the way is their outcome, in the place where all was told."""
    try:
        async for moment in moments:
            yield moment
    except ChorusError as error:
        yield Moment(outcome=Problem(error.code, error.message))


async def course(
    chorus: Chorus, guild: str, job: str, known: Iterable[Benchmark] = ()
) -> AsyncIterator[Moment]:
    """A job as it goes on: what was measured and what was noticed as lines that stay, and how far it is.

    It is watched until it ends or is paused. Benchmarks that are `known` are not told again.
    """
    told = {benchmark.name for benchmark in known}
    buttons: tuple[Button, ...] = ()
    async with aclosing(chorus.jobs.follow(guild, job)) as news:
        async for record in news:
            if isinstance(record, JobEvent):
                yield Moment(note=f"Note: {record.message}", job=job, buttons=buttons)
                continue
            buttons = controls(record)
            for benchmark in record.benchmarks:
                if benchmark.name not in told:
                    told.add(benchmark.name)
                    note = f"{benchmark.name}: {', '.join(measured(benchmark))}"
                    yield Moment(note=note, job=job, buttons=buttons)
            if record.state.final:
                below = await shown_below(chorus, record)
                yield Moment(outcome=ended(record), more=below, job=job, buttons=choice(record))
            elif record.state is JobState.PAUSED:
                paused = Text(f"Job {job} is paused. To go on: !resume {job}")
                yield Moment(outcome=paused, job=job, buttons=buttons)
                return
            else:
                yield of_job(record)


def of_job(record: JobRecord) -> Moment:
    """How far a job is that has not ended."""
    progress = record.progress
    return Moment(
        stage=record.stage or str(record.state),
        done=progress.step if progress else 0,
        total=progress.steps if progress else 0,
        figures=tuple(figures(progress)) if progress else (),
        job=record.job.job,
        buttons=controls(record),
    )


def controls(record: JobRecord) -> tuple[Button, ...]:
    """What can be done about a job that has not ended, as buttons."""
    job = record.job.job
    cancel = Button("Cancel", f"!cancel {job}", "danger")
    if record.committed:
        return ()  # too late
    match record.state:
        case JobState.QUEUED | JobState.RUNNING:
            return Button("Pause", f"!pause {job}"), cancel
        case JobState.PAUSED:
            return Button("Resume", f"!resume {job}", "good"), cancel
        case JobState.PAUSING:
            return (cancel,)
        case _:
            return ()
