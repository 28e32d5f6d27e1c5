"""What was mined, in real NATS and S3: parts and cursors, and what happens between the two."""

import io
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from chorus.common.bus.state import Bucket, Entry, open_bucket
from chorus.common.contracts.datasets import Source
from chorus.common.contracts.mining import Mined, mining_key
from chorus.common.contracts.storage import FILES
from chorus.common.contracts.topology import SETTINGS
from chorus.common.errors import Conflict, Unavailable
from chorus.common.objects import ObjectStore
from chorus.gateway.backends.harvests import TEN, BusHarvests
from chorus.gateway.commands.history import Channel
from tests.support.servers import Servers
from tests.unit.gateway.histories import said

GENERAL = Channel(1, "general", "GuildTextChat")
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


async def still() -> bool:
    return True


async def no_more() -> bool:
    return False


class Place:
    """One guild's harvests."""

    def __init__(self, guild: str, records: Bucket[Mined], store: ObjectStore) -> None:
        self.guild, self.records, self.store = guild, records, store
        self.harvests = BusHarvests(records, store)

    async def open(self, *, since: datetime | None = None, anew: bool = False):  # type: ignore[no-untyped-def]
        return await self.harvests.open(self.guild, "club", since=since, anew=anew)

    async def record(self) -> Entry[Mined]:
        entry = await self.records.get(mining_key(self.guild, "club"))
        assert entry is not None
        return entry

    async def stored(self) -> set[str]:
        return {found.key for found in await self.store.list(FILES, f"{self.guild}/")}

    async def ids(self, sources: Sequence[Source]) -> list[str]:
        ids: list[str] = []
        for source in sources:
            with zipfile.ZipFile(io.BytesIO(await self.store.get(source.file))) as archive:
                ids += [m["id"] for n in archive.namelist() for m in json.loads(archive.read(n))["messages"]]
        return sorted(ids, key=int)


@pytest.fixture
async def place(servers: Servers, guild: str) -> AsyncIterator[Place]:
    async with servers.connected("gateway") as connection:
        yield Place(guild, await open_bucket(connection, SETTINGS, Mined), servers.store())


async def test_what_is_kept_is_there_the_next_time(place: Place) -> None:
    harvest = await place.open()
    assert (harvest.after(1), harvest.sources) == (0, [])
    await harvest.keep([(GENERAL, [said(7, "ada")])], {1: 9}, still)
    again = await place.open()
    assert (again.after(1), again.after(2)) == (9, 0)
    assert again.sources == harvest.sources
    assert await place.ids(again.sources) == ["7"]


async def test_where_nothing_was_said_only_the_cursor_moves(place: Place) -> None:
    harvest = await place.open()
    await harvest.keep([(GENERAL, [])], {1: 9}, still)
    assert ((await place.open()).after(1), await place.stored()) == (9, set())


async def test_a_crash_before_the_cursor_moves_doubles_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise Unavailable("The state store did not answer.")

    words = [(GENERAL, [said(7, "ada")])]
    with monkeypatch.context() as patch:
        patch.setattr(place.records, "update", crash)
        with pytest.raises(Unavailable):
            await (await place.open()).keep(words, {1: 9}, still)
    assert len(await place.stored()) == 1
    again = await place.open()
    assert (again.after(1), again.sources) == (0, [])
    await again.keep(words, {1: 9}, still)
    assert {source.file.key for source in again.sources} == await place.stored()


async def test_ten_parts_of_a_kind_become_one(place: Place) -> None:
    harvest = await place.open()
    for number in range(1, TEN):
        await harvest.keep([(GENERAL, [said(number, "ada")])], {1: number}, still)
    assert len(harvest.sources) == TEN - 1
    await harvest.keep([(GENERAL, [said(TEN, "ada")])], {1: TEN}, still)
    (part,) = (await place.record()).value.parts
    assert part.messages == TEN
    assert await place.ids([part.source]) == [str(number) for number in range(1, TEN + 1)]


async def test_of_two_who_mine_at_once_one_is_told_and_leaves_nothing_behind(place: Place) -> None:
    one, other = await place.open(), await place.open()
    await one.keep([(GENERAL, [said(7, "ada")])], {1: 9}, still)
    with pytest.raises(Conflict) as error:
        await other.keep([(GENERAL, [said(7, "ada"), said(8, "ada")])], {1: 9}, still)
    assert error.value.code == "mined_meanwhile"
    assert await place.stored() == {source.file.key for source in one.sources}


async def test_who_loses_against_the_same_words_deletes_nothing(place: Place) -> None:
    one, other = await place.open(), await place.open()
    await one.keep([(GENERAL, [said(7, "ada")])], {1: 9}, still)
    with pytest.raises(Conflict):
        await other.keep([(GENERAL, [said(7, "ada")])], {1: 9}, still)
    assert await place.ids((await place.open()).sources) == ["7"]


