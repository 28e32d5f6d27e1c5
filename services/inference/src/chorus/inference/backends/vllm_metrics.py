"""vLLM's own figures for Prometheus, of all engines in this process: names that begin with `vllm:`.

vLLM's logger forgets the figures of every other engine when it begins, because a name can be registered
only once. Here each name is registered once, too, and the engines differ by the label `model_name`. An
engine that takes a dead one's place goes on with its counts.
"""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from vllm.v1.metrics.loggers import PrometheusStatLogger

REGISTRY = CollectorRegistry()
"""Everything of them. To be registered as a collector where the process serves its own figures."""

_families: dict[str, Any] = {}


def _once(kind: type[Any]) -> Callable[..., Any]:
    """The metric of a name, made when it is first asked for."""

    def family(name: str, documentation: str, **options: Any) -> Any:
        if name not in _families:
            _families[name] = kind(name, documentation, registry=REGISTRY, **options)
        return _families[name]

    return family


class EngineMetrics(PrometheusStatLogger):
    """What vLLM counts, into our registry. vLLM makes one for each engine."""

    _gauge_cls = staticmethod(_once(Gauge))
    _counter_cls = staticmethod(_once(Counter))
    _histogram_cls = staticmethod(_once(Histogram))
