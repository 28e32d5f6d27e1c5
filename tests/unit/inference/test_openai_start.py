"""A server that answers in place of an engine of our own: how it is got to know, and noticed to be gone."""

import pytest

from chorus.common.errors import Misconfigured, Unavailable
from chorus.inference.backends import openai_server
from tests.unit.inference.engines import until
from tests.unit.inference.openai_api import (
    BASE,
    KEY,
    Answer,
    Server,
    json_of,
    listening,
    started,
    work,
    written,
)


async def test_the_server_says_its_models_name_and_window(server: Server) -> None:
    engine = await started(server.url)
    engine.close()
    assert (engine.window, engine.max_rank, engine.capacity) == (512, 0, 0)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert engine.wrong() is None


async def test_a_server_that_says_no_window_has_that_of_the_settings(server: Server) -> None:
    server.answers["GET /v1/models"] = json_of({"data": [{"id": "served"}]})
    engine = await started(server.url, window=300)
    engine.close()
    assert engine.window == 300


@pytest.mark.parametrize(
    ("answer", "options", "code", "told"),
    [
        (json_of({"error": {"message": "who?"}}, 401), {}, "engine_refused", "CHORUS_OPENAI_KEY"),
        (
            json_of({}, 307, Location="http://127.0.0.1:9/v1/models"),
            {},
            "engine_refused",
            "CHORUS_OPENAI_URL",
        ),
        (json_of({"detail": "Not Found"}, 404), {}, "engine_unknown_model", "/v1"),
        (json_of({"detail": "No"}, 405), {}, "engine_rejected", "/v1"),
        (json_of(["hello"]), {}, "generation_failed", "/v1"),
        (json_of({"data": []}), {}, "engine_unknown_model", "none"),
        (json_of({"data": [BASE, {"id": "b"}]}), {}, "engine_unknown_model", "served, b"),
        (json_of({"data": [BASE]}), {"openai_model": "b"}, "engine_unknown_model", "CHORUS_OPENAI_MODEL"),
        (json_of({"data": [BASE]}), {"shared_gpu": "a"}, "misconfigured", "CHORUS_SHARED_GPU"),
    ],
)
async def test_what_is_not_as_the_settings_say_is_said_at_the_start(
    server: Server, answer: Answer, options: dict[str, str], code: str, told: str
) -> None:
    server.answers["GET /v1/models"] = answer
    with pytest.raises(Misconfigured, match=told) as caught:
        await started(server.url, **options)
    assert caught.value.code == code
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["host:8000/v1", "ftp://host/v1", "http://", "http://me:secret@host/v1", "http://host:port/v1"]
)
async def test_an_address_that_is_none_is_said_at_the_start(url: str) -> None:
    with pytest.raises(Misconfigured, match="http://host:8000/v1") as caught:
        await started(url)
    assert "secret" not in str(caught.value)


async def test_adapters_that_the_server_lists_are_not_taken_for_its_base(server: Server) -> None:
    listed = [BASE, {"id": "voice", "parent": "served"}]
    server.answers["GET /v1/models"] = json_of({"data": listed})
    (await started(server.url)).close()


async def test_a_server_that_is_gone_is_unreachable_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_server, "LOOK_EVERY", 0.01)
    double = Server()
    async with listening(double):
        engine = await started(double.url)
    await until(engine.wrong)
    with pytest.raises(Unavailable) as caught:
        await written(engine, work())
    assert caught.value.code == "engine_unreachable"
    with pytest.raises(Unavailable) as caught:
        await started(double.url)
    assert caught.value.code == "engine_unreachable"
    async with listening(double):
        await until(lambda: engine.wrong() is None)
        engine.close()


async def test_who_asks_in_vain_says_so_before_the_next_look() -> None:
    double = Server()
    async with listening(double):
        engine = await started(double.url)
    with pytest.raises(Unavailable):
        await written(engine, work())
    assert engine.wrong() == "the server behind Chorus does not answer"
    engine.close()
