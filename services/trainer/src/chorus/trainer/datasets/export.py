"""What is kept of a person's words, for them: a ZIP of datasets' files, feedback, and recordings."""

import asyncio
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from pydantic import BaseModel

from chorus.common.contracts import storage
from chorus.common.contracts.consent import ConsentRecord, Exported, consent_key
from chorus.common.contracts.datasets import Dataset
from chorus.common.contracts.feedback import ReplyRecord
from chorus.common.contracts.speech import recordings_of
from chorus.common.objects import ObjectStore
from chorus.trainer.curation.gather import authors_of
from chorus.trainer.curation.records import Message, Read, Record
from chorus.trainer.curation.stored import lines, read_records
from chorus.trainer.datasets.consent import folded, is_of
from chorus.trainer.datasets.feedback import Feedback
from chorus.trainer.datasets.library import Library
from chorus.trainer.datasets.people import has, people_in
from chorus.trainer.scratch import scratch

EXPORTS = "exports"
"""Folder in the bucket `files`: `<guild>/exports/<person>/…`. What lies there is deleted after a day."""


def exports_of(guild: str, person: str) -> str:
    """Where a person's exports are."""
    return f"{guild}/{EXPORTS}/{consent_key(guild, person).partition('.')[2]}/"


async def export(
    library: Library, feedback: Feedback, store: ObjectStore, record: ConsentRecord, folder: Path
) -> Exported:
    """Gather a person's words from every version that was read from something else than the one before.

    With them go their tests that went wrong, what was answered to them, what they said of answers, the
    examples and personas that they gave, and recordings of theirs that the guild keeps.
    """
    names = folded(record.person, record.names)
    messages = 0
    async with scratch(folder, "export-") as made:
        packed = made / "export.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("consent.json", record.model_dump_json(indent=2, exclude_none=True))
            for dataset in await _all(library, record.guild):
                people = await people_in(store, dataset)
                if has(people, record.person, names):
                    records = made / "records.jsonl"
                    await store.get_file(dataset.records, records)
                    messages += await asyncio.to_thread(_write, file, dataset, records, record.person, names)
                    records.unlink()
            given = await feedback.of(record.guild, record.person)
            own = [_own_words(reply) for reply in given.replies if reply.person == record.person]
            kinds = {field.name: getattr(given, field.name) for field in fields(given)} | {"replies": own}
            messages += _write_feedback(file, kinds)
            messages += await _write_recordings(file, store, recordings_of(record.guild, record.person))
        key = f"{exports_of(record.guild, record.person)}my-words.zip"
        return Exported(archive=await store.put_file(storage.FILES, key, packed), messages=messages)


async def _all(library: Library, guild: str) -> list[Dataset]:
    """Every version that is whole; of those that were read from the same, the newest."""
    return list(
        {
            (version.name, version.records.sha256): version
            for record in await library.records(guild)
            for version in record.versions
            if not version.withdrawn
        }.values()
    )


def _write(file: zipfile.ZipFile, dataset: Dataset, records: Path, person: str, names: set[str]) -> int:
    """One file of the person's records; returns how many there are."""
    written = 0
    with file.open(f"{dataset.name}-{dataset.version}.jsonl", "w") as entry:
        for record in read_records(records):
            if any(is_of(author, person, names) for author in _authors(record, dataset)):
                entry.write(lines([record]))
                written += 1
    return written


def _write_feedback(file: zipfile.ZipFile, kinds: Mapping[str, Sequence[BaseModel]]) -> int:
    """A file for each kind of which there is anything; returns how much there is."""
    for name, found in kinds.items():
        if found:
            file.writestr(
                f"{name}.jsonl", "".join(f"{one.model_dump_json(exclude_none=True)}\n" for one in found)
            )
    return sum(len(found) for found in kinds.values())


async def _write_recordings(file: zipfile.ZipFile, store: ObjectStore, folder: str) -> int:
    """Each as it was sent; returns how many there are. One is held in memory at a time."""
    found = await store.list(storage.FILES, folder)
    for recording in found:
        sound = await store.get_unhashed(storage.FILES, recording.key)
        name = f"recordings/{recording.key.removeprefix(folder)}"
        await asyncio.to_thread(file.writestr, name, sound, zipfile.ZIP_STORED)
    return len(found)


def _own_words(reply: ReplyRecord) -> ReplyRecord:
    """The question and its answer, without what others said before it."""
    asked = [turn for turn in reply.messages if turn.role == "user"]
    return reply.model_copy(update={"messages": asked[-1:], "examples": [], "people": [reply.person]})


def _authors(record: Record, dataset: Dataset) -> set[str]:
    """Whose words these are."""
    if isinstance(record, Message):
        return {record.author}
    return authors_of(record, dataset.contributor) if isinstance(record, Read) else set()
