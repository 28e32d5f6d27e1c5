"""Checks of NATS and of the object store: reached, let in, as `chorus provision` makes them, of one time."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any

from nats.js.api import ConsumerConfig, ConsumerInfo, StreamConfig, StreamInfo

from chorus.common.bus.connection import Connection
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.storage import BUCKETS, FILES, once
from chorus.common.contracts.topology import KV_BUCKETS, STREAMS, TRAIN, TRAINER_CONSUMER, trainer_consumer
from chorus.common.errors import NotFound, NotPermitted
from chorus.common.objects import ObjectStore
from chorus.common.operations.access import JetStreamRefused, jetstream
from chorus.common.operations.findings import Finding, doubtful, good, wrong

OLDEST_SERVER = (2, 11)  # of nats-server: the first that can pause a consumer
SKEW, FAR_APART = 1.0, 10.0  # seconds: deadlines travel as points in time, and S3 refuses after 15 minutes
FULL = 0.8  # of what JetStream may keep
PROVISION = "Run `chorus provision`."
OUR_CHOICE = ("num_replicas", "ack_wait")  # settings of each place

PROBE = b"chorus doctor was here\n"


async def bus(connection: Connection, user: str) -> list[Finding]:
    """NATS, from its door to the last stream, for who came as `user`."""
    server = connection.connected_server_version
    told = f"It lets {user} in; nats-server {server.major}.{server.minor}.{server.patch}."
    old = (server.major, server.minor) < OLDEST_SERVER
    oldest = ".".join(map(str, OLDEST_SERVER))
    try:
        await (await connection.listen(connection.new_inbox())).unsubscribe()
    except NotPermitted:
        told = f"It lets us in, but not as {user}: the key in CHORUS_NATS_NKEY_FILE is another user's."
        return [wrong("nats", told, "Name the operator's; or call the file after its user: gateway.nk.")]
    door = wrong("nats", told, f"Chorus needs {oldest} or newer.") if old else good("nats", told)
    try:
        return [door, *[finding async for finding in _streams(connection)]]
    except NotPermitted as error:
        return [door, doubtful("streams", error.message, "The key of the user operator may look at all.")]


async def _streams(connection: Connection) -> AsyncIterator[Finding]:
    account = await jetstream(connection, "INFO")
    yield _room(account)
    missing: list[str] = []
    different: list[str] = []
    for config in (*STREAMS, *KV_BUCKETS):
        asked = time.time()
        try:
            answer = await jetstream(connection, f"STREAM.INFO.{config.name}")
        except JetStreamRefused:
            missing.append(str(config.name))
            continue
        if config.name == TRAIN:
            yield _clock(answer, asked, time.time())
        there = StreamInfo.from_response(answer).config
        different += [f"{config.name} ({name})" for name in differing(config, there)]
    different += [name async for name in _consumer(connection)]
    yield _provisioned(missing, different)


async def _consumer(connection: Connection) -> AsyncIterator[str]:
    try:
        answer = await jetstream(connection, f"CONSUMER.INFO.{TRAIN}.{TRAINER_CONSUMER}")
    except JetStreamRefused:
        yield f"{TRAIN} > {TRAINER_CONSUMER} (missing)"
        return
    there = ConsumerInfo.from_response(answer).config
    for name in differing(trainer_consumer(1.0), there):
        yield f"{TRAIN} > {TRAINER_CONSUMER} ({name})"


def differing(
    ours: StreamConfig | ConsumerConfig, theirs: StreamConfig | ConsumerConfig | None
) -> Iterator[str]:
    """Names of what is set in ours and is otherwise in theirs; what each place chooses is not looked at."""
    for field in fields(ours):
        wanted = getattr(ours, field.name)
        if (
            wanted is not None
            and field.name not in OUR_CHOICE
            and wanted != getattr(theirs, field.name, None)
        ):
            yield field.name


def _room(account: dict[str, Any]) -> Finding:
    used, most = account["storage"], account["limits"]["max_storage"]
    told = f"It keeps {used / 1e6:.1f} MB in {account['streams']} streams"
    if most > 0 and used > FULL * most:
        return doubtful("jetstream", f"{told}, of {most / 1e6:.0f}.", "Give it more, or purge what is old.")
    return good("jetstream", f"{told}.")


def _clock(answer: dict[str, Any], asked: float, heard: float) -> Finding:
    """How far the server's time is from ours; it was said between `asked` and `heard`."""
    if "ts" not in answer:
        return doubtful("clock", "The server does not tell its time.")
    theirs = datetime.fromisoformat(answer["ts"]).timestamp()
    apart = max(asked - theirs, theirs - heard, 0.0)
    told = f"NATS and this machine are {apart:.1f} s apart."
    fix = "Have both follow NTP: `timedatectl set-ntp true`."
    if apart > FAR_APART:
        return wrong("clock", told, fix)
    return doubtful("clock", told, fix) if apart > SKEW else good("clock", told)


def _provisioned(missing: list[str], different: list[str]) -> Finding:
    if missing:
        return wrong("streams", f"Missing: {', '.join(missing)}.", PROVISION)
    if different:
        return wrong("streams", f"Not as this version needs them: {', '.join(different)}.", PROVISION)
    return good("streams", f"All {len(STREAMS) + len(KV_BUCKETS)} are as this version needs them.")


async def buckets(store: ObjectStore) -> list[Finding]:
    """Whether they are there, as far as this user may see."""
    missing: list[str] = []
    unseen: list[str] = []
    for name in BUCKETS:
        try:
            await store.any_in(name)
        except NotPermitted:
            unseen.append(name)
        except NotFound:
            missing.append(name)
    if missing:
        return [wrong("buckets", f"Missing: {', '.join(missing)}.", PROVISION)]
    if unseen:
        return [good("buckets", f"This user may not look into {', '.join(unseen)}; the others are there.")]
    return [good("buckets", f"{', '.join(BUCKETS)} are there.")]


async def probe(store: ObjectStore) -> list[Finding]:
    """Write an object, read it, delete it."""
    key = once(LOCAL)
    ref = await store.put(FILES, key, PROBE)
    if await store.get(ref) != PROBE:
        return [wrong("s3", "What was written is not what is read.", "Look into the S3 server's log.")]
    try:
        await store.delete(FILES, [key])
    except NotPermitted:
        return [good("s3", "This user may write and read, and not delete: the keeper does that in an hour.")]
    return [good("s3", "An object was written, read and deleted.")]
