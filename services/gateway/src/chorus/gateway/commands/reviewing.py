"""What waits for a review, and how it is shown: only what was said where whoever reviews may read it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from chorus.common.contracts.feedback import Opinion, ReplyRecord
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.feedback import SIGNS
from chorus.gateway.commands.keeping import opted_out
from chorus.gateway.commands.phrases import in_line
from chorus.gateway.commands.replies import Button, Card, Reply, Text
from chorus.gateway.commands.which import known, may_see

ROWS = 40
ALL = (
    Button("Approve all", "!review approve all", "good"),
    Button("Reject all", "!review reject all", "danger"),
)


@dataclass(frozen=True)
class Waiting:
    """All that waits on one answer."""

    message: str
    opinions: list[Opinion]
    reply: ReplyRecord | None
    """None where the words are about no answer, or about one that is not kept any more."""

    @property
    def is_lost(self) -> bool:
        """Whether something could have been learned of it, were the answer still kept."""
        return self.reply is None and any(one.teaches for one in self.opinions)


async def waiting(ctx: Context) -> tuple[list[Waiting], int]:
    """What has not been decided yet, by answer, oldest first; of people who opted out since, nothing.

    Beside it, on how many answers more waits that were given where whoever asks may not read.
    """
    given = [one for one in await ctx.chorus.replies.opinions(ctx.guild) if one.waits]
    out = await opted_out(ctx, (one.by for one in given))
    open_to = {channel: await may_see(ctx, channel) for channel in {one.channel for one in given}}
    by_message: dict[str, list[Opinion]] = {}
    hidden: set[str] = set()
    for opinion in given:
        if not open_to[opinion.channel]:
            hidden.add(opinion.message)
        elif opinion.by not in out:
            by_message.setdefault(opinion.message, []).append(opinion)
    found = [
        Waiting(message, opinions, await known(ctx, message)) for message, opinions in by_message.items()
    ]
    return found, len(hidden)


def listed(ctx: Context, found: Sequence[Waiting], hidden: int) -> Reply:
    """A line for each; what is listed counts as seen once it was shown."""
    elsewhere = [f"{hidden} more wait in channels that you cannot read."] if hidden else []
    if not found:
        nothing = "Nothing waits for a review. People judge answers with 👍, 👎, !feedback and !correct."
        return Text(" ".join([nothing, *elsewhere]))
    shown = found[:ROWS]
    more = [f"{len(found) - ROWS} more wait."] if len(found) > ROWS else []
    how = (
        "All of one: !review ID. To have it learned: !review approve ID, or `all`. If not: !review reject ID"
    )
    columns = ("id", "model", "", "question", "answer", "said of it")
    rows = [_row(one) for one in shown]
    footer = " ".join([*more, *elsewhere, how])
    return Card(
        "Waiting for review", columns, rows, footer,
        private=True, buttons=ALL, quotes=True, shown=_seen(ctx, shown),
    )  # fmt: skip


def whole(ctx: Context, one: Waiting) -> Card:
    """All that was asked and answered, and all that was said of it, word for word."""
    rows: list[tuple[str, ...]] = []
    if one.reply:
        rows += [(turn.name or turn.role, turn.content) for turn in one.reply.messages]
        rows.append((one.reply.model, one.reply.text))
    else:
        rows += [("", "The answer is not kept any more.")] if one.is_lost else []
    for opinion in one.opinions:
        rows += [(SIGNS[opinion.vote], "")] if opinion.vote else []
        rows += [("better", opinion.correction)] if opinion.correction else []
        rows += [("said", opinion.words)] if opinion.words else []
    footer = f"To have it learned: !review approve {one.message}. If not: !review reject {one.message}"
    title, seen = f"Waiting for review: {one.message}", _seen(ctx, [one])
    return Card(title, ("", ""), rows, footer, private=True, quotes=True, shown=seen)


def _seen(ctx: Context, shown: Sequence[Waiting]) -> Callable[[], None]:
    """Notes that these were shown: it may be that they cannot be, in direct messages that are closed."""
    opinions = [opinion for one in shown for opinion in one.opinions]
    return partial(ctx.chorus.reviewed.show, ctx.guild, ctx.user, opinions)


def _row(one: Waiting) -> tuple[str, ...]:
    votes = [SIGNS[opinion.vote] for opinion in one.opinions if opinion.vote]
    counts = " ".join(f"{votes.count(sign)} {sign}" for sign in sorted(set(votes)))
    said = [f"better: {opinion.correction}" for opinion in one.opinions if opinion.correction]
    said += [opinion.words for opinion in one.opinions if opinion.words]
    reply = one.reply
    if reply is None:
        return (one.message, "", counts, "", "(not kept)" if one.is_lost else "", in_line(" · ".join(said)))
    asked = next((turn.content for turn in reversed(reply.messages) if turn.role == "user"), "")
    shown = (asked, reply.text, " · ".join(said))
    return (one.message, reply.model, counts, *(in_line(text) for text in shown))
