"""A model's answer as the text of a message that grows; of several answers, each under its title.

An answer that somebody could take for a person's, of a persona or of a model that imitates one, says above
its first piece that it is a machine's, and below its last one which model's.
"""

from collections.abc import AsyncIterator

from chorus.common.base_model import STARTER
from chorus.common.contracts.generation import Delta, End, Waiting
from chorus.common.errors import ChorusError
from chorus.gateway.commands.replies import Stream, problem, remarks
from chorus.gateway.frontends.discord.splitting import closed

AI = "-# AI"
EMPTY = "The model gave an empty answer."


async def growing(stream: Stream) -> AsyncIterator[str]:
    """The whole text after each piece: first perhaps why one waits, then the answer in its place.

    What goes wrong before the first word stands in its place, too; later it is raised.
    """
    said = [""] * max(1, len(stream.titles))
    label = f"-# 🎙 {stream.heard}\n" if stream.heard else ""
    label += f"{AI}\n" if stream.in_role else ""
    try:
        async for piece in stream.pieces:
            match piece:
                case Waiting():
                    if not any(said):
                        yield f"-# {piece.text}"
                case Delta():
                    said[piece.choice] += piece.text
                    yield label + _laid_out(said, stream.titles)
                case End():
                    yield label + _laid_out(said, stream.titles) + _below(piece, said, stream)
    except ChorusError as error:
        if any(said):
            raise
        yield label + problem(error).line


def _laid_out(said: list[str], titles: tuple[str, ...]) -> str:
    """A code block that one answer leaves open ends with it: the next title is none of its lines."""
    if not titles:
        return said[0]
    return "\n".join(
        f"**{title}**\n{closed(text.strip()) or '…'}" for title, text in zip(titles, said, strict=True)
    )


def _below(end: End, said: list[str], stream: Stream) -> str:
    """What else is to be known, in small letters."""
    who = end.model if stream.in_role else ""
    told = [*([] if any(text.strip() for text in said) else [EMPTY]), *remarks(end)]
    toy = stream.if_a_toy if end.model == STARTER else ""
    return "".join(f"\n-# {line}" for line in (who, " ".join(told), toy) if line)
