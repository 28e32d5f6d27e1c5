"""Metrics: named as Prometheus's users expect, and each of them is told about."""

import asyncio
import re
import urllib.request
from collections import Counter

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from scripts import make_docs

from chorus.common.contracts.training import JobError, JobRecord, JobState, Progress
from chorus.common.errors import InvalidInput
from chorus.common.telemetry.health import Health, HealthMetrics, serve_health
from chorus.common.telemetry.metrics import BusMetrics
from chorus.gateway.commands.counting import measured
from chorus.gateway.commands.replies import Problem, Text
from chorus.gateway.metrics import CommandMetrics, DiscordMetrics
from chorus.speech.metrics import SpeechMetrics
from chorus.trainer.metrics import QueueMetrics, TrainerMetrics
from tests.unit.trainer.made import AT, a_job

ALL = [
    (title, *row) for title, kinds in make_docs.METRICS.items() for row in make_docs.counted(kinds)
]  # service, name, type, labels, meaning
LARGE = {"guild", "user", "person", "model", "job", "dataset", "channel", "message", "request", "trace"}


@pytest.mark.parametrize(("service", "name", "kind", "labels", "what"), ALL, ids=[row[1] for row in ALL])
def test_each_is_named_by_convention_and_explained(
    service: str, name: str, kind: str, labels: list[str], what: str
) -> None:
    assert re.fullmatch(r"chorus_[a-z][a-z0-9_]*", name)
    assert name.endswith("_total") == (kind == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", name), "base units"
    assert len(what) > 5
    assert not what.endswith(".")
    assert not LARGE & set(labels), "a label with so many values fills Prometheus's memory"


def test_none_is_named_twice() -> None:
    names = [row[1] for row in ALL]
    assert len(names) == len(set(names))


def test_health_is_told_as_it_is_when_somebody_reads_it() -> None:
    health, registry = Health(), CollectorRegistry()
    registry.register(HealthMetrics(health, "part", "1.2.3"))
    health.checks["nats"] = lambda: "not connected"
    assert registry.get_sample_value("chorus_check_failing", {"check": "nats"}) == 1
    assert registry.get_sample_value("chorus_ready") == 0
    health.ready = True
    health.checks["nats"] = lambda: None
    assert registry.get_sample_value("chorus_check_failing", {"check": "nats"}) == 0
    assert registry.get_sample_value("chorus_ready") == 1
    silent = registry.get_sample_value("chorus_event_loop_silent_seconds")
    assert silent is not None
    assert silent >= 0
    assert b'chorus_service_info{service="part",version="1.2.3"} 1.0' in generate_latest(registry)


def test_the_bus_is_connected_again_after_it_broke() -> None:
    registry = CollectorRegistry()
    metrics = BusMetrics(registry)
    metrics.connected()
    metrics.disconnected()
    assert registry.get_sample_value("chorus_bus_connected") == 0
    metrics.connected()
    metrics.refused("publish")
    metrics.failed(ValueError())
    assert registry.get_sample_value("chorus_bus_connected") == 1
    assert registry.get_sample_value("chorus_bus_disconnects_total") == 1
    assert registry.get_sample_value("chorus_bus_refused_total", {"deed": "publish"}) == 1
    assert registry.get_sample_value("chorus_bus_errors_total", {"error": "ValueError"}) == 1


def test_what_discord_refuses_is_counted_by_whose_limit_it_was() -> None:
    registry = CollectorRegistry()
    metrics = DiscordMetrics(registry)
    metrics.watch(lambda: True, lambda: 3, lambda: 0.04)
    for status, scope in ((200, None), (429, "shared"), (0, None)):
        metrics.requested("POST", status, scope)
    assert registry.get_sample_value("chorus_discord_guilds") == 3
    assert registry.get_sample_value("chorus_discord_connected") == 1
    assert registry.get_sample_value("chorus_discord_rate_limited_total", {"scope": "shared"}) == 1
    for status in ("200", "429", "0"):
        asked = {"method": "POST", "status": status}
        assert registry.get_sample_value("chorus_discord_requests_total", asked) == 1


async def test_a_command_is_counted_by_what_came_of_it() -> None:
    registry = CollectorRegistry()
    metrics = CommandMetrics(registry)

    async def refuses() -> Text:
        raise InvalidInput("No.", code="nothing_to_say")

    async def breaks() -> Text:
        raise KeyError

    async def answers(reply: Text | Problem) -> Text | Problem:
        return reply

    await measured(metrics, "say", answers(Text("Hello.")))
    await measured(metrics, "say", answers(Problem("voice_busy", "Wait.")))
    with pytest.raises(InvalidInput):
        await measured(metrics, "say", refuses())
    with pytest.raises(KeyError):
        await measured(metrics, "say", breaks())
    for outcome in ("ok", "voice_busy", "nothing_to_say", "internal_error"):
        told = {"command": "say", "outcome": outcome}
        assert registry.get_sample_value("chorus_commands_total", told) == 1
    assert registry.get_sample_value("chorus_command_seconds_count", {"command": "say"}) == 4


async def test_prometheus_is_told_names_with_a_colon_as_they_are() -> None:
    registry = CollectorRegistry()
    Gauge("vllm:num_requests_running", "As vLLM names them", registry=registry).set(3)
    accepts = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"  # Prometheus 2.42

    def read(url: str) -> str:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accepts})) as reply:
            return reply.read().decode()

    async with serve_health(Health(), registry, "127.0.0.1", 0) as (host, port):
        told = await asyncio.to_thread(read, f"http://{host}:{port}/metrics")
    assert "\nvllm:num_requests_running 3.0\n" in told


