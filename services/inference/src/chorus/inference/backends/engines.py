"""Which engine answers: vLLM in this process, or a server that runs already."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from chorus.common.base_model import BaseModelFiles
from chorus.common.errors import Misconfigured
from chorus.inference.generation.life import Patience
from chorus.inference.generation.ports import RunningEngine
from chorus.inference.settings import InferenceSettings

AT_ONCE, ON_CPU = 64, 36  # requests in the engine; two cores write no more with 64, and each waits longer


@dataclass(frozen=True)
class Engines:
    """How engines are started: each call blocks until one runs."""

    base: Callable[[], RunningEngine]
    """On the base model, with adapters."""
    whole: Callable[[Path], RunningEngine]
    """On a whole model's folder."""
    wholes: int
    """Whole models at a time."""
    max_rank: int
    """Of the base's adapters; 0 where it takes none."""
    at_once: int
    """Requests in the base's engine."""
    patience: Patience
    """With the base's engine, when it dies."""


def chosen(base: BaseModelFiles, settings: InferenceSettings, registry: CollectorRegistry) -> Engines:
    """The engine that the settings name, imported: that takes seconds. Its metrics go to the registry."""
    return _server(base, settings) if settings.openai_url else _ours(base, settings, registry)


def _ours(base: BaseModelFiles, settings: InferenceSettings, registry: CollectorRegistry) -> Engines:
    from chorus.inference.backends import vllm, vllm_metrics

    registry.register(vllm_metrics.REGISTRY)
    return Engines(
        base=lambda: vllm.start(base.folder, settings, name=base.id.name),
        # One name for all of them: metrics tell nobody which guild talks to what.
        whole=lambda folder: vllm.start(folder, settings, adapters=False, name="whole"),
        wholes=settings.whole_models,
        max_rank=settings.max_rank,
        at_once=settings.requests_at_once or (ON_CPU if vllm.on_cpu() else AT_ONCE),
        patience=Patience(grace=settings.grace),
    )


def _server(base: BaseModelFiles, settings: InferenceSettings) -> Engines:
    from chorus.inference.backends import openai

    return Engines(
        base=lambda: openai.start(base.folder, settings),
        whole=_not_here,
        wholes=0,
        max_rank=settings.max_rank if settings.openai_adapters else 0,
        at_once=settings.requests_at_once or AT_ONCE,
        patience=Patience(within=0),  # it is started by others, and comes back when it does
    )


def _not_here(folder: Path) -> RunningEngine:
    """A server serves what it was started on."""
    raise Misconfigured(f"The server at CHORUS_OPENAI_URL serves no other model, such as {folder.name}.")
