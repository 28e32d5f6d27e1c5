"""Inference, put together: the only file that names adapters."""

import asyncio

from chorus.common import base_model
from chorus.common.bus.connection import connect
from chorus.common.bus.discovery import Identity
from chorus.common.bus.responder import Responder
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.generation import CANCEL, GENERATE, Generate
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.topology import MODELS
from chorus.common.objects import open_store
from chorus.common.service import Service
from chorus.common.telemetry.metrics import RequestMetrics
from chorus.inference.generation.catalogue import Catalogue
from chorus.inference.generation.checks import Served
from chorus.inference.generation.shelf import Shelf
from chorus.inference.handlers import GenerationHandlers
from chorus.inference.metrics import InferenceMetrics
from chorus.inference.settings import InferenceSettings

WAITING = 256  # requests beyond those in the engine
LOOK_EVERY = 1.0  # seconds between looks at the engine's health


async def build(service: Service, settings: InferenceSettings) -> None:
    """Start the engine on the base model, follow the models there are, answer `infer.v1.*`."""
    # The engine first, while nothing is connected: loading blocks the loop, and a bus kept waiting gives up.
    base = base_model.find(settings.base_model)
    from chorus.inference.backends import vllm  # seconds to import: not before the settings are known good

    engine = vllm.start(base.folder, settings)
    service.stack.callback(engine.close)
    service.health.checks["engine"] = engine.wrong

    connection = await service.stack.enter_async_context(
        connect(
            settings.nats_url, user="inference", nkey_file=settings.nats_nkey_file, on_closed=service.fail
        )
    )
    service.health.checks["nats"] = lambda: None if connection.is_connected else "not connected"

    served = Served(base.id, engine.tokenizer, engine.max_rank)
    shelf = Shelf(open_store(settings), engine, served, settings.cache / "adapters")
    catalogue = Catalogue(await open_bucket(connection, MODELS, ModelRecord))
    service.background("follow models", catalogue.follow(shelf.prepare))

    async def watch_engine() -> None:
        while engine.wrong() is None:  # noqa: ASYNC110 - vLLM offers nothing to wait for
            await asyncio.sleep(LOOK_EVERY)
        service.fail("the engine is dead")

    service.background("watch engine", watch_engine())

    responder = Responder(
        connection,
        Identity("inference", service.id, service.version, f"Answers with {base.label}"),
        RequestMetrics(service.registry),
        slots=settings.requests_at_once,
        backlog=WAITING,
        grace=settings.grace,
    )
    handlers = GenerationHandlers(
        engine,
        served,
        catalogue,
        shelf,
        InferenceMetrics(service.registry),
        remembers=base.facts.remembers,
    )
    responder.stream("generate", GENERATE, Generate, handlers.generate, cancel=CANCEL)
    await service.stack.enter_async_context(responder)
