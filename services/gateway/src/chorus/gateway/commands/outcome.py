"""How a training ended: its result in words, the loss as a curve, and replies before and after."""

import asyncio
from collections.abc import Iterable

from chorus.common.contracts.models import Sample, Samples
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.training import JobRecord, JobResult, JobState
from chorus.common.errors import ChorusError
from chorus.gateway.commands.context import Chorus
from chorus.gateway.commands.curve import losses_of, picture
from chorus.gateway.commands.figures import measured
from chorus.gateway.commands.phrases import in_line
from chorus.gateway.commands.replies import Button, Card, Picture, Problem, Text

SHOWN = 5  # replies
CELL = 40  # characters of one of them


def ended(record: JobRecord) -> Text | Problem:
    """How a job that has ended did so."""
    if record.result:
        return Text("\n".join(_in_words(record.result)))
    if record.error:
        return Problem(record.error.code, f"Training failed. {record.error.message}")
    told = f"Job {record.job.job} is {record.state}."
    return Text(told) if record.state is JobState.SUCCEEDED else Problem("cancelled", told)


def choice(record: JobRecord) -> tuple[Button, ...]:
    """Whether the new version is to answer, as buttons: where it does not, and nobody has decided yet."""
    result = record.result
    if result is None or result.in_use or record.declined_by is not None:
        return ()
    keep = Button("Keep the old one", f"!keep {record.job.job}")
    if _is_held_back(result):
        return Button("Use it all the same", f"!use {result.model} force=yes", "danger"), keep
    return Button("Use it", f"!use {result.model}", "good"), keep


async def shown_below(chorus: Chorus, record: JobRecord) -> tuple[Card, ...]:
    """What was measured, with the loss curve; and replies side by side."""
    if record.result is None:
        return ()
    curve, missing = await curve_of(chorus, record)
    rows = [(benchmark.name, *measured(benchmark)) for benchmark in record.benchmarks]
    cards = []
    if rows or curve:
        widest = max((len(row) for row in rows), default=0)
        cards.append(Card("What was measured", ("",) * widest, rows, missing, curve))
    if record.result.samples:
        cards.append(await _replies(chorus, record.result.samples))
    return tuple(cards)


async def curve_of(chorus: Chorus, record: JobRecord) -> tuple[Picture | None, str]:
    """The loss curve of a job that has succeeded, or why there is none."""
    result = record.result
    if result is None or result.losses is None:
        return None, ""
    try:
        losses = losses_of(await chorus.objects.download(result.losses).read())
    except ChorusError as error:  # deleted with the model, say: the rest is told all the same
        return None, f"The loss curve cannot be shown. {error.message}"
    return await asyncio.to_thread(picture, losses, result.model.replace("@", "-")), ""  # takes 10 ms


async def _replies(chorus: Chorus, ref: ObjectRef) -> Card:
    columns = ("question", "before (AI)", "after (AI)", "what a person wrote")
    try:
        shown = Samples.model_validate_json(await chorus.objects.download(ref).read()).samples
    except ChorusError as error:
        return Card("Replies", columns, [], f"They cannot be shown. {error.message}")
    footer = "Question · before (AI) · after (AI) · what a person wrote."
    return Card("Replies", columns, [_side_by_side(sample) for sample in shown[:SHOWN]], footer, quotes=True)


def _side_by_side(sample: Sample) -> tuple[str, ...]:
    question = sample.messages[-1].content if sample.messages else ""
    texts = (question, sample.before, sample.after, sample.expected or "")
    return tuple(in_line(text, CELL) for text in texts)


def _in_words(result: JobResult) -> Iterable[str]:
    where = "on examples kept aside" if result.held_out else "on the examples"
    held_back = _is_held_back(result)
    told = (
        f"✓ {result.model} is trained: loss {where} {result.loss_before:.2f} → {result.loss_after:.2f}, "
        f"{result.steps} steps in {result.seconds:.0f} s."
    )
    if result.in_use:
        yield f"{told} It answers now."
    else:
        yield told if held_back else f"{told} To have it answer: !use {result.model}"
    if result.ended:
        yield f"It ended early: {result.ended.rstrip('.')}."
    if result.parity and held_back:
        yield (
            f"It is held back, for it does not answer as it was taught: {result.parity.reason.rstrip('.')}. "
            f"To have it answer all the same: !use {result.model} force=yes"
        )


def _is_held_back(result: JobResult) -> bool:
    """Whether it does not answer as it was taught."""
    return result.parity is not None and result.parity.verdict == "differs"
