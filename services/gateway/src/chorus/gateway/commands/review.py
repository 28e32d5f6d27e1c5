"""`!review`: what people said of answers, for those who manage the place to approve or to reject.

    !review                            what waits: corrections, votes, words
    !review 1234567890                 all of one, word for word
    !review approve 1234567890 …       what waits on these answers is to be learned
    !review reject all

What is approved goes into the dataset `feedback`, as one more version with all that was in it before:
`!train data=feedback` learns from it. In a server only what the reviewer was shown is approved, as it was
then: what has come or changed since waits on, and so does what is about an answer that is not kept any more.
What a model said that answers as a person would is not learned, for there it would be a person's words
without their label or their consent; what others have written in its place is.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from pydantic import Field

from chorus.common.contracts.datasets import Example
from chorus.common.contracts.feedback import Opinion
from chorus.common.contracts.names import Name, is_server
from chorus.common.errors import Conflict, InvalidInput, NotFound, in_short
from chorus.gateway.commands.adding import FEEDBACK, added, addition
from chorus.gateway.commands.asking import imitates
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.importing import imported
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.phrases import counted, in_a_row
from chorus.gateway.commands.preferences import examples, not_the_answer
from chorus.gateway.commands.replies import Moment, Progress, Reply, Text
from chorus.gateway.commands.reviewing import Waiting, listed, waiting, whole
from chorus.gateway.commands.sources import Steps
from chorus.gateway.commands.telling import ended_in_words
from chorus.gateway.commands.which import message_in

EVERYTHING = "all"
NAMED = 5  # ids in a sentence


class Review(Parameters):
    """What `!review` takes."""

    wish: str | None = Field(
        default=None,
        description="an id, to see all of it; or `approve` or `reject`, and which: ids, links, or `all`",
    )
    name: Name = Field(default=FEEDBACK, description="the dataset that gets what is approved")


@dataclass
class Chosen:
    """What is to be approved, and what of it waits on."""

    approved: list[Waiting] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    imitated: list[str] = field(default_factory=list)
    """Approved, but answered by a model that imitates a person."""

    @property
    def left(self) -> str:
        """What is not learned, and why; nothing if all of it is."""
        told: list[str] = []
        if self.unseen:
            told.append(
                f"{in_a_row(self.unseen, NAMED)}: this has come or changed since you were shown it. "
                "!review shows it."
            )
        if self.lost:
            told.append(
                f"{in_a_row(self.lost, NAMED)}: the answer is not kept any more, so nothing can be learned "
                "of it. !review reject takes it off the list."
            )
        left = "".join(f"\nNot approved: {each}" for each in told)
        if self.imitated:
            left += (
                f"\nNot learned: what was answered in {in_a_row(self.imitated, NAMED)}, for a model said it "
                "as a person would. Of such answers only corrections are learned."
            )
        return left


async def review(ctx: Context, asked: Review) -> Reply:
    """List what waits, show one, or decide."""
    found, hidden = await waiting(ctx)
    verb, *which = (asked.wish or "").split() or [""]
    match verb.lower():
        case "":
            return listed(ctx, found, hidden)
        case "approve":
            return await _approve(ctx, _chosen(ctx, found, which), asked.name)
        case "reject":
            chosen = _chosen(ctx, found, which)
            changed = await _decide(ctx, chosen, approve=False)
            rejected = counted(len(chosen), "answer")
            return Text(f"Rejected: {rejected}. Nothing is learned from it.{_changed(changed)}")
        case _:
            if which or not any(message_in(ctx, verb) in _messages(one) for one in found):
                raise _unknown_wish(verb)
            return whole(ctx, _chosen(ctx, found, [verb])[0])


def _unknown_wish(verb: str) -> InvalidInput:
    return InvalidInput(
        f"`{in_short(verb)}` is nothing that !review can do: it is `approve` or `reject`, with the "
        "ids of answers, or `all`; or the id of one that waits, to see all of it.",
        code="unknown_wish",
        param="wish",
    )


def _chosen(ctx: Context, found: Sequence[Waiting], which: Sequence[str]) -> list[Waiting]:
    """Those that are named. Raises `NotFound` for what does not wait, `InvalidInput` where none is named."""
    if [name.lower() for name in which] == [EVERYTHING]:
        which = [one.message for one in found]
    if not which:
        raise InvalidInput(
            "Which ones? Name their ids, as !review lists them, or say `all`."
            if found
            else "Nothing waits for a review.",
            code="nothing_to_review",
            param="wish",
        )
    by_message = {message: one for one in found for message in _messages(one)}
    wanted = {name: by_message.get(message_in(ctx, name) or "") for name in which}
    if unknown := [name for name, one in wanted.items() if one is None]:
        raise NotFound(
            f"Nothing waits on {', '.join(map(in_short, unknown[:3]))}. !review lists what does.",
            code="unknown_review",
            param="wish",
        )
    return list({one.message: one for one in wanted.values() if one}.values())


def _messages(one: Waiting) -> list[str]:
    """Ids by which it may be named: an answer may be shown in several messages."""
    return [one.message, *(one.reply.before if one.reply else [])]


async def _approve(ctx: Context, wanted: Sequence[Waiting], name: str) -> Reply:
    chosen = _approvable(ctx, wanted)
    if not chosen.approved:
        raise Conflict(chosen.left.strip(), code="review_first" if chosen.unseen else "reply_not_kept")
    made = [example for one in chosen.approved for example in await _examples(ctx, one, chosen)]
    if made:
        new = await addition(ctx, name, made, typed=any(map(_is_typed, chosen.approved)))
        steps = added(ctx, new)
        return Progress("", ended_in_words(_learned(ctx, chosen, steps)))
    changed = await _decide(ctx, chosen.approved, approve=True)
    return Text(
        f"Approved: {counted(len(chosen.approved), 'answer')}. There is nothing in it to learn: words alone "
        f"show no answer, nor do as many 👍 as 👎.{chosen.left}{_changed(changed)}"
    )


async def _examples(ctx: Context, one: Waiting, chosen: Chosen) -> list[Example]:
    """What can be learned of one; where it would be what an imitation said, that is noted in place of it."""
    if one.reply is None:
        return []
    made = examples(one.reply, one.opinions)
    if "@" not in one.reply.model or not await imitates(ctx, one.reply.model):  # the base is nobody
        return made
    of_people = not_the_answer(one.reply, made)
    if len(of_people) < len(made):
        chosen.imitated.append(one.message)
    return of_people


def _approvable(ctx: Context, wanted: Sequence[Waiting]) -> Chosen:
    """Of these what was shown as it is; where nobody else is, all of it."""
    chosen = Chosen()
    for one in wanted:
        if one.is_lost:
            chosen.lost.append(one.message)
            continue
        seen = [opinion for opinion in one.opinions if _is_seen(ctx, opinion)]
        if len(seen) < len(one.opinions):
            chosen.unseen.append(one.message)
        if seen:
            chosen.approved.append(replace(one, opinions=seen))
    return chosen


def _is_seen(ctx: Context, opinion: Opinion) -> bool:
    return not is_server(ctx.guild) or ctx.chorus.reviewed.has_seen(ctx.guild, ctx.user, opinion)


def _is_typed(one: Waiting) -> bool:
    """Whether words that would be learned came by messages."""
    corrections = [opinion.via for opinion in one.opinions if opinion.correction]
    return "message" in (*corrections, one.reply and one.reply.via)


async def _learned(ctx: Context, chosen: Chosen, steps: Steps) -> AsyncIterator[Moment]:
    """How far the dataset is; once it is there, what is in it is decided."""
    async for moment in imported(steps):
        if moment.outcome is not None:
            changed = await _decide(ctx, chosen.approved, approve=True)
            told = f"Approved: {counted(len(chosen.approved), 'answer')}.{chosen.left}{_changed(changed)}"
            yield Moment(note=told)
        yield moment


async def _decide(ctx: Context, chosen: Sequence[Waiting], *, approve: bool) -> list[str]:
    """Note the decision. Returns the answers of which somebody says something else meanwhile: that waits."""
    changed: dict[str, None] = {}
    for one in chosen:
        for opinion in one.opinions:
            if not await ctx.chorus.replies.decide(opinion, "approved" if approve else "rejected"):
                changed[one.message] = None
        ctx.chorus.reviewed.decided(ctx.guild, ctx.user, one.opinions)
    return list(changed)


def _changed(messages: Sequence[str]) -> str:
    return f"\nChanged meanwhile, so it waits anew: {in_a_row(messages, NAMED)}." if messages else ""
