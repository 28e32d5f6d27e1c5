"""Files for the tests of readers: written, read, and counted."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from chorus.common.contracts.datasets import BuildOptions
from chorus.trainer.curation.reading import Reading, read_all
from chorus.trainer.curation.records import Dropped, Message, Read, Record
from chorus.trainer.curation.source import Source

Content = str | bytes


class Written:
    """A folder to write files into, and an empty one for what is unpacked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scratch = folder / "scratch"
        self.scratch.mkdir(exist_ok=True)

    def source(self, content: Content, name: str = "file") -> Source:
        path = self.folder / str(len(list(self.folder.iterdir())))
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Source(name, path)

    def reading(self, *contents: Content | Source, **options: object) -> Reading:
        files = [c if isinstance(c, Source) else self.source(c) for c in contents]
        return read_all(files, BuildOptions.model_validate(options), self.scratch)

    def records(self, *contents: Content | Source, **options: object) -> list[Record]:
        """All records; nothing is left in the scratch folder, and each record was counted."""
        reading = self.reading(*contents, **options)
        records = list(reading.records)
        assert not list(self.scratch.iterdir())
        assert sum(reading.formats.values()) == len(records)
        return records


def zipped(files: Mapping[str, Content]) -> bytes:
    """A ZIP with these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def turns(record: Record) -> list[tuple[str, str]]:
    """Who says what, in an example."""
    assert isinstance(record, Read), record
    return [(turn.role, turn.content) for turn in record.messages]


def message(record: Record) -> Message:
    assert isinstance(record, Message), record
    return record


def dropped(records: list[Record]) -> list[str]:
    """Why entries were passed over, in order."""
    return [record.reason for record in records if isinstance(record, Dropped)]