def test_steps_are_counted_between_two_reports_of_the_same_job() -> None:
    registry = CollectorRegistry()
    metrics = TrainerMetrics(registry)
    for job, step in (("one", 10), ("one", 15), ("other", 400), ("one", 16)):
        metrics.stepped(job, Progress(step=step, steps=500, tokens_per_s=9.0))
    assert registry.get_sample_value("chorus_training_steps_total") == 6
    assert registry.get_sample_value("chorus_training_step_seconds_count") == 6


def test_jobs_are_counted_by_state_when_somebody_reads_it() -> None:
    registry = CollectorRegistry()
    jobs = Counter({JobState.RUNNING: 1})
    QueueMetrics(registry).watch(lambda: jobs, lambda: None)
    jobs[JobState.QUEUED] = 2
    for state, count in (("running", 1), ("queued", 2), ("paused", 0)):
        assert registry.get_sample_value("chorus_training_queue_jobs", {"state": state}) == count
    assert registry.get_sample_value("chorus_training_oldest_waiting_seconds") == 0


def test_ends_of_jobs_are_there_from_the_start_and_then_counted() -> None:
    registry = CollectorRegistry()
    metrics = QueueMetrics(registry, gpus=2)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"chorus_training_{name}", labels)

    assert value("jobs_total", state="failed") == 0, "the first one is seen to be one more"
    assert value("failures_total", code="gave_up") == 0
    job = JobRecord(state=JobState.FAILED, job=a_job(), claims=3, seconds=60.0, updated_at=AT)
    metrics.job_ended(job.model_copy(update={"error": JobError(code="no_data", message="There is none.")}))
    metrics.job_ended(JobRecord(state=JobState.CANCELLED, job=a_job("bbbbbbbbbb"), updated_at=AT))
    assert value("jobs_total", state="failed") == value("failures_total", code="no_data") == 1
    assert value("jobs_total", state="cancelled") == 1
    assert value("attempts_total") == 3
    assert value("seconds_count") == 1, "nobody has worked on the other one"
    assert value("gpu_seconds_total") == 120


def test_an_engine_is_seen_to_rest_while_it_is_left_out() -> None:
    registry, left = CollectorRegistry(), [60.0]
    metrics = SpeechMetrics(registry)
    metrics.watch("hear", "google", lambda: left[0])
    metrics.tried("hear", "google", "timed_out", 2.0)
    google = {"kind": "hear", "engine": "google"}
    assert registry.get_sample_value("chorus_speech_engine_resting", google) == 1
    left[0] = 0.0
    assert registry.get_sample_value("chorus_speech_engine_resting", google) == 0
    failed = {**google, "outcome": "timed_out"}
    assert registry.get_sample_value("chorus_speech_engine_tries_total", failed) == 1
    assert registry.get_sample_value("chorus_speech_engine_seconds_sum", google) == 2.0
