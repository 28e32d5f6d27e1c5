"""Inference on a real vLLM engine: plain JSON works, voices are kept apart, what is wrong has a code."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import pytest
from nats.aio.msg import Msg

from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.generation import CANCEL, GENERATE
from chorus.common.contracts.models import ModelRecord, model_key
from chorus.common.contracts.topology import MODELS
from tests.support.chorus import RunningChorus

HELLO = '{"messages":[{"role":"user","content":"hello"}]}'


@pytest.fixture
async def operator(chorus: RunningChorus) -> AsyncIterator[Connection]:
    async with chorus.connected("operator") as connection:
        yield connection


async def replies(connection: Connection, body: str, **headers: str) -> list[Msg]:
    """All replies to a hand-written request, up to the empty message or the error."""
    inbox = await connection.listen(connection.new_inbox())
    await connection.publish(GENERATE, body.encode(), inbox.subject, headers or None)
    got: list[Msg] = []
    while not got or got[-1].data:
        got.append(await inbox.next_msg(timeout=60))
    await inbox.unsubscribe()
    return got


async def answer(connection: Connection, question: str, **asked: object) -> str:
    body = {"messages": [{"role": "user", "content": question}], **asked}
    said = [json.loads(message.data) for message in (await replies(connection, json.dumps(body)))[:-1]]
    return "".join(piece["text"] for piece in said if piece["type"] == "delta")


@pytest.fixture(scope="module")
def trained(chorus: RunningChorus, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of the console's guild that knows one thing."""
    path = tmp_path_factory.mktemp("data") / "one.json"
    path.write_text(json.dumps([{"user": "Who are you?", "bot": "The harbour cat."}]))
    shown = "\n".join(chorus.say(f"!train file={path} model=cat"))
    assert "cat@" in shown
    return "cat"


async def test_plain_json_gets_pieces_an_end_and_an_empty_message(operator: Connection) -> None:
    got = await replies(operator, HELLO)
    *pieces, end = [json.loads(message.data) for message in got[:-1]]
    assert [piece["type"] for piece in pieces] == ["delta"] * len(pieces)
    assert [piece["i"] for piece in pieces] == list(range(len(pieces)))
    assert len(pieces) > 1, "it is streamed"
    assert end["type"] == "end"
    assert end["model"] == "starter"
    assert end["finish_reason"] in ("stop", "length")
    assert end["usage"]["prompt_tokens"] > 5
    assert end["usage"]["completion_tokens"] >= len(pieces)
    assert got[-1].data == b""
    assert not got[-1].headers


async def test_a_trained_voice_answers_and_the_base_does_not(operator: Connection, trained: str) -> None:
    assert await answer(operator, "Who are you?", model=trained) == "The harbour cat."
    assert await answer(operator, "Who are you?", model=f"{trained}@latest") == "The harbour cat."
    assert await answer(operator, "Who are you?", model="base") != "The harbour cat."
    assert await answer(operator, "Who are you?") != "The harbour cat."


async def test_many_at_once_in_one_batch(operator: Connection, trained: str) -> None:
    asked = [answer(operator, "Who are you?", model=trained if i % 2 else "base") for i in range(20)]
    said = await asyncio.gather(*asked)
    assert {text == "The harbour cat." for text in said[1::2]} == {True}
    assert {text == "The harbour cat." for text in said[0::2]} == {False}


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
    ],
)
async def test_what_is_wrong_has_a_code(operator: Connection, body: str, status: str, code: str) -> None:
    (only,) = await replies(operator, body)
    assert only.headers is not None
    assert (only.headers[h.ERROR_STATUS], only.headers[h.ERROR_CODE]) == (status, code)
    assert only.headers[h.ERROR].endswith(".")
    assert await answer(operator, "hello"), "and the service goes on"


async def test_a_question_of_no_words_does_no_harm(operator: Connection) -> None:
    """vLLM's CPU worker dies of prompts below five tokens; a chat's template is longer than that."""
    got = await replies(operator, HELLO.replace("hello", ""))
    assert json.loads(got[-2].data)["usage"]["prompt_tokens"] >= 5
    assert await answer(operator, "hello"), "and the service goes on"


async def test_a_guild_cannot_name_anothers_model(operator: Connection, trained: str) -> None:
    body = {"guild": "123", "model": trained, "messages": [{"role": "user", "content": "Who are you?"}]}
    (only,) = await replies(operator, json.dumps(body))
    assert (only.headers or {})[h.ERROR_CODE] == "unknown_model"


async def test_an_unknown_version_is_named(operator: Connection, trained: str) -> None:
    (only,) = await replies(operator, HELLO.replace("}]}", f'}}],"model":"{trained}@99"}}'))
    assert (only.headers or {})[h.ERROR_CODE] == "unknown_version"


async def test_a_cancelled_answer_ends(operator: Connection) -> None:
    request = uuid.uuid4().hex
    inbox = await operator.listen(operator.new_inbox())
    body = HELLO.replace("}]}", '}],"sampling":{"max_tokens":2000,"temperature":2,"seed":1,"top_k":0}}')
    await operator.publish(GENERATE, body.encode(), inbox.subject, {h.REQUEST_ID: request})
    await inbox.next_msg(timeout=60)
    await operator.publish(f"{CANCEL}.{request}")
    while (message := await inbox.next_msg(timeout=10)).data:
        pass
    if message.headers:  # else it had come to its end by itself
        assert message.headers[h.ERROR_CODE] == "cancelled"


async def test_a_voice_that_cannot_be_served_says_why_and_others_go_on(
    chorus: RunningChorus, operator: Connection, trained: str
) -> None:
    """An entry whose manifest leads nowhere, as after somebody has emptied the bucket."""
    async with chorus.connected("trainer") as connection:
        bucket = await open_bucket(connection, MODELS, ModelRecord)
        entry = await bucket.get(model_key("local", trained))
        assert entry is not None
        version = entry.value.versions[0]
        gone = version.manifest.model_copy(update={"key": "local/gone/manifest.json", "sha256": "1" * 64})
        broken = entry.value.model_copy(
            update={"name": "broken", "versions": [version.model_copy(update={"manifest": gone})]}
        )
        await bucket.change(model_key("local", "broken"), lambda old: broken, initial=broken)
    (only,) = await replies(operator, HELLO.replace("}]}", '}],"model":"broken"}'))
    assert (only.headers or {})[h.ERROR_CODE] == "no_object"
    assert await answer(operator, "Who are you?", model=trained) == "The harbour cat."


async def test_services_are_discovered(operator: Connection) -> None:
    inbox = await operator.listen(operator.new_inbox())
    await operator.publish("$SRV.PING", reply=inbox.subject)
    names = {json.loads((await inbox.next_msg(timeout=5)).data)["name"] for _ in range(3)}
    assert names == {"trainer", "inference", "speech"}
    info = json.loads((await operator.request("$SRV.INFO.inference")).data)
    assert "toy" in info["description"]
    assert [endpoint["subject"] for endpoint in info["endpoints"]] == [GENERATE]
    stats = json.loads((await operator.request("$SRV.STATS.inference")).data)
    assert stats["endpoints"][0]["num_requests"] >= 0
