"""Write Grafana's dashboards: a table of panels here, and in deploy/grafana/dashboards what Grafana reads.

A panel is a title, a unit and its queries by legend. A test compares the files with this table, another one
asks a real Prometheus beside a running Chorus for each query.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "dashboards"

COLUMNS, WIDTH, HEIGHT = 3, 8, 8  # of Grafana's grid, 24 units wide
SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True)
class Panel:
    """What is drawn: PromQL by legend, which may have labels in it: `{{job}}`. Units are Grafana's."""

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    kind: Literal["timeseries", "stat"] = "timeseries"


def rate(metric: str, *by: str) -> str:
    """How often a second, over five minutes."""
    return f"sum by ({', '.join(by)}) (rate({metric}[5m]))" if by else f"sum(rate({metric}[5m]))"


def share(quantile: float, histogram: str, *by: str) -> str:
    """A quantile of a histogram, over five minutes."""
    labels = ", ".join(("le", *by))
    return f"histogram_quantile({quantile}, sum by ({labels}) (rate({histogram}_bucket[5m])))"


def times(histogram: str) -> dict[str, str]:
    """How long it takes: the middle, and the slowest of twenty and of a hundred."""
    return {"p50": share(0.5, histogram), "p95": share(0.95, histogram), "p99": share(0.99, histogram)}


OVERVIEW = (
    Panel("Copies that run", {"{{job}}": 'sum by (job) (up{job!="prometheus"})'}, kind="stat"),
    Panel("Alerts", {"": 'count(ALERTS{alertstate="firing"}) or vector(0)'}, kind="stat"),
    Panel("Trainings that run", {"": 'max(chorus_training_queue_jobs{state="running"})'}, kind="stat"),
    Panel("Servers on Discord", {"": "sum(chorus_discord_guilds)"}, kind="stat"),
    Panel("Commands", {"{{command}}": rate("chorus_commands_total", "command")}, "reqps"),
    Panel(
        "Commands that fail",
        {"{{outcome}}": rate('chorus_commands_total{outcome!="ok"}', "outcome")},
        "reqps",
    ),
    Panel("Time to the first words", times("chorus_first_words_seconds"), "s"),
    Panel("Requests", {"{{job}} {{endpoint}}": rate("chorus_requests_total", "job", "endpoint")}, "reqps"),
    Panel("Tokens written", {"{{guild_class}}": rate("chorus_generated_tokens_total", "guild_class")}),
    Panel("Checks that fail", {"{{job}} {{check}}": "chorus_check_failing"}),
    Panel("Memory", {"{{job}} {{instance}}": 'process_resident_memory_bytes{job!="prometheus"}'}, "bytes"),
    Panel("Processor", {"{{job}}": 'sum by (job) (rate(process_cpu_seconds_total{job!="prometheus"}[5m]))'}),
    Panel("Event loops", {"{{job}} {{instance}}": "chorus_event_loop_silent_seconds"}, "s"),
    Panel(
        "Disk left", {"{{job}}": "min by (job) (chorus_disk_free_bytes / chorus_disk_bytes)"}, "percentunit"
    ),
    Panel("Open files", {"{{job}}": 'max by (job) (process_open_fds{job!="prometheus"})'}),
    Panel(
        "Versions",
        {"{{service}} {{version}}": "count by (service, version) (chorus_service_info)"},
        kind="stat",
    ),
)

TRAINING = (
    Panel("Jobs", {"{{state}}": "max by (state) (chorus_training_queue_jobs)"}),
    Panel("The oldest waits for", {"": "max(chorus_training_oldest_waiting_seconds)"}, "s"),
    Panel(
        "Jobs that ended, an hour",
        {"{{state}}": "max by (state) (increase(chorus_training_jobs_total[1h]))"},
    ),
    Panel("Tokens a second", {"{{instance}}": "chorus_training_tokens_per_second"}),
    Panel("Steps a second", {"{{instance}}": rate("chorus_training_steps_total", "instance")}),
    Panel("Time of a step", times("chorus_training_step_seconds"), "s"),
    Panel("Loss", {"{{instance}}": "chorus_training_loss"}),
    Panel("Share of peak arithmetic", {"{{instance}}": "chorus_training_mfu"}, "percentunit"),
    Panel("Memory of runs", {"{{instance}}": "chorus_training_memory_bytes"}, "bytes"),
    Panel("Jobs that failed", {"{{code}}": "max by (code) (chorus_training_failures_total)"}),
    Panel("Attempts, an hour", {"": "max(increase(chorus_training_attempts_total[1h]))"}),
    Panel("Work on a job", times("chorus_training_seconds"), "s"),
    Panel("GPU seconds, an hour", {"": "max(increase(chorus_training_gpu_seconds_total[1h]))"}, "s"),
    Panel("Storing checkpoints", times("chorus_training_checkpoint_seconds"), "s"),
    Panel("Size of a checkpoint", {"{{instance}}": "chorus_training_checkpoint_bytes"}, "bytes"),
    Panel("Out of memory, an hour", {"": "sum(increase(chorus_training_out_of_memory_total[1h]))"}),
)

