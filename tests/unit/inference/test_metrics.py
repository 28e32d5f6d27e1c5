"""Inference's metrics: what is said is what is counted."""

import pytest
from prometheus_client import CollectorRegistry

from chorus.inference.metrics import InferenceMetrics, class_of


@pytest.mark.parametrize(
    ("guild", "kind"), [("local", "local"), ("dm-42", "dm"), ("1234567890123456789", "guild")]
)
def test_guilds_are_told_apart_by_kind(guild: str, kind: str) -> None:
    assert class_of(guild) == kind


def test_what_is_said_of_adapters_and_engines_is_counted() -> None:
    registry = CollectorRegistry()
    metrics = InferenceMetrics(registry)
    for seconds in (0.25, 0.5):
        metrics.adapter_loaded(seconds)
    metrics.adapter_unloaded()
    metrics.resident(8)
    metrics.resident(7)
    metrics.cold(1.5)
    metrics.engine_started(13.5)
    metrics.engine_died()
    counted = {
        "adapter_loads_total": 2,
        "adapter_load_seconds_sum": 0.75,
        "adapter_evictions_total": 1,
        "adapters_resident": 7,
        "cold_adapter_seconds_sum": 1.5,
        "cold_adapter_seconds_count": 1,
        "engine_starts_total": 1,
        "engine_start_seconds_sum": 13.5,
        "engine_deaths_total": 1,
    }
    assert {name: registry.get_sample_value(f"chorus_{name}") for name in counted} == counted
