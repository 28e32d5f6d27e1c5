"""ZIPs, of which nothing is believed: neither names, nor sizes, nor that they are what they say.

Members are unpacked one at a time, under names of our own, and deleted when they are read: on the disk is
one file of each archive at once. What was unpacked is counted as it comes, for a ZIP can lie about it.
"""

import io
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chorus.common.errors import InvalidInput, in_short
from chorus.trainer.curation.readers.folder import base, parent
from chorus.trainer.curation.source import Source
from chorus.trainer.curation.unknown import SIGNATURE, by_members, unknown_format

MEMBERS = 10_000  # an export with all its pictures has some thousands
DIRECTORY = 512 * MEMBERS  # bytes of its list of members; about 150 are usual for one
TOTAL = 4 * 1024**3  # bytes unpacked in all: four million messages as JSON, about 1 kB each
RATIO = 200  # times; exports shrink to a tenth, at best to a fiftieth, and bombs to a thousandth
RATIO_FROM = 1024 * 1024  # bytes; a shorter member is no bomb
DEPTH = 2  # archives within each other
_CHUNK = 256 * 1024  # bytes
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # LZMA may ask for 4 GiB of memory to unpack
_ENCRYPTED = 0x1
_LITTER = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$|desktop\.ini$)")
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OverflowError, struct.error,
    RuntimeError, OSError,
)  # fmt: skip


@dataclass
class Scratch:
    """An empty folder for what is unpacked, and how much more may be."""

    folder: Path
    bytes_left: int = TOTAL
    files: int = 0

    def path(self) -> Path:
        """Where the next file goes: no name from outside is part of it."""
        self.files += 1
        return self.folder / str(self.files)


class Archive:
    """An opened ZIP: `Files` by the names of its members. Raises `InvalidInput` for one that is refused."""

    def __init__(self, source: Source, scratch: Scratch) -> None:
        self.name = source.name
        self._scratch = scratch
        self._file = _NoHugeReads(io.FileIO(source.path))
        try:
            self._members = self._checked(self._opened())
        except InvalidInput:
            self.close()
            raise

    @property
    def names(self) -> list[str]:
        """All members but what systems leave behind, and what an export with `--media` brings along."""
        return sorted(n for n in self._members if not _LITTER.search(n) and not self._is_media(n))

    @property
    def media(self) -> int:
        """How many files an export has brought along: pictures and the like, in `<export>_Files`."""
        return sum(map(self._is_media, self._members))

    def start(self, name: str) -> bytes:
        """The first bytes of a member."""
        try:
            with self._zip.open(self._members[name]) as packed:
                return packed.read(SIGNATURE)
        except _DAMAGED:
            raise self._damaged() from None

    @contextmanager
    def open(self, name: str) -> Generator[Source]:
        """A member, unpacked as long as the context lasts."""
        path = self._scratch.path()
        try:
            self._unpack(self._members[name], path)
            yield Source(_printable(f"{self.name}/{name}"), path)
        finally:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def too_deep(self) -> InvalidInput:
        """What to tell of an archive that is in too many others."""
        return self._unsafe("it is in more archives than can be looked into")

    def _opened(self) -> list[zipfile.ZipInfo]:
        try:
            self._zip = zipfile.ZipFile(self._file)
        except _DAMAGED:
            raise self._damaged() from None
        return self._zip.filelist

    def _checked(self, found: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        if len(found) > MEMBERS:
            raise self._too_large(f"more than {MEMBERS:,} files")
        members: dict[str, zipfile.ZipInfo] = {}
        again = Counter[str]()
        for info in found:
            name = plain = _plain(info.filename)
            while name in members:  # the same name twice, or written in two ways: both are read
                again[plain] += 1
                name = f"{parent(plain)}{again[plain] + 1} {base(plain)}"
            if not plain.endswith("/"):
                members[name] = info
        for name, info in members.items():
            self._check(name, info)
        if looks := by_members(members):
            raise unknown_format(self.name, looks)
        return members

    def _check(self, name: str, info: zipfile.ZipInfo) -> None:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
            raise self._unsafe(f'"{in_short(_printable(name))}" in it points out of its folder')
        if kind not in (0, stat.S_IFREG):
            raise self._unsafe(f'"{in_short(_printable(name))}" in it is no file, but a link or a device')
        if info.flag_bits & _ENCRYPTED:
            raise InvalidInput(
                f"{in_short(self.name)} has a password. Pack it again without one.",
                code="encrypted_archive",
                param="file",
            )
        if info.compress_type not in _METHODS:
            raise InvalidInput(
                f"{in_short(self.name)} is packed in an unusual way. Pack it as an ordinary ZIP (Deflate).",
                code="unsupported_archive",
                param="file",
            )

    def _unpack(self, info: zipfile.ZipInfo, path: Path) -> None:
        size = 0
        with path.open("wb") as file:
            for chunk in self._chunks(info):
                size += len(chunk)
                self._scratch.bytes_left -= len(chunk)
                if self._scratch.bytes_left < 0:
                    raise self._too_large(f"more than {TOTAL // 1024**3} GiB")
                if size > RATIO_FROM and size > RATIO * info.compress_size:
                    raise self._too_large(f"a file that grows more than {RATIO} times")
                file.write(chunk)

    def _chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        try:
            with self._zip.open(info) as packed:
                while chunk := packed.read(_CHUNK):
                    yield chunk
        except _DAMAGED:
            raise self._damaged() from None

    def _is_media(self, name: str) -> bool:
        export, found, _ = name.partition("_Files/")
        return bool(found) and export in self._members

    def _damaged(self) -> InvalidInput:
        return InvalidInput(
            f"{in_short(self.name)} is damaged or was cut off. Pack it again, and send it again.",
            code="broken_archive",
            param="file",
        )

    def _too_large(self, what: str) -> InvalidInput:
        return InvalidInput(
            f"{in_short(self.name)} unpacks to {what}. Send the exports alone, or in several parts.",
            code="archive_too_large",
            param="file",
        )

    def _unsafe(self, what: str) -> InvalidInput:
        return InvalidInput(
            f"{in_short(self.name)} is refused: {what}. Pack the files anew.",
            code="unsafe_archive",
            param="file",
        )


class _NoHugeReads(io.BufferedReader):
    """A ZIP's list of members is read in one go, as long as it says that it is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > DIRECTORY:
            raise zipfile.BadZipFile
        return super().read(size)


def _plain(name: str) -> str:
    """With `/` between folders; some programs on Windows write it the other way round."""
    return name.replace("\\", "/").removeprefix("./")


def _printable(name: str) -> str:
    return "".join(sign if sign.isprintable() else "�" for sign in name)
