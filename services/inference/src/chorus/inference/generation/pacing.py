"""Pieces of text, gathered while many are being written: a message for each token would cost more than it.

Alone, a stream sends each token by itself. Beside others each one sends less often, so that all of them
together send about `PIECES` a second; the first piece and the last always go at once.

vLLM could hold tokens back itself (`stream_interval`), with less work for this process. But it counts the
first token as sent even where it is half a letter, and then holds back the first text.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from chorus.inference.generation.ports import Piece

PIECES = 500  # a second, of all streams


class Pacing:
    """What the streams of one process share."""

    def __init__(self, pieces: float = PIECES) -> None:
        self._share = 1 / pieces  # seconds between two pieces, for each stream that is being written
        self._streams = 0

    async def gathered(self, pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
        """The same text in fewer pieces; leaving it leaves `pieces`."""
        held: dict[int, list[Piece]] = {}  # by choice
        sent = 0.0
        self._streams += 1
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    held.setdefault(piece.choice, []).append(piece)
                    now = time.monotonic()
                    if piece.finish_reason or now - sent >= self._streams * self._share:
                        for whole in map(_joined, held.values()):
                            sent = now if whole.text else sent
                            yield whole
                        held.clear()
            for whole in map(_joined, held.values()):
                yield whole
        finally:
            self._streams -= 1


def _joined(pieces: list[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    text = "".join(piece.text for piece in pieces)
    return replace(pieces[-1], text=text, tokens=sum(piece.tokens for piece in pieces))
