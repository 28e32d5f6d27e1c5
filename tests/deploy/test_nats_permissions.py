"""Least privilege, as shipped, over TLS: what the contracts allow a user works, everything else is refused.

Every subject that anybody may use is tried by everybody. What must be denied follows from the contracts,
and from who serves what, which stands here: a contract that is too wide does not widen what is expected.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import ExitStack, suppress
from itertools import chain, zip_longest
from pathlib import Path

import pytest
import yaml
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, StreamConfig
from nats.js.errors import NotFoundError

from chorus.common.bus.jobs import Delivery, JobWorker, LeaveAlone, Outcome
from chorus.common.contracts.permissions import QUEUE_GROUP, SYSTEM_USERS, USERS
from chorus.common.contracts.topology import (
    KV_BUCKETS,
    STREAMS,
    TRAIN,
    TRAINER_CONSUMER,
    trainer_consumer,
)
from chorus.common.errors import NotPermitted
from tests.support.secured import SHIPPED, SecuredNats, secured_nats
from tests.support.servers import Servers, running_servers

ALL = {**USERS, **SYSTEM_USERS}
PROMPTLY = 20.0  # seconds: far below the time-outs that are asked for, far above what a refusal takes
CREATED = (*STREAMS, *KV_BUCKETS)
BUCKETS = [str(stream.name).removeprefix("KV_") for stream in KV_BUCKETS]
DANGEROUS = {
    *(f"_INBOX.{user}.x" for user in ALL),
    *(f"$JS.API.STREAM.{deed}.X" for deed in ("CREATE", "UPDATE", "DELETE", "PURGE", "SNAPSHOT", "RESTORE")),
    *(f"$JS.API.STREAM.MSG.DELETE.{stream.name}" for stream in CREATED),
    *(f"$JS.API.CONSUMER.CREATE.{stream.name}" for stream in CREATED),
    *(f"$JS.API.CONSUMER.{deed}.TRAIN.x" for deed in ("CREATE", "DURABLE.CREATE", "DELETE", "MSG.NEXT")),
    *(f"$JS.ACK.{stream.name}.{TRAINER_CONSUMER}.1.2.3.4.5" for stream in CREATED),
    *(f"$KV.{bucket}.x.y" for bucket in BUCKETS),
    *(f"changed.{bucket}.x.y" for bucket in BUCKETS),
    *(f"$JS.API.DIRECT.GET.{stream.name}" for stream in CREATED),
    "$JS.API.ACCOUNT.PURGE.APP",
    *(f"$SYS.REQ.SERVER.x.{order}" for order in ("RELOAD", "LDM", "KICK")),
    "$SYS.REQ.CLAIMS.UPDATE",
    "$JS.EVENT.ADVISORY.x",
    "anything",
}
SERVED_BY = {
    "trainer": (
        *("train.v1.check", "train.v1.order", "train.v1.merge"),
        *(
            f"data.v1.{verb}"
            for verb in ("import", "build", "list", "preview", "select", "archive", "delete")
        ),
        *(f"consent.v1.{verb}" for verb in ("set", "forget", "export")),
    ),
    "inference": (
        *("infer.v1.generate", "infer.v1.generate.*", "infer.v1.score", "infer.v1.score.*"),
        "infer.v1.models",
    ),
    "speech": ("speech.v1.tts", "speech.v1.stt", "speech.v1.voices"),
}
"""Requests, by who alone may hear them."""


@pytest.fixture(scope="module", params=["compose", "kubernetes", "one machine"])
async def nats(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SecuredNats | Servers]:
    """NATS as it is run in each of these places, with all streams."""
    folder = tmp_path_factory.mktemp("nats")
    if request.param == "one machine":
        async with running_servers(folder) as here:
            yield here
        return
    config = as_helm_writes_it(folder) if request.param == "kubernetes" else None
    async with secured_nats(folder, config=config) as running:
        async with running.connected("provisioner") as connection:
            js = connection.jetstream()
            for stream in CREATED:
                await js.add_stream(stream)
            await js.add_consumer(TRAIN, trainer_consumer(60))
        yield running


def as_helm_writes_it(folder: Path) -> Path:
    """Our values as NATS's Helm chart writes them: as JSON, but `<< $NAME >>` without quotes."""
    merged = yaml.safe_load((SHIPPED / "accounts.values.yaml").read_text())["config"]["merge"]
    accounts, system = (
        re.sub(r'"<< (.*?) >>"', r"\1", json.dumps(merged[name])) for name in ("accounts", "system_account")
    )
    server = (SHIPPED / "nats-server.conf").read_text().replace('include "./accounts.conf"', "")
    path = folder / "nats.conf"
    path.write_text(f"{server}accounts: {accounts}\nsystem_account: {system}\n")
    return path


