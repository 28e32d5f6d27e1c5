"""What was wrong is kept for study, by the rule for words that are learned from: they may be, some day."""

from collections.abc import Iterable

from chorus.common.contracts.datasets import Way
from chorus.common.contracts.feedback import WRONG_KEPT, Prediction, TestRecord
from chorus.common.contracts.names import job_id
from chorus.common.contracts.wire import MAX_MESSAGE_BYTES, now
from chorus.common.errors import ChorusError, NotPermitted
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.trust import basis
from chorus.gateway.commands.verdict import Verdict

ROOM = MAX_MESSAGE_BYTES * 3 // 4  # bytes of wrong predictions in one record


async def kept(ctx: Context, verdict: Verdict, way: Way) -> str:
    """Keep what was wrong or failed; returns what to say of that, also where it cannot be kept."""
    if not verdict.wrong:
        return ""
    try:
        await basis(ctx, way)
        await refuse_opted_out(ctx, ctx.user)
        await refuse_stale(ctx, verdict.model)
        record = _record(ctx, verdict)
        await ctx.chorus.feedback.keep(record)
    except ChorusError as error:
        return f"What was wrong is not kept. {error.message}"
    count = len(record.wrong)
    left_out = f" ({len(verdict.wrong) - count} more did not fit)" if count < len(verdict.wrong) else ""
    return f"{count} wrong or failed {'is' if count == 1 else 'are'} kept for 30 days{left_out}: !errors"


async def refuse_opted_out(ctx: Context, person: str) -> None:
    """Raises `NotPermitted` where a person, mostly whoever asks, wants nothing of theirs to be kept."""
    if await opted_out(ctx, [person]):
        raise NotPermitted("You are opted out, so nothing of yours is kept: `!privacy`.", code="opted_out")


async def opted_out(ctx: Context, people: Iterable[str]) -> set[str]:
    """Those of them who want nothing of theirs to be kept, or shown."""
    records = {person: await ctx.chorus.privacy.record(ctx.guild, person) for person in set(people)}
    return {person for person, record in records.items() if record is not None and record.state == "out"}


async def refuse_stale(ctx: Context, model: str) -> None:
    """Raises `NotPermitted` for a model that learned what was deleted since: it may say it yet."""
    if "@" in model and (await ctx.chorus.models.find(ctx.guild, model)).stale is not None:
        raise NotPermitted(f"{model} learned words that were deleted since.", code="model_withdrawn")


def _record(ctx: Context, verdict: Verdict) -> TestRecord:
    return TestRecord(
        guild=ctx.guild,
        person=ctx.user,
        id=job_id(ctx.guild, ctx.key),  # the same message again is the same test
        model=verdict.model,
        at=now(),
        asked=len(verdict.predictions),
        judged=verdict.judged,
        right=verdict.right,
        failed=len(verdict.predictions) - len(verdict.answered),
        wrong=_that_fit(verdict.wrong),
    )


def _that_fit(wrong: list[Prediction]) -> list[Prediction]:
    """As many of the first ones as a record can hold."""
    fit: list[Prediction] = []
    size = 0
    for one in wrong[:WRONG_KEPT]:
        size += len(one.model_dump_json().encode())
        if size > ROOM:
            break
        fit.append(one)
    return fit
