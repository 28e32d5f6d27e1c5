"""The official JavaScript client, as an operator: it finds, asks, watches and orders without our code."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.chorus import ANSWER_WITHIN, RunningChorus

CLIENT = Path(__file__).parent.parent / "support/javascript"
SERVICES = ["inference", "speech", "trainer"]

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client with its packages, in a folder that is thrown away."""
    folder = tmp_path_factory.mktemp("javascript")
    for name in ("package.json", "operator.mjs"):
        shutil.copy(CLIENT / name, folder)
    if shutil.which("npm") is None:  # as root, who alone runs these tests
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "nodejs", "npm"], check=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
    return folder


@asynccontextmanager
async def running(client: Path, chorus: RunningChorus, *words: str) -> AsyncIterator[AsyncIterator[Any]]:
    """Each line that it says."""
    environment = chorus.environment("operator")
    process = await asyncio.create_subprocess_exec(
        "node",
        str(client / "operator.mjs"),
        environment["CHORUS_NATS_URL"],
        environment["CHORUS_NATS_NKEY_FILE"],
        *words,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None

    async def lines() -> AsyncIterator[Any]:
        assert process.stdout is not None
        async for line in process.stdout:
            yield json.loads(line)

    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            yield lines()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(client: Path, chorus: RunningChorus, *words: str) -> list[Any]:
    async with running(client, chorus, *words) as lines:
        return [line async for line in lines]


async def test_it_discovers_the_services(client: Path, chorus: RunningChorus) -> None:
    found = await said(client, chorus, "discover")
    assert sorted(one["name"] for one in found) == SERVICES
    subjects = {endpoint["subject"] for one in found for endpoint in one["endpoints"]}
    assert {"infer.v1.generate", "train.v1.order", "data.v1.import", "speech.v1.tts"} <= subjects
    schemas = [json.loads(e["metadata"]["request_schema"]) for one in found for e in one["endpoints"]]
    assert all(schema["type"] == "object" for schema in schemas)


async def test_it_reads_what_they_have_done(client: Path, chorus: RunningChorus) -> None:
    chorus.say("!datasets")
    found = await said(client, chorus, "stats")
    assert sorted(one["name"] for one in found) == SERVICES
    done = {e["name"]: e for one in found for e in one["endpoints"]}
    assert done["list"]["num_requests"] >= 1
    assert done["list"]["average_processing_time"] > 0


async def test_it_has_an_answer_streamed(client: Path, chorus: RunningChorus) -> None:
    *pieces, end = [
        one for one in await said(client, chorus, "generate", "Hello?") if one["type"] != "waiting"
    ]
    assert [piece["type"] for piece in pieces] == ["delta"] * len(pieces)
    assert [piece["i"] for piece in pieces] == list(range(len(pieces)))
    assert end["type"] == "end"


async def test_it_watches_a_job_in_its_bucket(client: Path, chorus: RunningChorus) -> None:
    states: list[str] = []
    async with running(client, chorus, "watch", "local.*") as lines:
        async for line in lines:
            if "watching" in line:
                break
        training = asyncio.to_thread(chorus.say, '!train "The ferry leaves at noon." epochs=1 model=watched')
        shown = asyncio.create_task(training)
        async for line in lines:
            states.append(line["state"])
            if line["state"] == "succeeded":
                break
    await shown
    assert states[-1] == "succeeded"
    assert {"queued", "running"} & set(states)


async def test_it_orders_what_an_operator_may_order(client: Path, chorus: RunningChorus) -> None:
    assert await said(client, chorus, "order", "aaaaaaaaaa", "retry") == [{"error": "unknown_job"}]


async def test_it_has_the_queue_stand_still_and_go_on(client: Path, chorus: RunningChorus) -> None:
    paused, looked, resumed = await said(client, chorus, "queue")
    assert (paused["paused"], looked["paused"], resumed["paused"]) == (True, True, False)
