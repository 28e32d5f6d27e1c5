"""Buckets of typed records: compare-and-set, news of changes, claims that fence."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from chorus.common.bus.claims import Claim, ClaimLost
from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.topology import JOBS, SETTINGS
from chorus.common.contracts.training import JobRecord
from chorus.common.errors import Conflict, InvalidInput, NotFound, Unavailable
from tests.support.servers import Servers


@pytest.fixture
async def bucket(servers: Servers) -> AsyncIterator[Bucket[GuildSettings]]:
    async with servers.connected("gateway") as connection:
        yield await open_bucket(connection, SETTINGS, GuildSettings)


def voice(name: str) -> GuildSettings:
    return GuildSettings(voice=name)


async def test_a_record_is_read_as_it_was_written(bucket: Bucket[GuildSettings], guild: str) -> None:
    assert await bucket.get(guild) is None
    made = await bucket.create(guild, voice("one"))
    assert await bucket.get(guild) == made


async def test_creating_twice_is_a_conflict(bucket: Bucket[GuildSettings], guild: str) -> None:
    await bucket.create(guild, voice("one"))
    with pytest.raises(Conflict):
        await bucket.create(guild, voice("two"))


async def test_only_what_was_read_can_be_replaced(bucket: Bucket[GuildSettings], guild: str) -> None:
    old = await bucket.create(guild, voice("one"))
    await bucket.update(old, voice("two"))
    with pytest.raises(Conflict):
        await bucket.update(old, voice("three"))
    entry = await bucket.get(guild)
    assert entry is not None
    assert entry.value == voice("two")


async def test_changes_from_all_sides_are_all_made(bucket: Bucket[GuildSettings], guild: str) -> None:
    await bucket.create(guild, voice(""))
    await asyncio.gather(
        *(
            bucket.change(guild, lambda old, i=i: voice(f"{old.voice}{i}"))  # type: ignore[misc]
            for i in range(5)
        )
    )
    entry = await bucket.get(guild)
    assert entry is not None
    assert sorted(entry.value.voice or "") == list("01234")


async def test_changing_what_is_not_there(bucket: Bucket[GuildSettings], guild: str) -> None:
    with pytest.raises(NotFound):
        await bucket.change(guild, lambda old: old)
    made = await bucket.change(guild, lambda old: voice("new"), initial=GuildSettings())
    assert made.value == voice("new")


async def test_a_key_with_other_letters_is_refused(bucket: Bucket[GuildSettings]) -> None:
    with pytest.raises(Unavailable):
        await bucket.get("a key: with blanks")


async def test_news_come_as_they_are_stored(
    bucket: Bucket[GuildSettings], servers: Servers, guild: str
) -> None:
    """Also after the server has been killed and has come back."""
    async with servers.connected("operator") as connection:
        watched = await open_bucket(connection, SETTINGS, GuildSettings)
        await bucket.create(guild, voice("before"))
        async with aclosing(watched.follow()) as news:

            async def until(name: str) -> None:
                async with asyncio.timeout(30):
                    async for entry in news:
                        if entry.key == guild and entry.value == voice(name):
                            return

            await until("before")
            await bucket.change(guild, lambda old: voice("now"))
            await until("now")
            os.kill(servers.nats.child.pid, signal.SIGKILL)
            await servers.nats.child.wait()
            await servers.nats.start()
            await servers.nats.until_ready()
            while True:
                try:
                    await bucket.change(guild, lambda old: voice("after"))
                    break
                except Unavailable:
                    await asyncio.sleep(0.1)
            await until("after")


async def test_a_record_that_cannot_be_read_stops_nobody_elses(
    bucket: Bucket[GuildSettings], servers: Servers, guild: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def spoil(key: str) -> None:
        async with servers.connected("gateway") as connection:
            await (await connection.jetstream().key_value(SETTINGS)).put(key, b'{"v":2,"voice":"private"}')

    await spoil(f"{guild}0")
    await bucket.create(guild, voice("before"))
    assert guild in [entry.key for entry in await bucket.entries()]
    with pytest.raises(InvalidInput):
        await bucket.get(f"{guild}0")
    async with servers.connected("operator") as connection:
        watched = await open_bucket(connection, SETTINGS, GuildSettings)
        async with aclosing(watched.follow()) as news, asyncio.timeout(30):
            seen = []
            async for entry in news:
                seen.append(entry.key)
                if (entry.key, entry.value) == (guild, voice("before")):
                    await spoil(f"{guild}1")
                    await bucket.change(guild, lambda old: voice("after"))
                if (entry.key, entry.value) == (guild, voice("after")):
                    break
    assert not {f"{guild}0", f"{guild}1"} & set(seen)
    told = capsys.readouterr().out
    assert f"{guild}0" in told
    assert f"{guild}1" in told
    assert "private" not in told


async def test_a_bucket_that_is_not_provisioned(servers: Servers) -> None:
    async with servers.connected("operator") as connection:
        with pytest.raises(Unavailable, match="chorus provision"):
            await open_bucket(connection, "nothing", GuildSettings)


async def test_a_claim_survives_what_others_write_beside_it(
    bucket: Bucket[GuildSettings], guild: str
) -> None:
    entry = await bucket.create(guild, voice("mine"))
    claim = Claim(bucket, entry, lambda record: record.voice == "mine")
    await bucket.change(guild, lambda old: old.model_copy(update={"promote": "ask"}))
    written = await claim.write(lambda old: old)
    assert written.promote == "ask"


async def test_a_lost_claim_writes_nothing(bucket: Bucket[GuildSettings], guild: str) -> None:
    entry = await bucket.create(guild, voice("mine"))
    claim = Claim(bucket, entry, lambda record: record.voice == "mine")
    await bucket.change(guild, lambda old: voice("theirs"))
    with pytest.raises(ClaimLost):
        await claim.write(lambda old: voice("mine again"))
    with pytest.raises(ClaimLost):
        await claim.refresh()
    current = await bucket.get(guild)
    assert current is not None
    assert current.value == voice("theirs")


async def test_keys_of_one_guild(servers: Servers) -> None:
    async with servers.connected("gateway") as connection:
        jobs = await open_bucket(connection, JOBS, JobRecord)
        assert await jobs.keys("999999.") == []