INFERENCE = (
    Panel("Time to first token", times("chorus_time_to_first_token_seconds"), "s"),
    Panel("Tokens written", {"{{guild_class}}": rate("chorus_generated_tokens_total", "guild_class")}),
    Panel("Refused", {"{{code}}": rate("chorus_refusals_total", "code")}, "reqps"),
    Panel("In line", {"{{instance}}": "chorus_requests_waiting"}),
    Panel("Time in line", times("chorus_request_waiting_seconds"), "s"),
    Panel("Requests", {"{{endpoint}}": rate('chorus_requests_total{job="inference"}', "endpoint")}, "reqps"),
    Panel("Adapters in the engine", {"{{instance}}": "chorus_adapters_resident"}),
    Panel(
        "Adapters come and go",
        {"loaded": rate("chorus_adapter_loads_total"), "unloaded": rate("chorus_adapter_evictions_total")},
    ),
    Panel(
        "Time to load an adapter",
        {
            "from disk": share(0.95, "chorus_adapter_load_seconds"),
            "fetched": share(0.95, "chorus_cold_adapter_seconds"),
        },
        "s",
    ),
    Panel(
        "Engines",
        {"started": "sum(chorus_engine_starts_total)", "died": "sum(chorus_engine_deaths_total)"},
        kind="stat",
    ),
    Panel("Time to start an engine", times("chorus_engine_start_seconds"), "s"),
    Panel("vLLM: at work", {"{{instance}}": "vllm:num_requests_running"}),
    Panel("vLLM: waiting", {"{{instance}}": "vllm:num_requests_waiting"}),
    Panel("vLLM: key-value cache in use", {"{{instance}}": "vllm:kv_cache_usage_perc"}, "percentunit"),
    Panel(
        "vLLM: tokens",
        {"read": rate("vllm:prompt_tokens_total"), "written": rate("vllm:generation_tokens_total")},
    ),
    Panel("vLLM: time between tokens", times("vllm:inter_token_latency_seconds"), "s"),
    Panel(
        "vLLM: prefix cache",
        {"hits": rate("vllm:prefix_cache_hits_total"), "asked": rate("vllm:prefix_cache_queries_total")},
    ),
    Panel("vLLM: put off", {"{{instance}}": rate("vllm:num_preemptions_total", "instance")}),
)

BUS = (
    Panel("Connected", {"{{job}} {{instance}}": "chorus_bus_connected"}),
    Panel(
        "Broken connections, an hour",
        {"{{job}}": "sum by (job) (increase(chorus_bus_disconnects_total[1h]))"},
    ),
    Panel(
        "Refused, or wrong",
        {
            "refused {{job}} {{deed}}": "sum by (job, deed) (increase(chorus_bus_refused_total[1h]))",
            "{{job}} {{error}}": "sum by (job, error) (increase(chorus_bus_errors_total[1h]))",
        },
    ),
    Panel("Requests", {"{{job}} {{endpoint}}": rate("chorus_requests_total", "job", "endpoint")}, "reqps"),
    Panel(
        "Time of a request (p95)", {"{{endpoint}}": share(0.95, "chorus_request_seconds", "endpoint")}, "s"
    ),
    Panel(
        "Object store", {"{{job}} {{outcome}}": rate("chorus_object_calls_total", "job", "outcome")}, "reqps"
    ),
    Panel("Time of the object store", times("chorus_object_call_seconds"), "s"),
    Panel("NATS: clients", {"{{server_id}}": "nats_connz_num_connections"}),
    Panel(
        "NATS: messages",
        {"in": rate("nats_varz_in_msgs"), "out": rate("nats_varz_out_msgs")},
        "reqps",
    ),
    Panel("NATS: slow consumers", {"{{server_id}}": "nats_varz_slow_consumers"}),
    Panel(
        "NATS: the queue of trainings",
        {
            "waiting": 'max(nats_consumer_num_pending{stream_name="TRAIN"})',
            "in hand": 'max(nats_consumer_num_ack_pending{stream_name="TRAIN"})',
            "delivered again": 'max(nats_consumer_num_redelivered{stream_name="TRAIN"})',
        },
    ),
    Panel("NATS: dead letters", {"": 'max(nats_stream_total_messages{stream_name="DLQ"})'}, kind="stat"),
    Panel("NATS: streams", {"{{stream_name}}": "max by (stream_name) (nats_stream_total_messages)"}),
    Panel(
        "NATS: bytes of streams",
        {"{{stream_name}}": "max by (stream_name) (nats_stream_total_bytes)"},
        "bytes",
    ),
    Panel(
        "NATS: disk in use",
        {"{{server_name}}": "nats_server_total_message_bytes / (nats_server_max_storage > 0)"},
        "percentunit",
    ),
)

