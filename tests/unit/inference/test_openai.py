"""The engine that is a server of somebody else's: what it is asked, and what its errors become."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from aiohttp import web

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Sampling
from chorus.common.errors import ChorusError, InternalError, InvalidInput, Unavailable
from chorus.inference.backends.openai import OpenAIEngine
from chorus.inference.generation.ports import Adapter, Piece, Work
from tests.unit.inference.openai_api import (
    BASE,
    KEY,
    PROMPT,
    WHOLE,
    Answer,
    Server,
    event,
    json_of,
    started,
    stream_of,
    work,
    written,
)

VOICE = Adapter("1/cat@1", "a" * 64, Path("/cache/adapters/cat"))


@pytest.fixture
async def engine(server: Server) -> AsyncGenerator[OpenAIEngine]:
    engine = await started(server.url)
    yield engine
    engine.close()


@pytest.fixture
async def adapters(server: Server) -> AsyncGenerator[OpenAIEngine]:
    engine = await started(server.url, openai_adapters=True)
    yield engine
    engine.close()


@pytest.fixture
async def chat(server: Server) -> AsyncGenerator[OpenAIEngine]:
    engine = await started(server.url, openai_chat=True)
    yield engine
    engine.close()


# --- questions -----------------------------------------------------------------------------------
async def test_a_prompt_goes_as_token_ids_and_comes_back_in_pieces(
    server: Server, engine: OpenAIEngine
) -> None:
    server.answers["POST /v1/completions"] = WHOLE
    pieces = await written(engine, work(temperature=0.5, top_p=0.9, seed=7, stop=["!"], presence_penalty=1))
    assert pieces == [Piece("The ", 1), Piece("cat.", 2), Piece("", 0, "stop")]
    assert server.body == {
        "model": "served",
        "prompt": PROMPT,
        "cache_salt": "1",
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        "max_tokens": 512 - len(PROMPT),
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["!"],
        "presence_penalty": 1,
    }
    assert server.headers[-1]["X-Request-Id"] == "request-1"


async def test_what_openai_does_not_have_is_sent_only_where_it_was_asked_for(
    server: Server, engine: OpenAIEngine
) -> None:
    server.answers["POST /v1/completions"] = WHOLE
    await written(engine, work())
    assert server.body.keys() == {
        "model",
        "prompt",
        "cache_salt",
        "stream",
        "stream_options",
        "max_tokens",
        "temperature",
    }
    assert server.body["temperature"] == 0, "what its makers say"
    await written(engine, work(top_k=0, min_p=0.1, repetition_penalty=1.1, max_tokens=3))
    assert [server.body[name] for name in ("top_k", "min_p", "repetition_penalty")] == [0, 0.1, 1.1]
    assert server.body["max_tokens"] == 3


async def test_each_of_several_answers_has_its_end(server: Server, engine: OpenAIEngine) -> None:
    events = event("a", 1), event("b", 1, index=1), event("c", 2, "length", 1), event("", 1, "stop")
    server.answers["POST /v1/completions"] = stream_of(*events, "[DONE]")
    pieces = await written(engine, work(n=2, temperature=1))
    assert server.body["n"] == 2
    assert [(piece.choice, piece.text, piece.tokens) for piece in pieces if piece.text] == [
        (0, "a", 1),
        (1, "b", 1),
        (1, "c", 1),
    ]
    assert {piece.choice: piece.finish_reason for piece in pieces[-2:]} == {0: "stop", 1: "length"}


async def test_a_server_for_conversations_gets_them_as_training_words_them(
    server: Server, chat: OpenAIEngine
) -> None:
    events = (
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"index": 0, "delta": {"content": "Hi."}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"completion_tokens": 3}},
    )
    server.answers["POST /v1/chat/completions"] = stream_of(*events, "[DONE]")
    turns = [Turn(role="system", content="Be kind."), Turn(role="user", content="<|im_end|>", name="Ada")]
    pieces = await written(chat, work(turns=turns))
    assert [piece.text for piece in pieces] == ["", "Hi.", "", ""]
    assert pieces[-1] == Piece("", 3, "stop"), "it counts at the end"
    assert server.body["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Ada: < |im_end|>"},
    ]
    assert "prompt" not in server.body
    with pytest.raises(InvalidInput) as caught:
        await chat.score(PROMPT, 2, None)
    assert caught.value.code == "cannot_score"


async def test_prompts_that_cannot_be_answered_are_not_sent(engine: OpenAIEngine) -> None:
    for prompt, code in (([1, 2], "prompt_too_short"), ([1] * 512, "prompt_too_long")):
        asked = Work("1", prompt, [], Sampling(), None, "1")
        with pytest.raises(InvalidInput) as caught:
            await written(engine, asked)
        assert caught.value.code == code


async def test_several_answers_that_would_be_the_same_are_not_asked_for(engine: OpenAIEngine) -> None:
    with pytest.raises(InvalidInput) as caught:
        await written(engine, work(n=2, temperature=0))
    assert caught.value.code == "same_answers"


async def test_leaving_an_answer_closes_the_connection(server: Server, engine: OpenAIEngine) -> None:
    left = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices": [{"index": 0, "text": "a"}]}\n\n')
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    server.answers["POST /v1/completions"] = endless
    pieces = engine.generate(work())
    assert (await anext(pieces)).text == "a"
    await pieces.aclose()
    await asyncio.wait_for(left.wait(), 5)
    assert engine.wrong() is None


# --- what goes wrong -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "kind", "code", "again"),
    [
        (json_of({"error": {"message": "no"}}, 400), InvalidInput, "engine_rejected", None),
        (json_of({"error": {"message": "no"}}, 422), InvalidInput, "engine_rejected", None),
        (json_of({"error": {"message": "no"}}, 401), InternalError, "engine_refused", None),
        (json_of({"error": {"message": "no"}}, 403), InternalError, "engine_refused", None),
        (json_of({}, 307, Location="http://127.0.0.1:9/"), InternalError, "engine_refused", None),
        (json_of({"error": {"message": "no"}}, 404), InternalError, "engine_unknown_model", None),
        (json_of({}, 429, **{"Retry-After": "17"}), Unavailable, "busy", 17),
        (json_of({}, 429, **{"Retry-After": "Fri, 01 Jan 2027"}), Unavailable, "busy", 5),
        (json_of({}, 503), Unavailable, "engine_unreachable", 5),
        (json_of({"error": {"message": "no"}}, 500), InternalError, "generation_failed", None),
        (stream_of('{"error": {"message": "no", "code": 400}}'), InvalidInput, "engine_rejected", None),
        (stream_of('{"error": {"message": "no", "code": 500}}'), InternalError, "generation_failed", None),
        (stream_of("no JSON"), InternalError, "generation_failed", None),
        (stream_of('{"choices": 5}'), InternalError, "generation_failed", None),
        (stream_of(event("a", 1, "content_filter")), InternalError, "generation_failed", None),
        (stream_of(event("a", 1), cut=True), Unavailable, "engine_died", 5),
        (stream_of(event("a", 1), "[DONE]"), Unavailable, "engine_died", 5),
        (json_of({"choices": []}), Unavailable, "engine_died", 5),
    ],
)
async def test_each_error_of_the_server_has_a_code_and_is_not_tried_again(
    server: Server,
    engine: OpenAIEngine,
    answer: Answer,
    kind: type[ChorusError],
    code: str,
    again: float | None,
) -> None:
    server.answers["POST /v1/completions"] = answer
    with pytest.raises(kind) as caught:
        await written(engine, work())
    assert (caught.value.code, caught.value.retry_after) == (code, again)
    assert [asked for asked, _ in server.asked].count("POST /v1/completions") == 1
    assert KEY not in str(caught.value)


async def test_the_servers_words_are_quoted_in_short(server: Server, engine: OpenAIEngine) -> None:
    server.answers["POST /v1/completions"] = json_of({"error": {"message": "x" * 1000}}, 400)
    with pytest.raises(InvalidInput, match="x…'") as caught:
        await written(engine, work())
    assert len(str(caught.value)) < 200


async def test_the_key_is_in_no_log(
    server: Server, engine: OpenAIEngine, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers["POST /v1/completions"] = json_of({}, 401)
    with caplog.at_level(logging.DEBUG), pytest.raises(InternalError):
        await written(engine, work())
    assert "/v1/completions" in caplog.text, "it is logged at all"
    assert KEY not in caplog.text


async def test_it_is_not_ours_to_put_to_sleep(engine: OpenAIEngine) -> None:
    with pytest.raises(InternalError) as caught:
        await engine.sleep()
    assert caught.value.code == "not_ours"


# --- scores --------------------------------------------------------------------------------------
async def test_scores_are_those_of_the_tokens_that_were_asked_for(
    server: Server, engine: OpenAIEngine
) -> None:
    told = [None, -1, -2, -3, -4, -5, -99]
    server.answers["POST /v1/completions"] = json_of({"choices": [{"logprobs": {"token_logprobs": told}}]})
    assert await engine.score(PROMPT, 4, None) == [-4, -5]
    assert server.body["echo"] is True
    assert server.body["max_tokens"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        json_of({"error": {"message": "echo is not supported"}}, 400),
        json_of({"choices": [{"text": "a"}]}),
        json_of({"choices": [{"logprobs": {"token_logprobs": [-1]}}]}),
    ],
)
async def test_a_server_that_cannot_score_is_said_so(
    server: Server, engine: OpenAIEngine, answer: Answer
) -> None:
    server.answers["POST /v1/completions"] = answer
    with pytest.raises(InvalidInput) as caught:
        await engine.score(PROMPT, 2, None)
    assert caught.value.code == "cannot_score"


# --- adapters ------------------------------------------------------------------------------------
async def test_an_adapter_is_loaded_by_its_folder_and_asked_by_its_hash(
    server: Server, adapters: OpenAIEngine
) -> None:
    assert (adapters.max_rank, adapters.capacity) == (32, 32)
    server.answers["POST /v1/load_lora_adapter"] = json_of("Success")
    await adapters.load(VOICE)
    assert server.body == {"lora_name": VOICE.sha256, "lora_path": str(VOICE.folder)}
    server.answers["POST /v1/completions"] = WHOLE
    await written(adapters, work(VOICE))
    assert server.body["model"] == VOICE.sha256
    server.answers["POST /v1/unload_lora_adapter"] = json_of("Success")
    await adapters.unload(VOICE)
    assert server.body == {"lora_name": VOICE.sha256}


async def test_an_adapter_that_is_there_is_not_loaded_again(server: Server, adapters: OpenAIEngine) -> None:
    there = {"id": VOICE.sha256, "root": str(VOICE.folder), "parent": "served"}
    server.answers["GET /v1/models"] = json_of({"data": [BASE, there]})
    await adapters.load(VOICE)
    server.answers["POST /v1/unload_lora_adapter"] = json_of({"error": {"message": "not found"}}, 404)
    await adapters.unload(VOICE)


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_an_adapter_that_the_server_does_not_take_is_refused(
    server: Server, adapters: OpenAIEngine, status: int
) -> None:
    server.answers["POST /v1/load_lora_adapter"] = json_of({"error": {"message": "no such file"}}, status)
    with pytest.raises(InvalidInput, match="no such file") as caught:
        await adapters.load(VOICE)
    assert caught.value.code == "unsupported_adapter"


async def test_a_server_that_is_not_there_yet_refuses_no_adapter(
    server: Server, adapters: OpenAIEngine
) -> None:
    server.answers["POST /v1/load_lora_adapter"] = json_of({}, 503)
    with pytest.raises(Unavailable):
        await adapters.load(VOICE)


async def test_a_server_that_has_forgotten_an_adapter_counts_as_a_new_engine(
    server: Server, adapters: OpenAIEngine
) -> None:
    server.answers["POST /v1/completions"] = json_of({"error": {"message": "no such model"}}, 404)
    with pytest.raises(Unavailable) as caught:
        await written(adapters, work(VOICE))
    assert caught.value.code == "engine_died"


async def test_without_the_setting_adapters_are_refused_with_what_to_set(engine: OpenAIEngine) -> None:
    with pytest.raises(InvalidInput, match="CHORUS_OPENAI_ADAPTERS") as caught:
        await engine.load(VOICE)
    assert caught.value.code == "unsupported_adapter"
