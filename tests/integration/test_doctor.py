"""`chorus doctor` and `chorus status` with real servers: what is well, what is missing, who answers."""

import dataclasses
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from chorus.common.bus.connection import Connection
from chorus.common.bus.responder import Responder
from chorus.common.contracts.generation import SERVED, ListServed, Served
from chorus.common.contracts.models import BaseModelId
from chorus.common.contracts.speech import VOICES
from chorus.common.contracts.topology import DLQ, STREAMS, TRAIN, TRAINER_CONSUMER
from chorus.common.contracts.wire import Request
from chorus.common.errors import InvalidInput
from chorus.common.objects import open_store
from chorus.common.operations import servers as checks
from chorus.common.operations.access import jetstream
from chorus.common.operations.findings import Finding, Verdict
from chorus.common.operations.screenful import screenful
from chorus.common.operations.status import Status, as_json, status
from chorus.gateway.frontends.cli.doctor import examine
from tests.support.servers import Servers

ALL_WELL = {"nats", "jetstream", "clock", "streams", "buckets", "s3", "settings", "discord"}
BASE = BaseModelId(name="starter", fingerprint="0" * 64)


class Nothing(Request):
    """An empty question."""


@pytest.fixture
def named(servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of an operator who is somewhere else."""
    monkeypatch.chdir(tmp_path)
    for name, value in servers.stack.environment("operator").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHORUS_DATA", str(tmp_path))


@pytest.fixture
async def provisioner(servers: Servers) -> AsyncIterator[Connection]:
    async with servers.connected("provisioner") as connection:
        yield connection


async def on_the_bus(servers: Servers, user: str = "operator") -> dict[str, Finding]:
    async with servers.connected(user) as connection:
        return {one.name: one for one in await checks.bus(connection, user)}


@pytest.mark.usefixtures("named")
async def test_servers_that_are_well_are_called_so(servers: Servers) -> None:
    found = {one.name: one for one in await examine()}
    assert {name for name in ALL_WELL if found[name].verdict is not Verdict.GOOD} == set()
    assert found["services"].verdict is Verdict.DOUBTFUL
    assert "trainer, inference, speech" in found["services"].what
    seed = servers.settings("operator").nats_nkey_file
    assert seed is not None
    assert seed.read_text() not in str(found)


async def test_a_stream_that_is_missing_or_otherwise_is_named(
    servers: Servers, provisioner: Connection
) -> None:
    js, config = provisioner.jetstream(), next(one for one in STREAMS if one.name == DLQ)
    await js.update_stream(dataclasses.replace(config, max_bytes=1024**2))
    assert "DLQ (max_bytes)" in (await on_the_bus(servers))["streams"].what
    await js.delete_stream(DLQ)
    missing = (await on_the_bus(servers))["streams"]
    assert (missing.verdict, missing.what) == (Verdict.WRONG, "Missing: DLQ.")
    await js.add_stream(config)
    assert (await on_the_bus(servers))["streams"].verdict is Verdict.GOOD


async def test_the_queues_consumer_is_looked_at(servers: Servers, provisioner: Connection) -> None:
    js = provisioner.jetstream()
    config = (await js.consumer_info(TRAIN, TRAINER_CONSUMER)).config
    await js.delete_consumer(TRAIN, TRAINER_CONSUMER)
    assert "TRAIN > trainer (missing)" in (await on_the_bus(servers))["streams"].what
    await js.add_consumer(TRAIN, dataclasses.replace(config, max_deliver=3))
    assert "TRAIN > trainer (max_deliver)" in (await on_the_bus(servers))["streams"].what
    await js.delete_consumer(TRAIN, TRAINER_CONSUMER)
    await js.add_consumer(TRAIN, config)
    assert (await on_the_bus(servers))["streams"].verdict is Verdict.GOOD


async def test_a_clock_that_is_off_is_told(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 60)
    assert (await on_the_bus(servers))["clock"].verdict is Verdict.WRONG
    monkeypatch.setattr(time, "time", lambda: real() - 5)
    assert (await on_the_bus(servers))["clock"].verdict is Verdict.DOUBTFUL


async def test_a_user_who_may_not_look_is_told_who_may(servers: Servers) -> None:
    found = await on_the_bus(servers, "speech")
    assert found["nats"].verdict is Verdict.GOOD
    assert "operator" in found["streams"].fix


@pytest.mark.usefixtures("named")
async def test_a_key_that_is_another_users_is_told(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = servers.settings("speech").nats_nkey_file
    assert seed is not None
    key = tmp_path / "nkey"
    key.write_bytes(seed.read_bytes())
    monkeypatch.setenv("CHORUS_NATS_NKEY_FILE", str(key))
    found = next(one for one in await examine() if one.name == "nats")
    assert (found.verdict, "not as operator" in found.what) == (Verdict.WRONG, True)


@pytest.mark.usefixtures("named")
async def test_it_comes_to_nats_once(monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[str] = []
    real = Client.connect

    async def connect(self: Client, *args: Any, **options: Any) -> None:
        came.append(options["name"])
        await real(self, *args, **options)

    monkeypatch.setattr(Client, "connect", connect)
    assert {"nats", "streams", "services"} <= {one.name for one in await examine()}
    assert len(came) == 1


async def test_wrong_credentials_of_s3_are_told_and_not_shown(
    named: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHORUS_S3_SECRET_KEY", "not-the-right-one-at-all")
    found = {one.name: one for one in await examine()}
    assert found["s3"].verdict is Verdict.WRONG
    assert "not-the-right-one" not in str(found)


# --- status --------------------------------------------------------------------------------------
async def status_of(servers: Servers) -> Status:
    async with servers.connected("operator") as operator:
        return await status(operator, open_store(servers.settings("operator"), patient=False))


async def served(_: ListServed) -> Served:
    return Served(instance="inference/a", base=BASE, state="ready", resident=0, capacity=8, models=[])


async def refuses(_: Nothing) -> Served:
    raise InvalidInput("No.", code="no")


async def test_what_runs_waits_and_is_kept(servers: Servers, provisioner: Connection) -> None:
    def inference(responder: Responder) -> None:
        responder.answer("models", SERVED, ListServed, served)

    def speech(responder: Responder) -> None:
        responder.answer("voices", VOICES, Nothing, refuses)

    await servers.store().put("files", "local/x", b"12345")
    async with servers.serving("inference", inference), servers.serving("speech", speech):
        async with servers.connected("operator") as operator:
            await operator.request(VOICES, b"{}")
        now = await status_of(servers)
    inference_there, speech_there = now.instances or []
    assert (inference_there.name, inference_there.errors) == ("inference", 0)
    assert (speech_there.name, speech_there.requests, speech_there.errors) == ("speech", 1, 1)
    assert now.missing == ["trainer"]
    assert now.queue is not None
    assert now.queue.paused_for is None
    assert (now.served and now.served.base.name) == "starter"
    assert "files" in {one.name for one in now.buckets or [] if one.items}
    shown = screenful(now)
    assert "nobody answers" in shown
    assert "starter (ready); 0 of 8 in the engine" in shown
    assert "\x1b" not in shown, "plain in a pipe"
    assert max(len(line) for line in shown.splitlines()[:6]) < 100
    assert json.loads(as_json(now))["queue"]["waiting"] >= 0


async def test_a_queue_that_stands_still_is_told(servers: Servers) -> None:
    async with servers.connected("operator") as operator:
        pause = f"CONSUMER.PAUSE.{TRAIN}.{TRAINER_CONSUMER}"
        await jetstream(operator, pause, {"pause_until": "2099-01-01T00:00:00Z"})
        try:
            assert "PAUSED" in screenful(await status_of(servers))
        finally:
            await jetstream(operator, pause)
    assert "PAUSED" not in screenful(await status_of(servers))


async def test_what_does_not_answer_is_unknown_and_the_rest_is_told(servers: Servers) -> None:
    found = await status_of(servers)
    assert found.served is None
    assert any(trouble.startswith("models: Nothing serves") for trouble in found.troubles)
    assert found.streams
    assert "models    unknown" in screenful(found)
