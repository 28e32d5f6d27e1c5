"""Doubles of the ports that are about data: datasets, privacy, guilds, objects.

What is not there is an error.
"""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from chorus.common.contracts.consent import ConsentRecord, Exported, Forgotten
from chorus.common.contracts.datasets import (
    Archived,
    Building,
    BuildOptions,
    Card,
    Dataset,
    Deleted,
    Histogram,
    Piece,
    Previewed,
    Selected,
    Source,
    Speaker,
)
from chorus.common.contracts.datasets import Datasets as Listing
from chorus.common.contracts.guild import GuildSettings, Notice
from chorus.common.contracts.storage import ObjectRef
from chorus.common.errors import ChorusError, Conflict, NotFound
from chorus.gateway.commands.ports import NewDataset, Upload

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SHA256 = "0" * 64


def ref(key: str, size: int = 1) -> ObjectRef:
    return ObjectRef(bucket="files", key=f"local/{key}", size=size, sha256=SHA256)


def card(**others: object) -> Card:
    return Card.model_validate(
        {
            "format": "plain text",
            "read": 3,
            "kept": 2,
            "dropped": {"empty message": 1},
            "examples": 2,
            "positive": 2,
            "tokens": 40,
            "lengths": Histogram(edges=[16, 32, 64, 128], counts=[0, 1, 1, 0]),
            "speakers": [Speaker(name="u1", messages=2)],
            "people": 1,
            "warnings": ["little data."],
            **others,
        }
    )


def dataset(name: str = "club", version: int = 1, **others: object) -> Dataset:
    return Dataset.model_validate(
        {
            "guild": "local",
            "name": name,
            "version": version,
            "examples": ref(f"{name}-{version}-examples", 7),
            "records": ref(f"{name}-{version}-records"),
            "people": ref(f"{name}-{version}-people"),
            "card": card(),
            "sources": [Source(file=ref(f"{name}.json", 9), filename=f"{name}.json")],
            "contributor": "42",
            "created_at": AT + timedelta(hours=version),
            **others,
        }
    )


class FakeDatasets:
    """`added` and `rebuilt` are what was asked for; `error` is raised by the next build."""

    def __init__(self) -> None:
        self.all: list[Dataset] = []
        self.selected: str | None = None
        self.added: list[tuple[str, NewDataset]] = []
        self.rebuilt: list[tuple[str, BuildOptions]] = []
        self.error: ChorusError | None = None

    def _find(self, name: str) -> Dataset:
        found = [made for made in self.all if name in (made.name, made.id)]
        if not found:
            raise NotFound(f"There is no dataset {name}.", code="unknown_dataset")
        return found[-1]

    def _made(self, new: Dataset) -> Dataset:
        self.all.append(new)
        return new

    async def add(self, guild: str, new: NewDataset) -> AsyncIterator[Building | Dataset]:
        self.added.append((guild, new))
        yield Building(stage="reading", done=50, total=100)
        if self.error:
            raise self.error
        newest = max((made.version for made in self.all if made.name == new.name), default=0)
        if new.after not in (None, newest):
            raise Conflict("There is another one.", code="changed_meanwhile")
        sources = [
            Source(file=ref(file.name), filename=file.name) if isinstance(file, Upload) else file
            for file in new.files
        ]
        yield self._made(
            dataset(
                new.name,
                sum(made.name == new.name for made in self.all) + 1,
                guild=guild,
                card=card(positive=2 if new.positive else 0),
                sources=sources,
                label=new.positive,
                basis=new.basis,
                options=new.options,
                contributor=new.contributor,
            )
        )

    async def rebuild(
        self, guild: str, name: str, options: BuildOptions
    ) -> AsyncIterator[Building | Dataset]:
        old = self._find(name)
        self.rebuilt.append((name, options))
        yield Building(stage="building")
        yield self._made(old.model_copy(update={"version": old.version + 1, "options": options}))

    async def list(self, guild: str) -> Listing:
        whole = [made for made in self.all if not made.withdrawn]
        ordered = sorted(whole, key=lambda made: (made.name, -made.version))
        return Listing(datasets=ordered, selected=self.selected)

    async def preview(self, guild: str, name: str, count: int) -> Previewed:
        sample = [Piece(text="user: hi\n", learned=False), Piece(text="ahoy", learned=True)]
        return Previewed(dataset=self._find(name), samples=[sample] * count)

    async def select(self, guild: str, name: str, *, positive: bool) -> Selected:
        chosen = self._find(name).model_copy(update={"label": positive})
        self.selected = chosen.id
        return Selected(dataset=chosen, archive=ref("archive", 5))

    async def archive(self, guild: str, name: str) -> Archived:
        found = self._find(name)
        packed = ref("archive", 5)
        return Archived(dataset=found, archive=packed, filename=f"{found.name}-{found.version}.zip")

    async def delete(self, guild: str, name: str) -> Deleted:
        gone = [made for made in self.all if made.name == name]
        if not gone:
            raise NotFound(f"There is no dataset {name}.", code="unknown_dataset")
        self.all = [made for made in self.all if made.name != name]
        return Deleted(versions=len(gone), objects=3 * len(gone))


class FakePrivacy:
    """`asked` is what was asked for: what, about whom, by which names, by whom."""

    def __init__(self) -> None:
        self.records: dict[str, ConsentRecord] = {}
        self.asked: list[tuple[str, str, list[str], str | None]] = []
        self.forgotten = Forgotten(datasets=[], objects=0, models=[])

    async def record(self, guild: str, person: str) -> ConsentRecord | None:
        return self.records.get(person)

    async def opt(
        self, guild: str, person: str, state: Literal["in", "out"], *, names: list[str], said_by: str
    ) -> ConsentRecord:
        self.asked.append((state, person, names, said_by))
        self.records[person] = ConsentRecord(
            guild=guild, person=person, state=state, names=names, said_by=said_by, at=AT
        )
        return self.records[person]

    async def forget(self, guild: str, person: str, *, names: list[str], said_by: str) -> Forgotten:
        self.asked.append(("forget", person, names, said_by))
        return self.forgotten

    async def export(self, guild: str, person: str, *, names: list[str]) -> Exported:
        self.asked.append(("export", person, names, None))
        return Exported(archive=ref("words", 5), messages=12)


class FakeGuilds:
    """Guilds that have accepted the notice, until a test takes that away."""

    def __init__(self) -> None:
        self.notice: Notice | None = Notice(by="1", at=AT, text="the notice")
        self.days: int | None = None
        self.others = GuildSettings()

    async def settings(self, guild: str) -> GuildSettings:
        return self.others.model_copy(update={"notice": self.notice, "forget_within_days": self.days})

    async def record_notice(self, guild: str, notice: Notice) -> None:
        self.notice = notice

    async def set_deadline(self, guild: str, days: int) -> None:
        self.days = days

    async def change(self, guild: str, changed: Callable[[GuildSettings], GuildSettings]) -> GuildSettings:
        self.others = changed(self.others)
        return await self.settings(guild)


class FakeDownload:
    def __init__(self, data: bytes, *, size: int | None = None, link: str | None = None) -> None:
        self.data = data
        self.size = len(data) if size is None else size
        self._link = link

    async def read(self) -> bytes:
        assert self.size == len(self.data), "too large to be read"
        return self.data

    async def save(self, path: Path) -> None:
        path.write_bytes(self.data)

    def link(self, filename: str) -> str | None:
        return self._link and f"{self._link}/{filename}"


class FakeObjects:
    """Every object holds its own key."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def download(self, of: ObjectRef) -> FakeDownload:
        return FakeDownload(self.held.get(of.key, of.key.encode()))
