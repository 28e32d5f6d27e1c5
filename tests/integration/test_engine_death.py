"""The engine is killed while it answers: nobody is left without a word, and it comes back by itself."""

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.contracts.generation import GENERATE
from tests.support.chorus import RunningChorus, session_pids

ENGINE = "VLLM::EngineCore"
BACK_WITHIN = 180.0  # seconds; 15 are usual
LONG = {"max_tokens": 3000, "temperature": 2, "top_k": 0}
AT_WORK = 8


@pytest.fixture
async def operator(chorus: RunningChorus) -> AsyncIterator[Connection]:
    async with chorus.connected("operator") as connection:
        yield connection


async def begun(connection: Connection, question: str, **asked: object) -> Subscription:
    """Ask; the replies come to the subscription."""
    inbox = await connection.listen(connection.new_inbox())
    body = {"messages": [{"role": "user", "content": question}], **asked}
    await connection.publish(GENERATE, json.dumps(body).encode(), inbox.subject)
    return inbox


async def rest(inbox: Subscription) -> list[Msg]:
    """All replies from now on, up to the empty message or the error."""
    got = [await inbox.next_msg(timeout=BACK_WITHIN)]
    while got[-1].data:
        got.append(await inbox.next_msg(timeout=BACK_WITHIN))
    return got


def pieces(replies: list[Msg]) -> list[dict[str, str]]:
    return [json.loads(message.data) for message in replies if message.data]


def words(replies: list[Msg]) -> str:
    return "".join(piece["text"] for piece in pieces(replies) if piece["type"] == "delta")


def code(replies: list[Msg]) -> str | None:
    return (replies[-1].headers or {}).get(h.ERROR_CODE)


def engines_of(chorus: RunningChorus) -> set[int]:
    """The processes that vLLM's schedulers run in: one, or two while a whole model is there."""
    return {
        pid
        for pid in session_pids(chorus.pid("chorus.inference"))
        if Path(f"/proc/{pid}/cmdline").read_text().startswith(ENGINE)
    }


def unready(chorus: RunningChorus) -> str | None:
    """Why inference says that it is not ready."""
    told = Path(f"/proc/{chorus.pid('chorus.inference')}/environ").read_text().split("\0")
    (port,) = [line.partition("=")[2] for line in told if line.startswith("CHORUS_HEALTH_PORT=")]
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10).close()
    except urllib.error.HTTPError as error:
        return error.read().decode()
    return None


async def test_a_killed_engine_leaves_nobody_without_an_answer_and_comes_back(
    chorus: RunningChorus, operator: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps([{"user": "Where is the lamp?", "bot": "On the pier."}]))
    assert "lamp@1" in "\n".join(await asyncio.to_thread(chorus.say, f"!train file={path} model=lamp"))
    asked = {"model": "lamp@1", "sampling": {"temperature": 0}}
    assert words(await rest(await begun(operator, "Where is the lamp?", **asked))) == "On the pier."

    inference, engines = chorus.pid("chorus.inference"), engines_of(chorus)
    at_work = [await begun(operator, "hello", sampling={**LONG, "seed": seed}) for seed in range(AT_WORK)]
    for inbox in at_work:
        assert json.loads((await inbox.next_msg(timeout=60)).data)["type"] == "delta"
    for engine in engines:
        os.kill(engine, signal.SIGKILL)
    ended = [await rest(inbox) for inbox in at_work]
    assert {code(replies) for replies in ended} <= {"engine_died", None}, "told, or done before"
    cut = [replies[-1].headers or {} for replies in ended if code(replies)]
    assert cut, "some were being written"
    assert all(headers[h.ERROR_STATUS] == "503" and headers[h.RETRY_AFTER] for headers in cut)

    assert "the engine is being started" in (unready(chorus) or "")
    late = [await begun(operator, "Where is the lamp?", **asked) for _ in range(3)]
    answers = [await rest(inbox) for inbox in late]
    assert {code(replies) for replies in answers} <= {None, "engine_starting"}
    for replies in answers:
        told = [piece for piece in pieces(replies) if piece["type"] == "waiting"]
        assert told
        assert told[0]["code"] == "starting"
        assert code(replies) or words(replies) == "On the pier."

    async with asyncio.timeout(BACK_WITHIN):
        while unready(chorus):
            await asyncio.sleep(0.2)
    assert words(await rest(await begun(operator, "Where is the lamp?", **asked))) == "On the pier."
    assert chorus.pid("chorus.inference") == inference, "the service itself went on"
    assert not engines_of(chorus) & engines
