"""Inference, put together: the only file that names adapters."""

from chorus.common import base_model
from chorus.common.base_model import BaseModelFiles
from chorus.common.bus.connection import Connection, connect
from chorus.common.bus.discovery import Identity
from chorus.common.bus.responder import Responder
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.leases import Lease
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.topology import LEASES, MODELS
from chorus.common.objects import open_store
from chorus.common.service import Service
from chorus.common.telemetry.metrics import BusMetrics, ObjectMetrics, RequestMetrics, watch_disk
from chorus.inference.backends import engines
from chorus.inference.backends.engines import Engines
from chorus.inference.generation.admission import Admission
from chorus.inference.generation.catalogue import Catalogue
from chorus.inference.generation.checks import Served
from chorus.inference.generation.disk import Disk
from chorus.inference.generation.host import Host
from chorus.inference.generation.lease import SharedGpu
from chorus.inference.generation.residency import Residency
from chorus.inference.generation.shelf import GIB, Shelf
from chorus.inference.generation.voices import Voices
from chorus.inference.generation.weights import layers_of
from chorus.inference.generation.whole import WholeModels
from chorus.inference.handlers import GenerationHandlers
from chorus.inference.metrics import InferenceMetrics
from chorus.inference.settings import InferenceSettings

SPARE = 1000  # requests that are only looked at: a burst is all there before the first of it is refused


async def build(service: Service, settings: InferenceSettings) -> None:
    """Start the engine on the base model, follow the models there are, answer `infer.v1.*`."""
    base = base_model.find(settings.base_model)
    kind = engines.chosen(base, settings, service.registry)  # before the bus: importing blocks the loop
    connection = await service.stack.enter_async_context(
        connect(
            settings.nats_url,
            user="inference",
            nkey_file=settings.nats_nkey_file,
            ca_file=settings.nats_ca,
            on_closed=service.fail,
            metrics=BusMetrics(service.registry),
        )
    )
    service.health.checks["nats"] = lambda: None if connection.is_connected else "not connected"

    watch_disk(service.registry, settings.cache)
    metrics = InferenceMetrics(service.registry)
    voices = await _voices(service, settings, base, kind, connection, metrics)
    admission = Admission(
        at_once=kind.at_once,
        waiting=settings.requests_waiting,
        guild_waiting=settings.guild_waiting,
        metrics=metrics,
    )
    handlers = GenerationHandlers(
        voices,
        admission,
        metrics,
        lambda guild: voices.at_hand(guild, instance=service.id, waiting=admission.waiting),
    )
    responder = Responder(
        connection,
        Identity("inference", service.id, service.version, f"Answers with {base.label}"),
        RequestMetrics(service.registry),
        slots=kind.at_once + settings.requests_waiting + SPARE,
        backlog=SPARE,
        grace=settings.grace,
    )
    handlers.register(responder, base.id.name, default=settings.default_base)
    await service.stack.enter_async_context(responder)
    service.stack.callback(admission.close)


async def _voices(
    service: Service,
    settings: InferenceSettings,
    base: BaseModelFiles,
    kind: Engines,
    connection: Connection,
    metrics: InferenceMetrics,
) -> Voices:
    """All that answers: the base model, running unless a training has its GPU, and what comes beside it."""
    from chorus.inference.backends import tokenizer

    served = Served(base.id, tokenizer.load(base.folder), kind.max_rank, layers_of(base.folder))
    host = Host(kind.base, metrics, sleep=settings.sleep, patience=kind.patience)
    disk = Disk(settings.cache / "adapters", int(settings.adapters_on_disk * GIB))
    store = open_store(settings, metrics=ObjectMetrics(service.registry))
    shelf = Shelf(store, served, disk)
    residency = Residency(host, served, shelf, metrics)
    wholes = WholeModels(
        shelf,
        kind.whole,
        tokenizer.load,
        metrics,
        most=kind.wholes,
        idle=settings.whole_idle,
        patience=kind.patience,
    )
    catalogue = Catalogue(await open_bucket(connection, MODELS, ModelRecord))
    voices = Voices(host, served, base.facts.remembers, catalogue, residency, wholes)

    if settings.shared_gpu:
        leases = await open_bucket(connection, LEASES, Lease)
        gpu = await service.stack.enter_async_context(
            SharedGpu(
                leases,
                settings.shared_gpu,
                voices,
                instance=service.id,
                training_window=settings.training_window,
                answering_window=settings.answering_window,
            )
        )
        service.background("share the GPU", gpu.run())
    service.stack.push_async_callback(host.close)
    service.stack.push_async_callback(wholes.close)
    await host.open()
    service.health.checks["engine"] = host.wrong
    host.on_start(residency.forget_all)
    service.background("keep the engine", host.keep())
    service.background("end idle models", wholes.end_idle())
    service.background("follow models", catalogue.follow(residency.prepare, voices.keep_only))
    return voices