DISCORD = (
    Panel("Connected", {"{{instance}}": "chorus_discord_connected"}, kind="stat"),
    Panel("Servers", {"{{instance}}": "chorus_discord_guilds"}, kind="stat"),
    Panel("Logins, an hour", {"{{instance}}": "increase(chorus_discord_logins_total[1h])"}, kind="stat"),
    Panel("Heartbeat", {"{{instance}}": "chorus_discord_latency_seconds"}, "s"),
    Panel(
        "Requests",
        {"{{method}} {{status}}": rate("chorus_discord_requests_total", "method", "status")},
        "reqps",
    ),
    Panel("Refused as too many", {"{{scope}}": rate("chorus_discord_rate_limited_total", "scope")}, "reqps"),
    Panel("Held back here", times("chorus_discord_held_seconds"), "s"),
    Panel("Commands", {"{{command}}": rate("chorus_commands_total", "command")}, "reqps"),
    Panel("Time of a command (p95)", {"{{command}}": share(0.95, "chorus_command_seconds", "command")}, "s"),
)

SPEECH = (
    Panel("Sound", {"{{done}} {{engine}}": rate("chorus_speech_audio_seconds_total", "done", "engine")}, "s"),
    Panel(
        "Engines",
        {
            "{{kind}} {{engine}} {{outcome}}": rate(
                "chorus_speech_engine_tries_total", "kind", "engine", "outcome"
            )
        },
        "reqps",
    ),
    Panel(
        "Time of an engine (p95)",
        {"{{kind}} {{engine}}": share(0.95, "chorus_speech_engine_seconds", "kind", "engine")},
        "s",
    ),
    Panel("Left out", {"{{kind}} {{engine}}": "chorus_speech_engine_resting"}),
    Panel("Phrases taken from those kept", {"": rate("chorus_speech_phrases_kept_total")}, "reqps"),
    Panel(
        "Requests",
        {"{{endpoint}} {{outcome}}": rate('chorus_requests_total{job="speech"}', "endpoint", "outcome")},
        "reqps",
    ),
)

DASHBOARDS: dict[str, tuple[Panel, ...]] = {
    "overview": OVERVIEW,
    "training": TRAINING,
    "inference": INFERENCE,
    "bus": BUS,
    "discord": DISCORD,
    "speech": SPEECH,
}


def main() -> int:
    """Write all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in dashboards().items():
        (FOLDER / name).write_text(text, "utf-8")
        print(f"deploy/grafana/dashboards/{name}")
    return 0


def dashboards() -> dict[str, str]:
    """Each file's text, by its name."""
    return {
        f"{name}.json": json.dumps(dashboard(name, panels), indent=1, ensure_ascii=False) + "\n"
        for name, panels in DASHBOARDS.items()
    }


def dashboard(name: str, panels: tuple[Panel, ...]) -> dict[str, Any]:
    """What Grafana reads. The data source is chosen above it; links lead to the others."""
    return {
        "uid": f"chorus-{name}",
        "title": f"Chorus: {name}",
        "tags": ["chorus"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["chorus"], "title": "Chorus", "keepTime": True}],
        "templating": {
            "list": [{"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [drawn(number, panel) for number, panel in enumerate(panels)],
    }


def drawn(number: int, panel: Panel) -> dict[str, Any]:
    """One panel, in its place: three in a row."""
    row, column = divmod(number, COLUMNS)
    return {
        "id": number + 1,
        "title": panel.title,
        "type": panel.kind,
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for place, (legend, query) in enumerate(panel.queries.items())
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
