"""A long text in sentences, so that the first can be heard while the last is not yet made. Pure."""

import re
from collections.abc import Iterator

from chorus.speech.voice.text import SENTENCE_ENDS, has_words

MOST = 200  # characters of a piece: some twelve seconds

_PAUSES = re.compile(r"(?<=[,;:、，；：])\s*|\s+-+\s+")


def sentences(text: str, *, most: int = MOST) -> Iterator[str]:
    """The text's sentences; what is longer than `most` characters is cut at a comma, a space, or anywhere.

    Those without words are left out.
    """
    for sentence in filter(has_words, map(str.strip, SENTENCE_ENDS.split(text))):
        yield from [sentence] if len(sentence) <= most else _cut(sentence, most)


def _cut(sentence: str, most: int) -> Iterator[str]:
    """Pieces of about `most` characters, as much in each as there is room for."""
    piece = ""
    for clause in filter(None, _PAUSES.split(sentence)):
        for word in clause.split():
            while len(word) > most:  # no language has such words, but people write them
                yield from filter(None, [piece, word[:most]])
                piece, word = "", word[most:]
            if piece and len(piece) + 1 + len(word) > most:
                yield piece
                piece = ""
            piece = f"{piece} {word}".strip()
        if len(piece) > most // 2:
            yield piece
            piece = ""
    if piece:
        yield piece