def concrete(pattern: str) -> str:
    """A subject that the pattern covers."""
    return pattern.replace("*", "x").replace(">", "x.y")


def covers(pattern: str, subject: str) -> bool:
    """Whether all that matches `subject` (which may be a pattern) matches `pattern`."""
    for index, part in enumerate(wanted := pattern.split(".")):
        given = subject.split(".")[index:]
        if part == ">":
            return bool(given)
        if not given or (part != given[0] and (part != "*" or given[0] == ">")):
            return False
    return len(subject.split(".")) == len(wanted)


def publishable(user: str) -> Iterator[tuple[str, bool]]:
    """Each subject that somebody may publish to, or nobody should, and whether `user` may."""
    tried = {concrete(p) for p in chain.from_iterable(each.publish for each in ALL.values())} | DANGEROUS
    for subject in sorted(tried):
        yield subject, may_publish(user, subject)


def hearable(user: str, queue: str) -> Iterator[tuple[str, bool]]:
    """What somebody may subscribe to with this queue, or nobody should, and whether `user` may."""
    granted = [(*entry.split(" "), "")[:2] for entry in ALL[user].subscribe] + [(f"_INBOX.{user}.>", "")]
    served = set(chain.from_iterable(each.publish for each in USERS.values()))
    somebody = {entry.split(" ")[0] for each in ALL.values() for entry in each.subscribe}
    spying = {">", "*", "_INBOX.>", "$KV.>", "$JS.>", "$SYS.>", "*.v1.>"}
    for subject in sorted(somebody | served | {f"_INBOX.{name}.>" for name in ALL} | spying):
        yield subject, any(covers(p, subject) and group in ("", queue) for p, group in granted)


def overlap(one: str, other: str) -> bool:
    """Whether some subject matches both patterns."""
    for a, b in zip_longest(one.split("."), other.split(".")):
        if None in (a, b):
            return False
        if ">" in (a, b):
            return True
        if a != b and "*" not in (a, b):
            return False
    return True


@pytest.mark.parametrize("user", ALL)
def test_a_request_is_heard_by_its_owner_alone_and_by_one_process(user: str) -> None:
    granted = [(*entry.split(" "), "")[:2] for entry in ALL[user].subscribe]
    for owner, requests in SERVED_BY.items():
        for request in requests:
            heard = [(pattern, group) for pattern, group in granted if overlap(pattern, request)]
            assert heard == ([(request, QUEUE_GROUP)] if user == owner else [])
    in_group = {pattern for pattern, group in granted if group}
    assert in_group == set(SERVED_BY.get(user, ()))


@pytest.mark.parametrize("user", ALL)
def test_only_services_are_asked_who_they_are(user: str) -> None:
    assert any(overlap(p.split(" ")[0], "$SRV.>") for p in ALL[user].subscribe) is (user in SERVED_BY)


@pytest.mark.parametrize("user", sorted(user for user, each in ALL.items() if each.responses))
def test_whoever_may_answer_cannot_ask_themselves(user: str) -> None:
    """They would name any subject for the answer, and be allowed to publish there."""
    heard = [entry.split(" ")[0] for entry in ALL[user].subscribe] + [f"_INBOX.{user}.>"]
    assert [(p, q) for p in ALL[user].publish for q in heard if overlap(p, q)] == []


@pytest.mark.parametrize("user", ALL)
async def test_each_user_may_publish_what_the_contracts_say_and_nothing_else(
    nats: SecuredNats, user: str
) -> None:
    expected = {subject for subject, allowed in publishable(user) if not allowed}
    async with nats.connected(user) as connection:
        with ExitStack() as stack:
            refusals = {s: stack.enter_context(connection.refusal_of(s)) for s, _ in publishable(user)}
            for subject in refusals:
                # An expectation that cannot hold, so that nothing is stored where it is allowed.
                await connection.publish(subject, b"", headers={"Nats-Expected-Last-Sequence": "987654321"})
            await connection.flush()
            assert {subject for subject, refusal in refusals.items() if refusal.done()} == expected


