"""The entries of a JSON file, one after the other: of a list, or of JSON lines; never all of it at once.

Python's own decoder is handed a window of text and asked for one value. A library of events is no help
here: ijson 3.6 keeps a path for each level, so that 100,000 nested lists (100 kB) took over 20 GB, and it
turns half a character into `?` without a word.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from json import JSONDecodeError

from chorus.common.errors import InvalidInput
from chorus.trainer.curation.readers.reader import cut_off
from chorus.trainer.curation.records import Dropped, Record
from chorus.trainer.curation.source import Source, encoding_of, not_this_encoding

WINDOW = 256 * 1024  # bytes read at once; entries are a few hundred
LONGEST_ENTRY = 4 * 1024 * 1024  # characters; a long book is 2 million
_TOKENS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_LONGEST_TOKEN = max(map(len, _TOKENS))
_PART_OF_A_NUMBER = re.compile(r"\.|[eE][+-]?|u[0-9a-fA-F]{0,3}")  # or of `\u00e9`
_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Entry:
    """One value, and where it stands, for people: `Entry 3`, `Line 4`."""

    where: str
    value: object


class WrongShape(Exception):
    """What an entry lacks, as the end of a sentence that begins with where it stands."""


def entries(source: Source) -> Iterator[Entry | Dropped]:
    """All whole values, and then a `Dropped` if the file ends within one. Raises `InvalidInput`."""
    with source.open() as file:
        window = _Window(source.name, lambda: file.read(WINDOW))
        whole = 0
        try:
            for entry in _of_a_list(window) if window.peek() == "[" else _of_lines(window):
                whole += 1
                yield entry
        except EOFError:
            if not whole:
                raise window.broken("it ends too early") from None
            yield cut_off(source)


def shaped(
    found: Iterable[Entry | Dropped], as_record: Callable[[Entry], Record], expected: str
) -> Iterator[Record]:
    """A record for each entry. One of a wrong shape is passed over, unless it is the first: then all may be.

    Args:
        found: What the file holds.
        as_record: Makes the record, or raises `WrongShape`.
        expected: What each entry needs, for people: a whole sentence.
    """
    fitting = 0
    for entry in found:
        if isinstance(entry, Dropped):
            yield entry
            continue
        try:
            yield as_record(entry)
            fitting += 1
        except WrongShape as error:
            if not fitting:
                raise InvalidInput(f"{entry.where} {error}. {expected}", code="wrong_shape") from None
            yield Dropped("wrong shape", f"{entry.where} {error}, and is left out.")


def _of_a_list(window: "_Window") -> Iterator[Entry]:
    window.take("[")
    number = 0
    closed = window.peek() == "]" and window.take("]") == "]"
    while not closed:
        number += 1
        yield Entry(f"Entry {number}", window.value())
        closed = window.take(",]") == "]"
    if window.peek():
        raise window.broken("there is more after the list's end")


def _of_lines(window: "_Window") -> Iterator[Entry]:
    while window.peek():
        where = f"Line {window.line()}"
        yield Entry(where, window.value())


class _Window:
    """The part of a file's text that is looked at: what was read is forgotten, what is missing is fetched."""

    def __init__(self, name: str, fetch: Callable[[], bytes]) -> None:
        start = fetch()
        self._name, self._fetch = name, fetch
        self._decoder = codecs.getincrementaldecoder(encoding_of(start))()
        self._text, self._at = "", 0
        self._line, self._counted = 1, 0
        self._ended = not start
        self._text = self._decoded(start)

    def line(self) -> int:
        """The number of the line that is looked at."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def peek(self) -> str:
        """The next sign that is no blank; none at the end."""
        while True:
            self._at = _blanks_end(self._text, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, signs: str) -> str:
        """The next sign, which has to be one of these. Raises `EOFError` at the end."""
        sign = self.peek()
        if not sign:
            raise EOFError
        if sign not in signs:
            raise self.broken(f"`{signs[0]}` is missing")
        self._at += 1
        return sign

    def value(self) -> object:
        """The next value. Raises `EOFError` if the file ends within it."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except JSONDecodeError as error:
                if not _may_go_on(error, self._text):
                    raise self.broken(error.msg, error.pos) from None
                if not self._more():
                    raise EOFError from None
            except RecursionError:
                raise self.broken("nested too deep") from None
            except ValueError:  # Python reads no number that would take it minutes
                raise self.broken("a number has too many digits") from None
            else:
                if end < len(self._text) or not self._more():  # a number may go on in the next window
                    self._at = end
                    return value

    def broken(self, what: str, at: int | None = None) -> InvalidInput:
        """Where this is not JSON, and why."""
        self._at = self._at if at is None else at
        column = self._at - self._text.rfind("\n", 0, self._at)
        return InvalidInput(
            f"{self._name}, line {self.line()}, column {column}: this is not JSON ({what}).",
            code="broken_json",
            param="file",
        )

    def _more(self) -> bool:
        if len(self._text) - self._at > LONGEST_ENTRY:
            raise InvalidInput(
                f"{self._name}, line {self.line()}: an entry is longer than {LONGEST_ENTRY:,} characters.",
                code="entry_too_long",
                param="file",
            )
        self.line()
        parts, wanted = [self._text[self._at :]], len(self._text) - self._at
        fetched = 0
        while not self._ended and fetched <= wanted:  # twice as much each time: an entry is decoded few times
            data = self._fetch()
            self._ended = not data
            parts.append(self._decoded(data))
            fetched += len(data)
        self._text, self._at, self._counted = "".join(parts), 0, 0
        return fetched > 0

    def _decoded(self, data: bytes) -> str:
        try:
            return self._decoder.decode(data)  # never `final`: a file may be cut off within a character
        except UnicodeDecodeError as error:
            line = self.line() + self._text.count("\n", self._at) + error.object.count(b"\n", 0, error.start)
            raise not_this_encoding(self._name, line, error) from None


def _may_go_on(error: JSONDecodeError, text: str) -> bool:
    """Whether the text is right up to its end, and only ends too early."""
    if error.msg.startswith("Unterminated"):
        return True
    rest = text[error.pos : error.pos + _LONGEST_TOKEN + 1].rstrip()
    return any(token.startswith(rest) for token in _TOKENS) or bool(_PART_OF_A_NUMBER.fullmatch(rest))


def _blanks_end(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at
