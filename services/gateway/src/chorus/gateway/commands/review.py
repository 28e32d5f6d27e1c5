"""`!review`: what people said of answers, for those who manage the place to approve or to reject.

    !review                            what waits: corrections, votes, words
    !review approve 1234567890 …       what waits on these answers is to be learned
    !review reject all

What is approved goes into the dataset `feedback`, as one more version with all that was in it before:
`!train data=feedback` learns from it.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from chorus.common.contracts.datasets import Example
from chorus.common.contracts.feedback import Opinion, ReplyRecord
from chorus.common.contracts.names import Name
from chorus.common.errors import InvalidInput, NotFound, in_short
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.feedback import SIGNS
from chorus.gateway.commands.importing import imported
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.preferences import examples
from chorus.gateway.commands.replies import Card, Moment, Progress, Reply, Text
from chorus.gateway.commands.sources import Handed, Steps, from_files
from chorus.gateway.commands.telling import ended_in_words
from chorus.gateway.commands.verdict import in_line
from chorus.gateway.commands.which import known, message_in

FEEDBACK = "feedback"
ROWS = 40
EVERYTHING = "all"


class Review(Parameters):
    """What `!review` takes."""

    wish: str | None = Field(
        default=None, description="`approve` or `reject`, and which: ids, links, or `all`"
    )
    name: Name = Field(default=FEEDBACK, description="the dataset that gets what is approved")


@dataclass(frozen=True)
class Waiting:
    """All that waits on one answer."""

    message: str
    opinions: list[Opinion]
    reply: ReplyRecord | None
    """None where the words are about no answer, or about one that is not kept any more."""


async def review(ctx: Context, asked: Review) -> Reply:
    """List what waits, or decide about it."""
    waiting = await _waiting(ctx)
    verb, *which = (asked.wish or "").split() or [""]
    match verb.lower():
        case "":
            return _listed(waiting)
        case "approve":
            return await _approve(ctx, _chosen(ctx, waiting, which), asked.name)
        case "reject":
            chosen = _chosen(ctx, waiting, which)
            await _decide(ctx, chosen, "rejected")
            return Text(f"Rejected: {_counted(chosen)}. Nothing is learned from it.")
        case _:
            raise InvalidInput(
                f"`{in_short(verb)}` is nothing that !review can do: it is `approve` or `reject`, with the "
                "ids of answers, or `all`.",
                code="unknown_wish",
                param="wish",
            )


async def _waiting(ctx: Context) -> list[Waiting]:
    """What has not been decided yet, by answer, oldest first; of people who opted out since, nothing."""
    given = [one for one in await ctx.chorus.replies.opinions(ctx.guild) if one.state == "waiting"]
    consents = {by: await ctx.chorus.privacy.record(ctx.guild, by) for by in {one.by for one in given}}
    out = {by for by, record in consents.items() if record is not None and record.state == "out"}
    by_message: dict[str, list[Opinion]] = {}
    for opinion in given:
        if opinion.by not in out:
            by_message.setdefault(opinion.message, []).append(opinion)
    return [Waiting(message, opinions, await known(ctx, message)) for message, opinions in by_message.items()]


def _listed(waiting: Sequence[Waiting]) -> Reply:
    if not waiting:
        return Text("Nothing waits for a review. People judge answers with 👍, 👎, !feedback and !correct.")
    rows = [_row(one) for one in waiting[:ROWS]]
    more = f"{len(waiting) - ROWS} more wait. " if len(waiting) > ROWS else ""
    footer = f"{more}To have it learned: !review approve ID, or `all`. Otherwise: !review reject ID"
    columns = ("id", "model", "", "question", "answer", "said of it")
    return Card("Waiting for review", columns, rows, footer, private=True)


def _row(one: Waiting) -> tuple[str, ...]:
    votes = [SIGNS[opinion.vote] for opinion in one.opinions if opinion.vote]
    counts = " ".join(f"{votes.count(sign)} {sign}" for sign in sorted(set(votes)))
    said = [f"better: {opinion.correction}" for opinion in one.opinions if opinion.correction]
    said += [opinion.words for opinion in one.opinions if opinion.words]
    reply = one.reply
    if reply is None:
        return (one.message, "", counts, "", "(not kept)" if votes else "", in_line(" · ".join(said)))
    asked = next((turn.content for turn in reversed(reply.messages) if turn.role == "user"), "")
    shown = (asked, reply.text, " · ".join(said))
    return (one.message, reply.model, counts, *(in_line(text) for text in shown))


def _chosen(ctx: Context, waiting: Sequence[Waiting], which: Sequence[str]) -> list[Waiting]:
    """Those that are named. Raises `NotFound` for what does not wait, `InvalidInput` where none is named."""
    if [name.lower() for name in which] == [EVERYTHING]:
        which = [one.message for one in waiting]
    if not which:
        raise InvalidInput(
            "Which ones? Name their ids, as !review lists them, or say `all`."
            if waiting
            else "Nothing waits for a review.",
            code="nothing_to_review",
            param="wish",
        )
    by_message = {one.message: one for one in waiting}
    wanted = {name: by_message.get(message_in(ctx, name) or "") for name in which}
    if unknown := [name for name, one in wanted.items() if one is None]:
        raise NotFound(
            f"Nothing waits on {', '.join(map(in_short, unknown[:3]))}. !review lists what does.",
            code="unknown_review",
            param="wish",
        )
    return [one for one in wanted.values() if one]


async def _approve(ctx: Context, chosen: Sequence[Waiting], name: str) -> Reply:
    made = [example for one in chosen if one.reply for example in examples(one.reply, one.opinions)]
    if not made:
        await _decide(ctx, chosen, "approved")
        return Text(
            f"Approved: {_counted(chosen)}. There is nothing in it to learn: words alone show no answer."
        )
    typed = any(one.reply and one.reply.via == "message" for one in chosen)
    steps = await _built(ctx, name, made, typed=typed)
    return Progress("", ended_in_words(_learned(ctx, chosen, steps)))


async def _built(ctx: Context, name: str, made: Sequence[Example], *, typed: bool) -> Steps:
    """The dataset with these examples after those that are in it. `typed`: some came by messages.

    Raises `InvalidInput` where the name is taken by other data, `NotPermitted` where nobody may learn this.
    """
    listing = await ctx.chorus.datasets.list(ctx.guild)
    old = next((dataset for dataset in listing.datasets if dataset.name == name), None)
    if old is not None and old.basis.way != "submitted":
        raise InvalidInput(
            f"{name} is a dataset of other data. Give another name: `name=feedback`.",
            code="name_taken",
            param="name",
        )
    before = await ctx.chorus.objects.download(old.examples).read() if old else b""
    lines = "".join(f"{example.model_dump_json(exclude_none=True)}\n" for example in made)
    trust = replace(ctx.trust, via="message") if typed else ctx.trust  # of the strictest of them
    file = Upload(f"{name}.jsonl", before + lines.encode())
    return await from_files(replace(ctx, trust=trust), Handed(name=name), [file], "submitted")


async def _learned(ctx: Context, chosen: Sequence[Waiting], steps: Steps) -> AsyncIterator[Moment]:
    """How far the dataset is; once it is there, what is in it is decided."""
    async for moment in imported(steps):
        if moment.outcome is not None:
            await _decide(ctx, chosen, "approved")
            yield Moment(note=f"Approved: {_counted(chosen)}.")
        yield moment


async def _decide(ctx: Context, chosen: Sequence[Waiting], state: Literal["approved", "rejected"]) -> None:
    for one in chosen:
        for opinion in one.opinions:
            await ctx.chorus.replies.decide(opinion, state)


def _counted(chosen: Sequence[Waiting]) -> str:
    return "1 answer" if len(chosen) == 1 else f"{len(chosen)} answers"
