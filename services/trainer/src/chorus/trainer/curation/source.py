"""A file as readers meet it: its bytes, its text, its lines; never all of it at once."""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from chorus.common.errors import InvalidInput

HEAD = 64 * 1024  # bytes by which a format is told
LONGEST_LINE = 1024 * 1024  # characters; a longer one is no line that a person or an exporter wrote

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_WITHIN_A_CHARACTER = ("unexpected end of data", "truncated data")  # in Python's words, of UTF-8 and UTF-16
_HALVES = "half a character at the end"


@dataclass(frozen=True)
class Source:
    """One file on this machine's disk. `name` is how people know it, `export.zip/general.json`, say."""

    name: str
    path: Path

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size

    def open(self) -> BinaryIO:
        """Its bytes."""
        return self.path.open("rb")

    def head(self) -> str:
        """The text of its first 64 KiB, without a byte-order mark; half a character at the end is left out.

        Raises `InvalidInput` where it is no text.
        """
        with self.open() as file:
            data = file.read(HEAD)
        decoder = codecs.getincrementaldecoder(encoding_of(data))(errors="replace")
        text = decoder.decode(data, final=False)
        if "\x00" in text:
            raise InvalidInput(f"{self.name} is no text file.", code="not_text", param="file")
        return text

    def text(self) -> TextIO:
        """Its text, whatever its line ends. Reading raises `UnicodeDecodeError`; see `told`."""
        with self.open() as file:
            encoding = encoding_of(file.read(4))
        return io.TextIOWrapper(self.open(), encoding=encoding, errors=_HALVES, newline=None)

    def lines(self) -> Iterator[str]:
        """Its lines, without their ends. Raises `InvalidInput` for one that is no text, or is endless."""
        number = 0
        with self.text() as file:
            try:
                while line := file.readline(LONGEST_LINE):
                    number += 1
                    if len(line) == LONGEST_LINE and not line.endswith("\n"):
                        raise InvalidInput(
                            f"{self.name}, line {number} is longer than {LONGEST_LINE:,} characters.",
                            code="line_too_long",
                            param="file",
                        )
                    if "\x00" in line:
                        raise InvalidInput(
                            f"{self.name}, line {number} has a NUL byte: this is no text file.",
                            code="not_text",
                            param="file",
                        )
                    yield line.rstrip("\n")
            except UnicodeDecodeError as error:
                where = number + 1 + error.object.count(b"\n", 0, error.start)
                raise not_this_encoding(self.name, where, error) from None


def encoding_of(start: bytes) -> str:
    """UTF-8, or what a byte-order mark says."""
    return next((encoding for mark, encoding in _MARKS if start.startswith(mark)), "utf-8")


def not_this_encoding(name: str, line: int, error: UnicodeDecodeError) -> InvalidInput:
    """What to tell of bytes that are not the text they should be."""
    byte = error.object[error.start]
    return InvalidInput(
        f"{name}, about line {line} is not UTF-8 text (byte 0x{byte:02x}). Save the file as UTF-8.",
        code="wrong_encoding",
        param="file",
    )


def _leave_out_a_half(error: UnicodeError) -> tuple[str, int]:
    """A file that was cut off may end within a character. What else is wrong is raised."""
    if isinstance(error, UnicodeDecodeError) and error.reason in _WITHIN_A_CHARACTER:
        return "", error.end
    raise error


codecs.register_error(_HALVES, _leave_out_a_half)
