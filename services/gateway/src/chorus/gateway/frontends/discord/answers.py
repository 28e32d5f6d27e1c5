"""A model's answer as the text of a message that grows; of several answers, each under its title."""

from collections.abc import AsyncIterator

from chorus.common.contracts.generation import Delta, End, Waiting
from chorus.common.errors import ChorusError
from chorus.gateway.commands.replies import Stream, problem, remarks
from chorus.gateway.frontends.discord.splitting import closed

EMPTY = "The model gave an empty answer."


async def growing(stream: Stream) -> AsyncIterator[str]:
    """The whole text after each piece: first perhaps why one waits, then the answer in its place.

    What goes wrong before the first word stands in its place, too; later it is raised.
    """
    said = [""] * max(1, len(stream.titles))
    try:
        async for piece in stream.pieces:
            match piece:
                case Waiting():
                    if not any(said):
                        yield f"-# {piece.text}"
                case Delta():
                    said[piece.choice] += piece.text
                    yield _laid_out(said, stream.titles)
                case End():
                    yield _laid_out(said, stream.titles) + _below(piece, said)
    except ChorusError as error:
        if any(said):
            raise
        told = problem(error)
        yield f"✗ {told.message} [{told.code}]"


def _laid_out(said: list[str], titles: tuple[str, ...]) -> str:
    """A code block that one answer leaves open ends with it: the next title is none of its lines."""
    if not titles:
        return said[0]
    return "\n".join(
        f"**{title}**\n{closed(text.strip()) or '…'}" for title, text in zip(titles, said, strict=True)
    )


def _below(end: End, said: list[str]) -> str:
    """What else is to be known, in small letters."""
    told = [*([] if any(text.strip() for text in said) else [EMPTY]), *remarks(end)]
    return f"\n-# {' '.join(told)}" if told else ""
