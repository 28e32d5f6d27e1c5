"""A server with OpenAI's API, in memory: as strict as a test is."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from aiohttp import web
from multidict import CIMultiDictProxy

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Sampling
from chorus.inference.backends import openai
from chorus.inference.backends.openai import OpenAIEngine
from chorus.inference.generation.ports import Adapter, Piece, Work
from chorus.inference.settings import InferenceSettings

KEY = "sk-nobody-may-read-this"
PROMPT = [1, 2, 3, 4, 5, 6]
BASE = {"id": "served", "object": "model", "max_model_len": 512}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """A server that answers what a test has arranged. Anything else it is asked fails the test."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {"GET /v1/models": json_of({"data": [BASE]})}
        self.asked: list[tuple[str, Any]] = []
        self.headers: list[CIMultiDictProxy[str]] = []
        self.strange: list[str] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = f"{request.method} {request.path}"
        if asked not in self.answers:
            self.strange.append(asked)
            return web.Response(status=500)
        self.asked.append((asked, await request.json() if request.can_read_body else None))
        self.headers.append(request.headers)
        return await self.answers[asked](request)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def body(self) -> Any:
        """What was asked last."""
        return self.asked[-1][1]


def json_of(body: object, status: int = 200, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return answer


def stream_of(*events: object, cut: bool = False) -> Answer:
    """These events; `cut` breaks the connection off after them."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for one in events:
            line = one if isinstance(one, str) else json.dumps(one)
            await response.write(f"data: {line}\n\n".encode())
        if cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


def event(text: str, count: int, reason: str | None = None, index: int = 0) -> dict[str, object]:
    choice = {"index": index, "text": text, "finish_reason": reason}
    return {"choices": [choice], "usage": {"completion_tokens": count}}


WHOLE: Answer = stream_of(event("The ", 1), event("cat.", 3, "stop"), "[DONE]")


@asynccontextmanager
async def listening(double: Server) -> AsyncGenerator[None]:
    """The double behind a port of its own; the same one again if it had one."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", double.answer)
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", double.port).start()
        double.port = runner.addresses[0][1]
        yield
    finally:
        await runner.cleanup()


def settings(url: str, **options: Any) -> InferenceSettings:
    return InferenceSettings.model_validate({"openai_url": url, "openai_key": KEY, **options})


async def started(url: str, **options: Any) -> OpenAIEngine:
    return await asyncio.to_thread(openai.start, STARTER_FOLDER, settings(url, **options), patience=0)


def work(adapter: Adapter | None = None, turns: list[Turn] | None = None, **sampling: Any) -> Work:
    return Work("request-1", PROMPT, turns or [], Sampling(**sampling), adapter, "1")


async def written(engine: OpenAIEngine, asked: Work) -> list[Piece]:
    async with aclosing(engine.generate(asked)) as pieces:
        return [piece async for piece in pieces]
