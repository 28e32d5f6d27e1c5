"""Asking a real vLLM engine: sampling, limits of time, leaving; and what is wrong with a question."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator

import pytest

from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.contracts.generation import CANCEL, GENERATE
from tests.support.asking import ENDLESS, HELLO, answer, replies
from tests.support.chorus import RunningChorus


@pytest.fixture
async def operator(chorus: RunningChorus) -> AsyncIterator[Connection]:
    async with chorus.connected("operator") as connection:
        yield connection


async def test_sampling_is_obeyed(operator: Connection) -> None:
    got = await replies(operator, HELLO.replace("}]}", '}],"sampling":{"max_tokens":3}}'))
    end = json.loads(got[-2].data)
    assert (end["finish_reason"], end["usage"]["completion_tokens"]) == ("length", 3)
    hot = {"sampling": {"temperature": 1.5, "seed": 7, "max_tokens": 20}}
    assert await answer(operator, "hello", **hot) == await answer(operator, "hello", **hot)
    assert await answer(operator, "hello", **hot) != await answer(
        operator, "hello", sampling={"temperature": 1.5, "seed": 8, "max_tokens": 20}
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("hello", "400", "not_json"),
        ('{"messages":', "400", "not_json"),
        ("{}", "400", "invalid_message"),
        ('{"messages":[{"role":"user"}]}', "400", "invalid_message"),
        (HELLO.replace("}]}", '}],"modle":"x"}'), "400", "invalid_message"),
        (HELLO.replace("}]}", '}],"model":"no such name"}'), "400", "invalid_model_name"),
        (HELLO.replace("}]}", '}],"model":"nobody"}'), "404", "unknown_model"),
        (HELLO.replace("user", "assistant"), "400", "no_question"),
        (HELLO.replace("hello", "word " * 5000), "413", "prompt_too_long"),
        *(
            (HELLO.replace("}]}", f'}}],"sampling":{sampling}}}'), "400", "invalid_message")
            for sampling in (
                '{"stop":[""]}',
                f'{{"stop":["{"x" * 257}"]}}',
                f'{{"seed":{2**63}}}',
                f'{{"seed":{2**64}}}',
                f'{{"top_k":{2**31}}}',
                f'{{"top_k":{2**70}}}',
            )
        ),
    ],
)
async def test_what_is_wrong_has_a_code(operator: Connection, body: str, status: str, code: str) -> None:
    (only,) = await replies(operator, body)
    assert only.headers is not None
    assert (only.headers[h.ERROR_STATUS], only.headers[h.ERROR_CODE]) == (status, code)
    assert only.headers[h.ERROR].endswith(".")
    assert await answer(operator, "hello"), "and the service goes on"


async def test_sampling_may_go_to_its_bounds(operator: Connection) -> None:
    bounds = {"seed": 2**63 - 1, "top_k": 2**31 - 1, "stop": ["x" * 256], "temperature": 2, "max_tokens": 3}
    assert await answer(operator, "hello", sampling=bounds)


async def test_a_question_of_no_words_does_no_harm(operator: Connection) -> None:
    """vLLM's CPU worker dies of prompts below five tokens; a chat's template is longer than that."""
    got = await replies(operator, HELLO.replace("hello", ""))
    assert json.loads(got[-2].data)["usage"]["prompt_tokens"] >= 5
    assert await answer(operator, "hello"), "and the service goes on"


async def test_a_cancelled_answer_ends(operator: Connection) -> None:
    """Of several long answers at least one is cut off (another may end by itself before the word comes)."""
    ends = [await cancelled(operator, seed) for seed in range(5)]
    assert ("cancelled", True) in ends, ends


async def cancelled(operator: Connection, seed: int) -> tuple[str | None, bool]:
    """Cancel an answer at its first piece: how it ended, and whether that was far from its end."""
    request = uuid.uuid4().hex
    inbox = await operator.listen(operator.new_inbox())
    sampling = f'"sampling":{{"max_tokens":2000,"temperature":2,"seed":{seed},"top_k":0}}'
    body = HELLO.replace("}]}", f"}}],{sampling}}}")
    await operator.publish(GENERATE, body.encode(), inbox.subject, {h.REQUEST_ID: request})
    await inbox.next_msg(timeout=60)
    await operator.publish(f"{CANCEL}.{request}")
    pieces = 1
    while (message := await inbox.next_msg(timeout=10)).data:
        pieces += 1
    return (message.headers or {}).get(h.ERROR_CODE), pieces < 500


async def test_several_answers_to_one_question_are_told_apart(operator: Connection) -> None:
    sampling = '"sampling":{"n":2,"temperature":1.5,"min_p":0.01,"seed":7,"max_tokens":8}'
    *said, end = [json.loads(m.data) for m in (await replies(operator, HELLO[:-1] + f",{sampling}}}"))[:-1]]
    assert {piece.get("choice", 0) for piece in said} == {0, 1}
    assert [piece["i"] for piece in said] == list(range(len(said)))
    assert len(end["finish_reasons"]) == 2
    assert end["usage"]["completion_tokens"] <= 16


@pytest.mark.parametrize("penalty", [{"repetition_penalty": 1.9}, {"presence_penalty": 2}])
async def test_penalties_change_what_is_said(operator: Connection, penalty: dict[str, float]) -> None:
    async def said(**more: float) -> list[str]:
        asked = (
            "hello",
            "Tell me of the sea.",
            "What is a list?",
            "Why is it so?",
            "Say it again and again.",
        )
        greedy = {"temperature": 0, "max_tokens": 60, **more}
        return await asyncio.gather(*(answer(operator, text, sampling=greedy) for text in asked))

    assert await said(**penalty) != await said()


async def test_a_reply_that_takes_longer_than_it_may_is_broken_off(operator: Connection) -> None:
    got = await replies(operator, HELLO[:-1] + f',"within":0.2,"sampling":{ENDLESS}}}')
    assert (got[-1].headers or {})[h.ERROR_CODE] == "deadline_passed"
    assert await answer(operator, "hello"), "and the service goes on"


CLIENT = """
import asyncio, os
from chorus.common.bus.calls import ask_stream
from chorus.common.bus.connection import connect
from chorus.common.contracts.generation import CANCEL, GENERATE, Delta, Generate, GenerateReply
from pathlib import Path
from pydantic import TypeAdapter

async def main():
    key = Path(os.environ["CHORUS_NATS_NKEY_FILE"])
    async with connect(os.environ["CHORUS_NATS_URL"], user="gateway", nkey_file=key, on_closed=print) as bus:
        question = Generate.model_validate_json(os.environ["QUESTION"])
        async for piece in ask_stream(bus, GENERATE, question, TypeAdapter(GenerateReply), cancel=CANCEL):
            if isinstance(piece, Delta):
                print("begun", flush=True)

asyncio.run(main())
"""


async def test_a_client_that_is_killed_in_mid_stream_frees_its_slot(
    chorus: RunningChorus, operator: Connection
) -> None:
    async def ended() -> tuple[int, str]:
        stats = json.loads((await operator.request("$SRV.STATS.inference")).data)["endpoints"][0]
        return stats["num_requests"], stats["last_error"]

    before, _ = await ended()
    question = HELLO[:-1] + f',"sampling":{ENDLESS}}}'
    environment = {**os.environ, **chorus.environment("gateway"), "QUESTION": question}
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert client.stdout is not None
    assert await client.stdout.readline() == b"begun\n"
    client.kill()
    async with asyncio.timeout(20):  # how soon is for the benchmark to say: `slot_free_s`
        while await ended() != (before + 1, "reader_gone"):
            await asyncio.sleep(0.02)
    await client.wait()
