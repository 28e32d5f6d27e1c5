"""`!feedback` and `!correct`: how people found an answer. All of it waits for `!review`.

A vote is once per person and can be changed; so are words, and a correction. What should have been said may
be learned, so a correction is taken only where what people hand over may be learned (`trust` has the rule).
"""

from typing import Any

from pydantic import Field

from chorus.common.contracts.feedback import Opinion, ReplyRecord, Vote
from chorus.common.contracts.names import job_id
from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput, NotFound
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.keeping import refuse_opted_out
from chorus.gateway.commands.parsing import Parameters, unquoted
from chorus.gateway.commands.phrases import in_line
from chorus.gateway.commands.replies import Reply, Text
from chorus.gateway.commands.trust import basis
from chorus.gateway.commands.which import ReplyParameters, meant, perhaps_named

LONGEST_WORDS, LONGEST_CORRECTION = 4000, 8000  # characters, as the contract has it
VOTES: dict[str, Vote] = {"up": "up", "👍": "up", "+1": "up", "down": "down", "👎": "down", "-1": "down"}
SIGNS: dict[Vote, str] = {"up": "👍", "down": "👎"}


class FeedbackParameters(ReplyParameters):
    """What `!feedback` takes."""

    text: str = Field(
        min_length=1, max_length=LONGEST_WORDS, description="`up`, `down`, or what you think, in words"
    )
    undo: bool = Field(default=False, description="take that vote back")


class Correct(Parameters):
    """What `!correct` takes."""

    text: str = Field(
        description="the message's id or link, if you do not reply to it, and the better answer"
    )


async def feedback(ctx: Context, asked: FeedbackParameters) -> Reply:
    """Note a vote, or words; or take a vote back."""
    record = await meant(ctx, asked.reply)
    vote = VOTES.get(asked.text.strip().lower())
    if asked.undo:
        return await _taken_back(ctx, await _kept(ctx, record), vote)
    if vote is None:
        await _noted(ctx, record, words=asked.text)
        return Text("Thank you for your feedback. We will use it to improve the model.")
    await _noted(ctx, await _kept(ctx, record), vote=vote)
    return Text(f"Noted: {SIGNS[vote]}. Thank you.")


async def correct(ctx: Context, asked: Correct) -> Reply:
    """Note what should have been said."""
    record, text = await _which(ctx, asked.text)
    record = await _kept(ctx, record)
    if not text or len(text) > LONGEST_CORRECTION:
        raise InvalidInput(
            f"What should it have said? `!correct {record.message} We open at eight.`, up to "
            f"{LONGEST_CORRECTION:,} characters.",
            code="no_correction",
            param="text",
        )
    await basis(ctx, "submitted")
    await _noted(ctx, record, correction=text)
    said = in_line(text)
    approved = "Once it is approved (!review), it can be learned."
    return Text(f"Correction received: {said}\n{approved}", quoted=said)


async def _which(ctx: Context, text: str) -> tuple[ReplyRecord | None, str]:
    """The answer that is meant, and the words that are left."""
    first, rest = [*text.split(maxsplit=1), "", ""][:2]
    if (record := await perhaps_named(ctx, first)) is not None:
        return record, unquoted(rest.strip())
    return await meant(ctx, None), text.strip()


async def _kept(ctx: Context, record: ReplyRecord | None) -> ReplyRecord:
    """The answer, if it is kept. Raises `InvalidInput` where there is none, `NotFound` where it is not."""
    if record is None:
        raise InvalidInput(
            "Nothing was answered here yet. Reply to an answer of mine, or name its message: `reply=ID`.",
            code="nothing_answered",
            param="reply",
        )
    if await ctx.chorus.replies.find(ctx.guild, record.message) is None:
        raise NotFound(
            "That answer is not kept, so nothing can be learned of it: this server keeps none, or somebody "
            "whose words it was asked with is opted out (`!privacy`).",
            code="reply_not_kept",
            param="reply",
        )
    return record


async def _noted(ctx: Context, record: ReplyRecord | None, **said: Any) -> None:
    """Add to what this person says of the answer, or of none in particular."""
    await refuse_opted_out(ctx, ctx.user)
    new = _opinion(ctx, record)

    def changed(old: Opinion) -> Opinion:
        typed = old.correction is not None and "correction" not in said  # and stays so, whatever is pressed
        via = old.via if typed else new.via
        return old.model_copy(update={**said, "at": new.at, "via": via, "state": "waiting"})

    await ctx.chorus.replies.judge(new, changed)


async def _taken_back(ctx: Context, record: ReplyRecord, vote: Vote | None) -> Reply:
    """Another vote, which was given after it, stays."""
    if vote is None:
        raise InvalidInput(
            "Only a vote can be taken back: `!feedback up undo=yes`.", code="not_a_vote", param="undo"
        )
    new = _opinion(ctx, record)
    changes = {"vote": None, "at": new.at, "state": "waiting"}

    def without(old: Opinion) -> Opinion:
        return old.model_copy(update=changes) if old.vote == vote else old

    await ctx.chorus.replies.judge(new, without)
    return Text(f"Taken back: {SIGNS[vote]}.")


def _opinion(ctx: Context, record: ReplyRecord | None) -> Opinion:
    """What this person says of the answer now, before they have said anything."""
    return Opinion(
        guild=ctx.guild,
        person=record.person if record else ctx.user,
        channel=record.channel if record else ctx.room,
        # Of words about no answer: the same message again is the same.
        message=record.message if record else job_id(ctx.guild, ctx.key),
        by=ctx.user,
        via=ctx.trust.via,
        at=now(),
    )
