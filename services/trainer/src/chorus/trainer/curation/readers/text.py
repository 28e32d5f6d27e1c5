"""Plain text: articles, books, anything typed, in pieces of whole paragraphs."""

from collections.abc import Iterable, Iterator

from chorus.common.contracts.datasets import BuildOptions
from chorus.trainer.curation.readers.json_start import json_start
from chorus.trainer.curation.readers.reader import Reader
from chorus.trainer.curation.records import Read, ReadTurn, Record
from chorus.trainer.curation.source import Source

PIECE = 2000  # characters at most in one example: about 500 tokens, half of what an example may have
_BETWEEN = "\n\n"


def _fits(head: str) -> bool:
    return bool(head.strip()) and json_start(head) is None


def _read(source: Source, _options: BuildOptions) -> Iterator[Record]:
    piece = ""
    for part in _parts(source.lines()):
        if piece and len(piece) + len(_BETWEEN) + len(part) > PIECE:
            yield Read([ReadTurn("assistant", piece)], source=source.name)
            piece = ""
        piece = f"{piece}{_BETWEEN}{part}" if piece else part
    if piece:
        yield Read([ReadTurn("assistant", piece)], source=source.name)


def _parts(lines: Iterable[str]) -> Iterator[str]:
    """Paragraphs, parted by blank lines; one that is too long in parts, each as soon as it is whole."""
    paragraph = ""
    for line in lines:
        if line.strip():
            paragraph = f"{paragraph}\n{line}" if paragraph else line
            *whole, paragraph = _cut(paragraph)
            yield from filter(str.strip, whole)
        else:
            yield from filter(str.strip, [paragraph])
            paragraph = ""
    yield from filter(str.strip, [paragraph])


def _cut(text: str) -> list[str]:
    """The text in parts that fit into a piece, cut at a blank where there is one."""
    parts: list[str] = []
    at = 0
    while len(text) - at > PIECE:
        blank = max(text.rfind(sign, at + 1, at + PIECE + 1) for sign in " \n")
        end = blank if blank > 0 else at + PIECE
        parts.append(text[at:end])
        at = end + (blank > 0)
    return [*parts, text[at:]]


TEXT = Reader("plain text", _fits, _read)
