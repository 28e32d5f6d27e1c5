"""Uploaded files as a stream of records: each is told by its content, never by its name, and read.

What is in a ZIP is read as if it had been sent file by file, but that some formats are whole folders; and
that pictures and the like, which exports bring along, are passed over and counted.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InvalidInput, in_short
from chorus.trainer.curation.archive import DEPTH, Archive, Scratch
from chorus.trainer.curation.notes import MEDIA, NOT_NEEDED, Part, in_words, notes_on
from chorus.trainer.curation.readers.folder import Files, FolderReader, base
from chorus.trainer.curation.readers.reader import Reader
from chorus.trainer.curation.readers.table import FILES, FOLDERS
from chorus.trainer.curation.records import Record
from chorus.trainer.curation.source import Source
from chorus.trainer.curation.unknown import SIGNATURE, ZIP, by_signature, by_text, is_markup, unknown_format

_OTHER = "other files"
_PASSED_OVER = {"unknown_format", "not_text", "empty_file"}
"""Codes of errors about a file that are none where it came in a ZIP, with others that are read."""


@dataclass
class Reading:
    """What is read. All but `records` is complete when `records` has ended."""

    records: Iterator[Record]
    formats: Counter[str] = field(default_factory=Counter[str])
    """How many entries were read of each format."""
    passed_over: Counter[str] = field(default_factory=Counter[str])
    """How many files in ZIPs were not read, by what they look like."""
    defaults: dict[str, object] = field(default_factory=dict[str, object])
    """What a source says about its build: fields of `BuildOptions`, for those that nobody has set."""
    parts: set[Part] = field(default_factory=set[Part])
    """What kinds of channels the exports are of, where they tell."""

    def notes(self) -> list[str]:
        """What people should know of these files."""
        return notes_on(self.formats, self.passed_over, self.parts)


def read_all(files: Sequence[Source], options: BuildOptions, folder: Path) -> Reading:
    """All records of all files, one file after the other. `folder` is empty, and is empty again at the end.

    Reading `records` raises `InvalidInput` that says what is wrong with which file.
    """
    reading = Reading(iter(()))
    reading.records = _Run(options, Scratch(folder), reading).read(_Uploads(files), depth=0)
    return reading


def detect(source: Source, readers: Sequence[Reader] = FILES) -> Reader:
    """The reader of a file. Raises `InvalidInput` that says what it looks like, and what is accepted."""
    looks = by_signature(_start(source))
    if looks:
        raise unknown_format(source.name, looks)
    head = source.head()
    if not head.strip():
        raise InvalidInput(
            f"{in_short(source.name)} is empty: there is nothing to learn from.",
            code="empty_file",
            param="file",
        )
    if not is_markup(head):
        for reader in readers:
            if reader.fits(head):
                return reader
    raise unknown_format(source.name, by_text(head))


@dataclass
class _Run:
    """One reading, from the files that were sent down to those in ZIPs in ZIPs."""

    options: BuildOptions
    scratch: Scratch
    reading: Reading
    files_read: int = 0

    def read(self, files: Files, depth: int) -> Iterator[Record]:
        names = list(files.names)
        for folder in FOLDERS:
            taken = folder.takes(names)
            if taken:
                yield from self._folder(folder, files, taken, depth)
                names = [name for name in names if name not in taken]
        for name in names:
            yield from self._file(files, name, depth)

    def _folder(self, folder: FolderReader, files: Files, taken: set[str], depth: int) -> Iterator[Record]:
        plan = folder.plan(files, taken)
        self.reading.defaults.update(plan.defaults)
        parts = 0
        for name, reader in plan.parts:
            parts += 1
            if reader is None:
                yield from self._file(files, name, depth)
            else:
                with files.open(name) as source:
                    yield from self._entries(reader, source)
        self._pass_over(NOT_NEEDED, len(taken) - parts)

    def _file(self, files: Files, name: str, depth: int) -> Iterator[Record]:
        looks = by_signature(files.start(name))
        if looks and depth:  # a picture is not even unpacked
            self._pass_over(looks)
            return
        with files.open(name) as source:
            try:
                found = Archive(source, self.scratch) if _is_zip(source) else detect(source)
            except InvalidInput as error:
                if not depth or error.code not in _PASSED_OVER:
                    raise
                self._pass_over(_OTHER)
                return
            if isinstance(found, Archive):
                yield from self._archive(found, depth + 1)
            else:
                yield from self._entries(found, source)

    def _archive(self, archive: Archive, depth: int) -> Iterator[Record]:
        with closing(archive):
            if depth > DEPTH:
                raise archive.too_deep()
            read_before = self.files_read
            self._pass_over(MEDIA, archive.media)
            yield from self.read(archive, depth)
            if self.files_read == read_before:
                raise unknown_format(archive.name, _nothing_in(self.reading.passed_over))

    def _entries(self, reader: Reader, source: Source) -> Iterator[Record]:
        self.files_read += 1
        self.reading.formats[reader.name] += 0
        if reader.part and (part := reader.part(source.head())):
            self.reading.parts.add(part)
        for record in reader.read(source, self.options):
            self.reading.formats[reader.name] += 1
            yield record

    def _pass_over(self, looks: str, count: int = 1) -> None:
        if count:
            self.reading.passed_over[looks.partition(":")[0]] += count


def _nothing_in(passed_over: Counter[str]) -> str:
    there = in_words(passed_over)
    return f"a ZIP with nothing to learn from in it, but {there}" if there else "an empty ZIP"


def _is_zip(source: Source) -> bool:
    return _start(source).startswith(ZIP)


def _start(source: Source) -> bytes:
    with source.open() as file:
        return file.read(SIGNATURE)


class _Uploads:
    """Files as they were sent; of the same name there may be several."""

    def __init__(self, files: Sequence[Source]) -> None:
        self._files: dict[str, Source] = {}
        for number, file in enumerate(files, 1):
            name = base(file.name)
            self._files[name if name not in self._files else f"{number} {name}"] = file

    @property
    def names(self) -> Sequence[str]:
        return list(self._files)

    def start(self, name: str) -> bytes:
        return _start(self._files[name])

    @contextmanager
    def open(self, name: str) -> Generator[Source]:
        yield self._files[name]