async def test_where_words_were_deleted_meanwhile_they_do_not_come_back(place: Place) -> None:
    harvest = await place.open()
    await harvest.keep([(GENERAL, [said(7, "ada")])], {1: 9}, still)
    entry = await place.record()
    await place.records.update(entry, entry.value.emptied())
    await place.store.delete(FILES, await place.stored())
    with pytest.raises(Conflict):
        await harvest.keep([(GENERAL, [said(10, "ada")])], {1: 10}, still)
    again = await place.open()
    assert (again.after(1), again.sources, await place.stored()) == (0, [], set())


async def test_where_somebody_was_forgotten_meanwhile_nothing_of_the_last_part_is_left(place: Place) -> None:
    harvest = await place.open()
    await harvest.keep([(GENERAL, [said(7, "ada")])], {1: 9}, still)
    kept = await place.stored()
    entry = await place.record()
    await place.records.update(entry, entry.value.model_copy(update={"touched_at": SINCE}))
    with pytest.raises(Conflict) as error:
        await harvest.keep([(GENERAL, [said(10, "bob")])], {1: 10}, still)
    assert (error.value.code, "Run `!mine` again." in error.value.message) == ("mined_meanwhile", True)
    assert await place.stored() == kept
    assert (await place.record()).value.parts == entry.value.parts


async def test_whoever_is_forgotten_before_the_first_part_is_there_finds_the_record(place: Place) -> None:
    harvest = await place.open()
    entry = await place.record()
    await place.records.update(entry, entry.value.model_copy(update={"touched_at": SINCE}))
    with pytest.raises(Conflict):
        await harvest.keep([(GENERAL, [said(7, "ada")])], {1: 9}, still)
    assert await place.stored() == set()


async def test_what_may_not_be_kept_any_more_goes_at_once_with_what_it_was_merged_into(place: Place) -> None:
    harvest = await place.open()
    for number in range(1, TEN):
        await harvest.keep([(GENERAL, [said(number, "ada")])], {1: number}, still)
    kept, before = await place.stored(), await place.record()
    with pytest.raises(Conflict) as error:
        await harvest.keep([(GENERAL, [said(TEN, "bob")])], {1: TEN}, no_more)
    assert error.value.code == "mined_meanwhile"
    assert (await place.stored(), await place.record()) == (kept, before)


async def test_a_part_that_cannot_be_merged_leaves_nothing_behind(place: Place) -> None:
    harvest = await place.open()
    for number in range(1, TEN):
        await harvest.keep([(GENERAL, [said(number, "ada")])], {1: number}, still)
    await place.store.delete(FILES, await place.stored())
    with pytest.raises(Conflict):
        await harvest.keep([(GENERAL, [said(TEN, "bob")])], {1: TEN}, still)
    assert await place.stored() == set()


async def test_the_same_words_in_another_dataset_are_not_taken_from_it(place: Place) -> None:
    other = await place.harvests.open(place.guild, "other", since=None, anew=False)
    await other.keep([(GENERAL, [said(7, "ada")])], {1: 9}, still)
    with pytest.raises(Conflict):
        await (await place.open()).keep([(GENERAL, [said(7, "ada")])], {1: 9}, no_more)
    assert await place.ids(other.sources) == ["7"]


async def test_what_was_merged_stays_for_the_datasets_that_came_from_it(place: Place) -> None:
    harvest = await place.open()
    for number in range(1, TEN):
        await harvest.keep([(GENERAL, [said(number, "ada")])], {1: number}, still)
    sources = harvest.sources
    await harvest.keep([(GENERAL, [said(TEN, "ada")])], {1: TEN}, still)
    assert len(harvest.sources) == 1
    assert len(await place.ids(sources)) == TEN - 1


async def test_where_a_part_is_gone_everything_is_read_anew(place: Place) -> None:
    harvest = await place.open()
    await harvest.keep([(GENERAL, [said(7, "ada")])], {1: 9}, still)
    await place.store.delete(FILES, await place.stored())
    again = await place.open()
    assert (again.after(1), again.sources) == (0, [])
    await again.keep([(GENERAL, [said(8, "ada")])], {1: 9}, still)
    assert await place.ids((await place.open()).sources) == ["8"]


async def test_anew_forgets_what_was_read_and_another_day_does_too(place: Place) -> None:
    harvest = await place.open(since=SINCE)
    first = harvest.after(1)
    assert datetime.fromtimestamp(((first + 1 >> 22) + 1_420_070_400_000) / 1000, UTC) == SINCE
    await harvest.keep([(GENERAL, [said(first + 7, "ada")])], {1: first + 9}, still)
    assert (await place.open()).after(1) == first + 9, "without a day, it goes on"
    assert (await place.open(since=SINCE)).after(1) == first + 9
    assert (await place.open(since=SINCE, anew=True)).after(1) == first
    earlier = await place.open(since=datetime(2025, 1, 1, tzinfo=UTC))
    assert 0 < earlier.after(1) < first
    assert earlier.sources == []
