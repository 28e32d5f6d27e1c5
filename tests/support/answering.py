"""Inference beside an engine that writes what it is told to: all of a request's way but the model."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.bus.responder import Responder
from chorus.common.contracts.generation import Served, Waiting
from chorus.common.contracts.models import BaseModelId
from chorus.common.errors import NotFound
from chorus.inference.generation.admission import Admission
from chorus.inference.generation.ports import Piece, Tell, Work
from chorus.inference.generation.voices import Voice
from chorus.inference.handlers import GenerationHandlers
from chorus.inference.metrics import InferenceMetrics
from tests.support.servers import Servers

TOKENIZER: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER)
BASE = BaseModelId(name="starter", fingerprint="0" * 64)


class Engine:
    """Writes these pieces; at a None it waits until it may go on."""

    def __init__(self, *pieces: Piece | None, step: float = 0.0) -> None:
        """`step` is how long it takes for a piece, in seconds."""
        self.window = 256
        self.step = step
        self.pieces = pieces
        self.works: list[Work] = []
        self.go_on = asyncio.Event()
        self.at_work = 0

    async def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        self.works.append(work)
        self.at_work += 1
        try:
            for piece in self.pieces:
                if piece is None:
                    await self.go_on.wait()
                else:
                    await asyncio.sleep(self.step)
                    yield piece
        finally:
            self.at_work -= 1

    async def score(self, tokens: list[int], start: int, adapter: object) -> list[float]:
        return [-0.5] * len(tokens[start:])


class Voices:
    """One voice, for whoever may name it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.speaking_to = 0

    async def ready(self, guild: str, model: str | None, tell: Tell) -> None:
        if model == "nobody":
            raise NotFound("There is no model 'nobody' here.", code="unknown_model", param="model")
        if model == "cold":
            await tell(Waiting(code="loading", text="cold@1 is being fetched and loaded."))

    @asynccontextmanager
    async def speaking(self, guild: str, model: str | None) -> AsyncIterator[Voice]:
        served: Any = type("Served", (), {"tokenizer": TOKENIZER})
        engine: Any = self.engine
        self.speaking_to += 1
        try:
            yield Voice(model or "base", engine, served, None, None)
        finally:
            self.speaking_to -= 1


class Answering:
    """Handlers with an engine behind them."""

    def __init__(
        self, *pieces: Piece | None, at_once: int = 8, guild_waiting: int = 4, step: float = 0.0
    ) -> None:
        self.registry = CollectorRegistry()
        metrics = InferenceMetrics(self.registry)
        self.engine = Engine(*pieces, step=step)
        self.voices = Voices(self.engine)
        voices: Any = self.voices
        self.admission = Admission(at_once=at_once, waiting=8, guild_waiting=guild_waiting, metrics=metrics)
        self.handlers = GenerationHandlers(voices, self.admission, metrics, self.served)

    def served(self, guild: str | None) -> Served:
        return Served(
            instance=f"asked for {guild}", base=BASE, state="ready", resident=0, capacity=0, models=[]
        )

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"chorus_{name}", labels) or 0.0

    @asynccontextmanager
    async def on(self, servers: Servers) -> AsyncIterator[None]:
        """A process of inference, as `app.py` puts it together, and stopped as it is."""

        def declare(responder: Responder) -> None:
            self.handlers.register(responder, "starter", default=True)

        async with servers.serving("inference", declare, slots=1000, backlog=0):
            try:
                yield
            finally:
                self.admission.close()

    def is_at_rest(self) -> bool:
        """Whether nobody holds anything: no writing, no pinned voice, no place."""
        return not (self.engine.at_work or self.voices.speaking_to or self.admission._guilds)
