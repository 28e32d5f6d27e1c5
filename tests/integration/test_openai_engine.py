"""The engine that is a server of somebody else's, on a real one: vLLM's own.

It is started on the starter, asked through our port, and compared with the engine that Chorus runs in its
own process. At the end of all it is killed, while it writes.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import torch
from pydantic import TypeAdapter

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.bus.calls import ask, ask_stream
from chorus.common.chat import prompt_tokens
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import (
    CANCEL,
    GENERATE,
    SCORE,
    Delta,
    End,
    Generate,
    GenerateReply,
    Sampling,
    Score,
    Scored,
    Waiting,
)
from chorus.common.errors import InvalidInput, Unavailable
from chorus.common.local.process import Process, Program
from chorus.common.local.servers import HOST, free_ports
from chorus.inference.backends import openai
from chorus.inference.backends.openai import OpenAIEngine
from chorus.inference.generation.ports import Adapter, Work
from chorus.inference.generation.scoring import lessons, score
from chorus.inference.settings import InferenceSettings
from tests.support.chorus import READY_WITHIN, RunningChorus
from tests.unit.inference.shelves import LAYER, TOKENIZER, written

pytestmark = pytest.mark.slow  # one more vLLM, and the test goes through all of it

KEY = "of-this-server"
QUESTION = [Turn(role="user", content="hello")]
GREEDY = Sampling(temperature=0, max_tokens=32)
ENDLESS = Sampling(temperature=2, top_k=0, max_tokens=1900, n=8)
"""Of eight such answers at least one is still being written after seconds."""
CLOSE = 0.05  # nats, over a whole reply: both compute in bf16, in batches of other sizes
REPLY: TypeAdapter[Waiting | Delta | End] = TypeAdapter(GenerateReply)


@dataclass(frozen=True)
class Server:
    """vLLM's server, and the engine that asks it."""

    url: str
    process: Process
    engine: OpenAIEngine

    def another(self, **options: object) -> OpenAIEngine:
        """Another engine on it."""
        return openai.start(STARTER_FOLDER, settings(f"{self.url}/v1", **options))

    async def figure(self, name: str) -> float:
        """One of its own metrics, all labels together."""
        async with httpx2.AsyncClient() as client:
            lines = (await client.get(f"{self.url}/metrics")).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name}{{"))


@pytest.fixture(scope="module")
async def server(chorus: RunningChorus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Beside the running Chorus: so all these tests are one process's, and this starts once."""
    (port,) = free_ports(1)
    url, folder = f"http://{HOST}:{port}", tmp_path_factory.mktemp("server")
    process = Process(vllm_server(url, port, folder), folder / "server.log")
    await process.start()
    try:
        await process.until_ready()
        engine = await asyncio.to_thread(
            openai.start, STARTER_FOLDER, settings(f"{url}/v1", openai_adapters=True)
        )
        running = Server(url, process, engine)
        yield running
        await dies(running)
    finally:
        await process.stop(0)


def vllm_server(url: str, port: int, folder: Path) -> Program:
    """As docs/engine.md has it, for a CPU."""
    options = {
        "model": str(STARTER_FOLDER),
        "served-model-name": "starter",
        "host": HOST,
        "port": str(port),
        "api-key": KEY,
        "max-loras": "2",
        "max-lora-rank": "16",
        "max-model-len": "2048",
        "gpu-memory-utilization": "0.1",
        "kv-cache-memory-bytes": str(256 * 1024**2),
    }
    named = [word for name, value in options.items() for word in (f"--{name}", value)]
    module = ["-m", "vllm.entrypoints.openai.api_server"]
    return Program(
        name="vllm",
        command=[sys.executable, *module, "--enable-lora", "--enforce-eager", *named],
        ready_url=f"{url}/health",
        environment={
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        },
        folder=folder,
        ready_within=READY_WITHIN,
    )


def settings(url: str, **options: object) -> InferenceSettings:
    return InferenceSettings.model_validate({"openai_url": url, "openai_key": KEY, **options})


def work(sampling: Sampling = GREEDY, adapter: Adapter | None = None) -> Work:
    return Work("1", prompt_tokens(TOKENIZER, QUESTION), QUESTION, sampling, adapter, "1")


async def said(engine: OpenAIEngine, asked: Work) -> str:
    async with aclosing(engine.generate(asked)) as pieces:
        return "".join([piece.text async for piece in pieces])


async def dies(server: Server) -> None:
    """What happens to it in the end: nothing of it is left, in the middle of an answer."""
    engine = server.engine
    pieces = engine.generate(work(ENDLESS))
    await anext(pieces)
    os.killpg(server.process.child.pid, signal.SIGKILL)
    with pytest.raises(Unavailable) as caught:
        async with aclosing(pieces):
            async for _ in pieces:
                pass
    assert caught.value.code == "engine_died"
    with pytest.raises(Unavailable) as caught:
        await said(engine, work())
    assert caught.value.code == "engine_unreachable"
    assert engine.wrong()
    engine.close()


@pytest.fixture(scope="module")
async def voice(tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    """An adapter that talks nonsense."""
    folder, chance = tmp_path_factory.mktemp("voice"), torch.Generator().manual_seed(0)
    a, b = (torch.randn(shape, generator=chance) for shape in ((16, 128), (384, 16)))
    written(folder, tensors={f"{LAYER}.lora_A.weight": a, f"{LAYER}.lora_B.weight": b})
    return Adapter("1/voice@1", "a" * 64, folder)


@pytest.mark.parametrize("chat", [False, True])
async def test_it_answers_as_the_engine_in_our_own_process_does(
    chorus: RunningChorus, server: Server, chat: bool
) -> None:
    asked = Generate(messages=QUESTION, sampling=GREEDY)
    async with chorus.connected("operator") as operator:
        replies = ask_stream(operator, GENERATE, asked, REPLY, cancel=CANCEL)
        ours = "".join([reply.text async for reply in replies if isinstance(reply, Delta)])
    engine = await asyncio.to_thread(server.another, openai_chat=chat)
    assert await said(engine, work()) == ours != ""
    engine.close()


async def test_it_finds_replies_as_likely_as_our_own_engine_does(
    chorus: RunningChorus, server: Server
) -> None:
    replies = ["Hello!", "The harbour is to the west."]
    async with chorus.connected("operator") as operator:
        asked = Score(messages=QUESTION, replies=replies)
        ours = (await ask(operator, SCORE, asked, Scored, within=60)).scores
    _, made = lessons(TOKENIZER, QUESTION, replies, window=server.engine.window, remembers=None)
    theirs = [await score(server.engine, lesson, None) for lesson in made]
    assert [one.tokens for one in theirs] == [one.tokens for one in ours]
    assert [one.logprob for one in theirs] == pytest.approx([one.logprob for one in ours], abs=CLOSE)
    assert ours[0].logprob > ours[1].logprob + CLOSE, "they differ at all"


async def test_several_answers_and_their_tokens_are_told_apart(server: Server) -> None:
    asked = work(Sampling(temperature=1, seed=1, max_tokens=4, n=3))
    pieces: list[tuple[int, int]] = []
    async with aclosing(server.engine.generate(asked)) as written:
        pieces += [(piece.choice, piece.tokens) async for piece in written]
    counted = [sum(tokens for choice, tokens in pieces if choice == which) for which in range(3)]
    assert all(1 <= count <= 4 for count in counted)
    assert max(counted) > 1


async def test_an_adapter_is_loaded_from_our_folder_answers_and_is_forgotten(
    server: Server, voice: Adapter
) -> None:
    engine = server.engine
    assert engine.max_rank
    own = await said(engine, work())
    await engine.load(voice)
    await engine.load(voice)
    nonsense = await said(engine, work(adapter=voice))
    assert nonsense != own == await said(engine, work())
    likely = [await engine.score(work().prompt, 2, which) for which in (None, voice)]
    assert sum(likely[0]) > sum(likely[1])
    await engine.unload(voice)
    await engine.unload(voice)
    with pytest.raises(Unavailable) as caught:
        await said(engine, work(adapter=voice))
    assert caught.value.code == "engine_died", "as if it had been started anew: it is loaded again"


async def test_an_adapter_that_vllm_does_not_take_is_refused_and_the_server_lives(
    server: Server, tmp_path: Path
) -> None:
    written(tmp_path, {"use_dora": True})
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InvalidInput) as caught:
            await server.engine.load(Adapter("1/bad@1", "b" * 64, folder))
        assert caught.value.code == "unsupported_adapter"
    assert await said(server.engine, work())


async def test_leaving_an_answer_stops_the_servers_work(server: Server) -> None:
    pieces: AsyncGenerator[object, None] = server.engine.generate(work(ENDLESS))
    await anext(pieces)
    async with asyncio.timeout(10):
        while not await server.figure("vllm:num_requests_running"):
            await asyncio.sleep(0.02)
    before = await server.figure("vllm:generation_tokens_total")
    await pieces.aclose()
    async with asyncio.timeout(10):
        while await server.figure("vllm:num_requests_running"):
            await asyncio.sleep(0.05)
    assert await server.figure("vllm:generation_tokens_total") - before < ENDLESS.max_tokens


async def test_several_answers_that_would_be_the_same_are_refused(server: Server) -> None:
    with pytest.raises(InvalidInput) as caught:
        await said(server.engine, work(Sampling(temperature=0, n=2)))
    assert caught.value.code == "same_answers"
