"""How much each person may have: questions in an hour, trainings in a day, as the guild has chosen.

What counts is exact: at no moment lie more than that many in the hour, or the day, before it.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from chorus.common.contracts.guild import Counted
from chorus.common.contracts.quotas import Used
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError, QueueFull
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.rights import settings_of

WITHIN: dict[Counted, timedelta] = {"questions": timedelta(hours=1), "trainings": timedelta(days=1)}
PER: dict[Counted, str] = {"questions": "an hour", "trainings": "a day"}


async def spend(ctx: Context, what: Counted, count: int = 1) -> None:
    """Count so many more. Raises `QueueFull`, with when it is worth asking again, over the person's limit.

    Who manages the server on Discord, and everybody in a place of their own, has none.
    """
    async with spending(ctx, what, count):
        pass


async def refuse_over_quota(ctx: Context, what: Counted) -> None:
    """Raise `QueueFull` where a person could not have one more now. Nothing is counted."""
    limit = await _limit(ctx, what)
    if limit is not None:

        def unchanged(used: Used) -> Used:
            counted(used, what, 1, limit, now())
            return used

        await ctx.chorus.quotas.change(ctx.guild, ctx.user, what, unchanged)


@asynccontextmanager
async def spending(ctx: Context, what: Counted, count: int = 1) -> AsyncGenerator[None]:
    """Count so many more, as `spend` does, and give them back where what is done with them is refused."""
    limit = await _limit(ctx, what)
    if limit is None or count == 0:
        yield
        return
    at = now()
    await ctx.chorus.quotas.change(
        ctx.guild, ctx.user, what, lambda used: counted(used, what, count, limit, at)
    )
    try:
        yield
    except ChorusError:
        await ctx.chorus.quotas.change(ctx.guild, ctx.user, what, lambda used: _without(used, count, at))
        raise


async def _limit(ctx: Context, what: Counted) -> int | None:
    limits = (await settings_of(ctx)).quotas.get(what)
    return limits.of(ctx.user, ctx.roles) if limits and not ctx.admin else None


def counted(used: Used, what: Counted, count: int, limit: int, at: datetime) -> Used:
    """What was had that still counts, and so many more at this moment. Raises `QueueFull` over the limit."""
    recent = sorted(_recent(used.at, at - WITHIN[what]))
    too_many = len(recent) + count - limit
    if too_many <= 0:
        return Used(at=[*recent, *[at] * count])
    told = f"Your quota here is {limit} {what if limit != 1 else what[:-1]} {PER[what]}"
    if count > limit:
        raise QueueFull(f"{told}, and this would be {count}.", code="quota_used")
    seconds = (recent[too_many - 1] + WITHIN[what] - at).total_seconds()
    raise QueueFull(
        f"{told}, and you have had {len(recent)}. Try again in {_in_words(seconds)}.",
        code="quota_used",
        retry_after=seconds,
    )


def _without(used: Used, count: int, at: datetime) -> Used:
    """What was had, but for so many of those at one moment."""
    others = [time for time in used.at if time != at]
    return Used(at=[*others, *[at] * (len(used.at) - len(others) - count)])


def _recent(times: Iterable[datetime], since: datetime) -> Iterable[datetime]:
    return (time for time in times if time > since)


def _in_words(seconds: float) -> str:
    """A time to wait, rounded up."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds > 2 * unit:
            return f"{-int(-seconds // unit)} {name}"
    return f"{-int(-seconds // 1)} s"
