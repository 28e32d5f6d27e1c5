"""Inference beside what ends without a word: an engine's process, and a replica that is restarted."""

import asyncio
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from os import kill
from pathlib import Path

import pytest

from chorus.common.bus.calls import ask
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.generation import SERVED, ListServed, Served
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.topology import MODELS
from chorus.common.local.process import Process
from tests.benchmarks.serving import rolling
from tests.benchmarks.serving.bench import CPU_CACHE, Bench, Voices
from tests.benchmarks.serving.load import Heard, Question, hear
from tests.benchmarks.serving.models import write_starter
from tests.benchmarks.serving.service import a_service
from tests.support.chorus import session_pids
from tests.support.servers import running_servers

pytestmark = pytest.mark.slow

READY_AGAIN = 120.0  # seconds, for a machine that is busy with something else
LONG = 1500  # tokens: seconds of writing


@dataclass
class Place:
    """A service with three voices, and who asks it."""

    bench: Bench
    voices: Voices
    settings: dict[str, str]
    service: Process


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("rolling")
    async with (
        running_servers(folder / "servers") as servers,
        servers.connected("trainer") as trainer,
        servers.connected("gateway") as client,
    ):
        bench = Bench(folder, servers, client, await open_bucket(trainer, MODELS, ModelRecord))
        voices = await Voices.published(bench, write_starter(folder / "starter"))
        settings = {"CHORUS_BASE_MODEL": str(voices.base), **CPU_CACHE}
        async with a_service(servers, folder, "first", settings) as service:
            yield Place(bench, voices, settings, service)


async def test_an_engine_that_is_killed_comes_back_and_every_question_has_an_answer_or_a_code(
    place: Place,
) -> None:
    engine = await engine_pid(place.service)
    questions = place.voices.questions(16, seed=20)
    long = [replace(question, tokens=LONG) for question in questions]
    asking = [asyncio.create_task(hear(place.bench.client, question)) for question in long]
    await until_used_by(place, len(asking), within=60)
    kill(engine, signal.SIGKILL)
    heard = await asyncio.gather(*asking)
    assert {answer.error for answer in heard} <= {None, "engine_died", "engine_starting"}, heard
    async with asyncio.timeout(READY_AGAIN):
        while not (await again(place)).text:
            await asyncio.sleep(0.5)
    assert answers(place.service)
    assert await engine_pid(place.service) != engine
    after = await asyncio.gather(*(hear(place.bench.client, question) for question in questions))
    assert {answer.error for answer in after} == {None}


async def test_a_rolling_restart_of_two_replicas_loses_nothing(place: Place) -> None:
    bench = place.bench
    apart = {**place.settings, **rolling.LAST_CORE}
    async with a_service(bench.servers, bench.folder, "second", apart) as second:
        heard = await rolling.rolling_restart(bench, place.voices, [place.service, second])
    assert len(heard) > 50
    assert {answer.error for answer in heard} == {None}
    assert all(answer.tokens == answer.question.tokens for answer in heard)


async def again(place: Place) -> Heard:
    return await hear(place.bench.client, Question("Are you there?", 4, place.voices.adapters[0].name))


async def in_use(place: Place) -> int:
    served = await ask(place.bench.client, SERVED, ListServed(guild="local"), Served)
    return sum(model.in_use for model in served.models)


async def until_used_by(place: Place, requests: int, *, within: float) -> None:
    async with asyncio.timeout(within):
        while await in_use(place) != requests:
            await asyncio.sleep(0.02)


async def engine_pid(service: Process) -> int:
    """The process in which vLLM's engine loop runs."""
    names = {pid: Path(f"/proc/{pid}/comm").read_text() for pid in session_pids(service.child.pid)}
    (found,) = [pid for pid, name in names.items() if name.startswith("VLLM::EngineCor")]
    return found


def answers(service: Process) -> bool:
    try:
        with urllib.request.urlopen(service.program.ready_url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return False
