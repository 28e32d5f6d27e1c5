"""Replies with other words in them: all that we say ourselves, but nothing that people or models said."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TypeVar

from chorus.gateway.commands.replies import (
    Audio,
    Card,
    File,
    Moment,
    Problem,
    Progress,
    Reply,
    Samples,
    Stream,
    Text,
)

Change = Callable[[str], str]
R = TypeVar("R", bound=Text | Problem | Card)


def reworded(reply: Reply, change: Change) -> Reply:
    """The reply with its words changed; what comes later is changed as it comes."""
    match reply:
        case Text() | Problem() | Card():
            return _changed(reply, change)
        case Audio():
            return replace(reply, note=change(reply.note))
        case File():
            return replace(reply, text=change(reply.text))
        case Samples():
            return replace(reply, footer=change(reply.footer))
        case Progress():
            return replace(reply, opening=change(reply.opening), moments=_moments(reply.moments, change))
        case Stream():
            return replace(reply, if_a_toy=change(reply.if_a_toy))


def _changed(reply: R, change: Change) -> R:
    if isinstance(reply, Card):
        rows = reply.rows if reply.quotes else [tuple(change(cell) for cell in row) for row in reply.rows]
        return replace(reply, title=change(reply.title), rows=rows, footer=change(reply.footer))
    if isinstance(reply, Problem):
        return replace(reply, message=change(reply.message))
    if reply.quoted:
        before, quoted, after = reply.text.partition(reply.quoted)
        return replace(reply, text=change(before) + quoted + change(after))
    return replace(reply, text=change(reply.text))


async def _moments(moments: AsyncIterator[Moment], change: Change) -> AsyncIterator[Moment]:
    async for moment in moments:
        yield replace(
            moment,
            note=moment.note and change(moment.note),
            outcome=moment.outcome and _changed(moment.outcome, change),
            more=tuple(_changed(card, change) for card in moment.more),
        )
