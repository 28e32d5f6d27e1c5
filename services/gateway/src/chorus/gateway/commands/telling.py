"""How an import and a training are told while they go on, and when they have ended.

The same words in every front-end: each of them renders moments.
"""

from collections.abc import AsyncIterator

from chorus.common.contracts.datasets import Building, Dataset
from chorus.common.contracts.training import JobRecord, JobState
from chorus.common.errors import ChorusError
from chorus.gateway.commands.replies import Moment, Problem, Text


def summary(dataset: Dataset) -> str:
    """What a dataset holds, in a line, and what to know of it in further ones."""
    card = dataset.card
    dropped = "".join(f", {count:,} dropped ({reason})" for reason, count in card.dropped.items())
    warnings = "".join(f"\nNote: {warning}" for warning in card.warnings)
    examples = "example" if card.examples == 1 else "examples"
    return f"Dataset {dataset.id}: {card.examples:,} {examples} of {card.format}{dropped}.{warnings}"


def of_build(step: Building) -> Moment:
    """How far a build is."""
    share = (f"{min(1.0, step.done / step.total):.0%}",) if step.total else ()
    return Moment(stage=step.stage, done=step.done, total=step.total, figures=share)


def of_job(record: JobRecord) -> Moment:
    """How far a job is, or how it ended."""
    if record.state.final:
        return Moment(outcome=_outcome(record))
    progress = record.progress
    return Moment(
        stage=record.stage or str(record.state),
        done=progress.step if progress else 0,
        total=progress.steps if progress else 0,
        figures=_figures(record),
        goes_on=True,
    )


async def ended_in_words(moments: AsyncIterator[Moment]) -> AsyncIterator[Moment]:
    """The moments; what goes wrong on the way is their outcome, in the place where all was told."""
    try:
        async for moment in moments:
            yield moment
    except ChorusError as error:
        yield Moment(outcome=Problem(error.code, error.message))


def _figures(record: JobRecord) -> tuple[str, ...]:
    """Steps, loss, speed, time left: what is known of them."""
    progress = record.progress
    if progress is None:
        return ()
    told = [f"step {progress.step}/{progress.steps}"]
    if progress.loss is not None:
        told.append(f"loss {progress.loss:.3f}")
    if progress.tokens_per_s is not None:
        told.append(f"{progress.tokens_per_s:,.0f} tokens/s")
    if progress.seconds_left is not None:
        minutes, seconds = divmod(round(progress.seconds_left), 60)
        told.append(f"{minutes}:{seconds:02d} left")
    return tuple(told)


def _outcome(record: JobRecord) -> Text | Problem:
    if record.result:
        result = record.result
        where = "on examples kept aside" if result.held_out else "on the examples"
        return Text(
            f"✓ {result.model} is trained: loss {where} "
            f"{result.loss_before:.2f} → {result.loss_after:.2f}, "
            f"{result.steps} steps in {result.seconds:.0f} s. "
            + ("It answers now." if result.in_use else f"To have it answer: !use {result.model}")
        )
    if record.error:
        return Problem(record.error.code, f"Training failed. {record.error.message}")
    ended = f"Job {record.job.job} is {record.state}."
    return Text(ended) if record.state is JobState.SUCCEEDED else Problem("cancelled", ended)