@pytest.mark.parametrize("queue", ["", QUEUE_GROUP])
@pytest.mark.parametrize("user", ALL)
async def test_each_user_may_hear_what_the_contracts_say_and_nothing_else(
    nats: SecuredNats, user: str, queue: str
) -> None:
    expected = {subject for subject, allowed in hearable(user, queue) if not allowed}
    async with nats.connected(user) as connection:
        with ExitStack() as stack:
            refusals = {s: stack.enter_context(connection.refusal_of(s)) for s, _ in hearable(user, queue)}
            for subject in refusals:
                await connection.subscribe(subject, queue=queue, cb=unheard)
            await connection.flush()
            assert {subject for subject, refusal in refusals.items() if refusal.done()} == expected


async def unheard(_: Msg) -> None:
    """What others say meanwhile."""


@pytest.mark.parametrize("user", sorted(set(USERS) - {"provisioner"}))
async def test_no_service_makes_changes_or_deletes_what_is_shared(nats: SecuredNats, user: str) -> None:
    async with nats.connected(user) as connection:
        js = connection.jetstream(timeout=60)
        mine = StreamConfig(name="MINE", subjects=["mine"])
        spying = ConsumerConfig(durable_name="mine", deliver_subject="mine")
        await refused(js.add_stream(mine))
        await refused(js.update_stream(StreamConfig(name=TRAIN, subjects=["mine"])))
        await refused(js.delete_stream(TRAIN))
        await refused(js.purge_stream(TRAIN))
        await refused(js.add_consumer(TRAIN, spying))
        await refused(js.delete_consumer(TRAIN, TRAINER_CONSUMER))


@pytest.mark.parametrize("user", USERS)
async def test_each_bucket_is_read_and_written_by_whom_the_contracts_name(
    nats: SecuredNats, user: str
) -> None:
    async with nats.connected(user) as connection:
        js = connection.jetstream(timeout=60)
        for bucket in BUCKETS:
            stream, key = f"KV_{bucket}", f"$KV.{bucket}.{user}.x"
            if may_publish(user, key):
                await js.publish(key, b"{}")
            else:
                await refused(js.publish(key, b"{}"))
            if may_publish(user, f"$JS.API.STREAM.INFO.{stream}"):
                await js.key_value(bucket)
            else:
                await refused(js.key_value(bucket))
            if may_publish(user, f"$JS.API.STREAM.MSG.GET.{stream}"):
                with suppress(NotFoundError):
                    await js.get_last_msg(stream, key)
            else:
                await refused(js.get_last_msg(stream, key))


@pytest.mark.parametrize("user", sorted(set(ALL) - {"trainer"}))
async def test_nobody_acknowledges_a_job_but_the_trainer(nats: SecuredNats, user: str) -> None:
    async with nats.connected(user) as connection:
        await refused(
            connection.request(f"$JS.ACK.{TRAIN}.{TRAINER_CONSUMER}.1.1.1.1.0", b"+ACK", timeout=60)
        )


async def test_a_worker_that_may_not_fetch_says_so(nats: SecuredNats) -> None:
    """nats-py waits for what never comes: nothing answers a refused fetch."""
    failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handle(_: Delivery) -> Outcome:
        return LeaveAlone()

    async with nats.connected("operator") as connection:  # who may look at the queue
        worker = JobWorker(
            *(connection, TRAIN, TRAINER_CONSUMER, handle),
            slots=1,
            ack_wait=60.0,
            grace=1.0,
            on_failed=failed.set_result,
        )
        async with worker, asyncio.timeout(PROMPTLY):
            assert "may not publish to '$js.api.consumer.msg.next.train.trainer'" in await failed


async def test_the_monitor_sees_the_servers_and_the_services_do_not(nats: SecuredNats) -> None:
    async with nats.connected("monitor") as connection:
        answer = await connection.request("$SYS.REQ.SERVER.PING.VARZ", timeout=PROMPTLY)
        assert json.loads(answer.data)["data"]["connections"]
    for user in USERS:
        async with nats.connected(user) as connection:
            await refused(connection.request("$SYS.REQ.SERVER.PING.VARZ", timeout=60))


def may_publish(user: str, subject: str) -> bool:
    return any(covers(pattern, subject) for pattern in ALL[user].publish)


async def refused(deed: Awaitable[object]) -> None:
    """It is refused, with the reason, long before its time is up."""
    async with asyncio.timeout(PROMPTLY):
        with pytest.raises(NotPermitted, match="This NATS user may not publish to") as error:
            await deed
    assert error.value.code == "bus_not_permitted"
