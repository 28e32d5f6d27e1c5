"""Alerts: each fires when it should and not before, names what exists, and has its entry in the runbook."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import debian
from tests.support.prometheus import (
    ROOT,
    RULES,
    exporters_names,
    labels_in,
    names_in,
    our_labels,
    rules,
    vllm_names,
)

ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in rules() if "record" in rule}
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
OTHERS = {"up", "process_open_fds", "process_max_fds"}
LABELS = {"job", "instance", "stream_name", "consumer_name", "server_name", "value"}

HERE = 'job="speech", instance="a"'
GATEWAY = 'job="gateway", instance="a"'
TRAINER = 'job="trainer", instance="a"'
INFERENCE = 'job="inference", instance="a"'
QUEUE = 'stream_name="TRAIN", consumer_name="trainer"'
NATS = 'up{job="nats", instance="a"}'
FAILED = f'chorus_training_jobs_total{{{TRAINER}, state="failed"}}'
FAILED_AS_SEEN_BY_ANOTHER = FAILED.replace('instance="a"', 'instance="b"')

NEVER = "_x120"  # no sample at all

WELL = {
    f"up{{{GATEWAY}}}": "1",
    f"up{{{TRAINER}}}": "1",
    f"up{{{INFERENCE}}}": "1",
    f"up{{{HERE}}}": "1",
    f"chorus_ready{{{HERE}}}": "1",
    NATS: "1",
}
"""What is there when nothing is wrong: steady, so that a value alone says all."""

# What is seen once something goes wrong, a value or `first+step` a minute; and how long until it fires.
WRONG: dict[str, tuple[dict[str, str], str]] = {
    "ServiceDown": ({f"up{{{HERE}}}": "0"}, "3m"),
    "ServiceMissing": ({f"up{{{INFERENCE}}}": "0"}, "3m"),
    "ServiceNotReady": ({f"chorus_ready{{{HERE}}}": "0"}, "16m"),
    "CheckFailing": ({f'chorus_check_failing{{{HERE}, check="nats"}}': "1"}, "6m"),
    "EventLoopStuck": ({f"chorus_event_loop_silent_seconds{{{HERE}}}": "5+60"}, "3m"),
    "RequestsFailing": (
        {
            f'chorus_requests_total{{{HERE}, endpoint="tts", outcome="internal_error"}}': "0+1",
            f'chorus_requests_total{{{HERE}, endpoint="tts", outcome="ok"}}': "0+10",
        },
        "18m",
    ),
    "RequestsTurnedAway": (
        {f'chorus_requests_total{{{HERE}, endpoint="tts", outcome="busy"}}': "0+20"},
        "18m",
    ),
    "DiskFilling": (
        {f"chorus_disk_free_bytes{{{HERE}}}": "5", f"chorus_disk_bytes{{{HERE}}}": "100"},
        "11m",
    ),
    "FilesRunningOut": (
        {f"process_open_fds{{{HERE}}}": "900", f"process_max_fds{{{HERE}}}": "1000"},
        "11m",
    ),
    "CommandsFailing": (
        {
            f'chorus_commands_total{{{GATEWAY}, command="talk", outcome="objects_unavailable"}}': "0+3",
            f'chorus_commands_total{{{GATEWAY}, command="talk", outcome="not_permitted"}}': "0+10",
        },
        "25m",
    ),
    "FirstWordsSlow": (
        {
            f'chorus_first_words_seconds_bucket{{{GATEWAY}, le="10"}}': "0+1",
            f'chorus_first_words_seconds_bucket{{{GATEWAY}, le="30"}}': "0+10",
            f'chorus_first_words_seconds_bucket{{{GATEWAY}, le="+Inf"}}': "0+10",
        },
        "25m",
    ),
    "DiscordDisconnected": ({f"chorus_discord_connected{{{GATEWAY}}}": "0"}, "6m"),
    "DiscordRateLimited": ({f'chorus_discord_rate_limited_total{{{GATEWAY}, scope="user"}}': "0+6"}, "25m"),
    "DiscordBanNear": (
        {f'chorus_discord_requests_total{{{GATEWAY}, method="POST", status="403"}}': "0+300"},
        "12m",
    ),
    "JobsFailing": ({FAILED: "0+0.1"}, "45m"),
    "JobsWaiting": ({f"chorus_training_oldest_waiting_seconds{{{TRAINER}}}": "3600+60"}, "12m"),
    "TrainingStalled": (
        {
            f'chorus_training_queue_jobs{{{TRAINER}, state="running"}}': "1",
            f"chorus_training_steps_total{{{TRAINER}}}": "7",
        },
        "61m",
    ),
    "TimeToFirstTokenHigh": (
        {
            f'chorus_time_to_first_token_seconds_bucket{{{INFERENCE}, le="10"}}': "0+1",
            f'chorus_time_to_first_token_seconds_bucket{{{INFERENCE}, le="30"}}': "0+10",
            f'chorus_time_to_first_token_seconds_bucket{{{INFERENCE}, le="+Inf"}}': "0+10",
        },
        "25m",
    ),
    "RequestsWaiting": ({f"chorus_requests_waiting{{{INFERENCE}}}": "21"}, "6m"),
    "EngineDied": ({f"chorus_engine_deaths_total{{{INFERENCE}}}": "0+1"}, "5m"),
    "SpeechEngineLeftOut": (
        {f'chorus_speech_engine_resting{{{HERE}, kind="hear", engine="google"}}': "1"},
        "16m",
    ),
    "NobodySpeaksOrHears": (
        {f'chorus_requests_total{{{HERE}, endpoint="stt", outcome="nobody_hears"}}': "0+1"},
        "12m",
    ),
    "BusDisconnected": ({f"chorus_bus_connected{{{HERE}}}": "0"}, "3m"),
    "BusRefuses": ({f'chorus_bus_refused_total{{{HERE}, deed="publish"}}': "0+1"}, "5m"),
    "MessagesDropped": ({f'chorus_bus_errors_total{{{HERE}, error="SlowConsumerError"}}': "0+1"}, "5m"),
    "ObjectsAway": ({f'chorus_object_calls_total{{{HERE}, outcome="objects_unavailable"}}': "0+1"}, "12m"),
    "NatsDown": ({NATS: "0"}, "3m"),
    "JobQueueLong": ({f"nats_consumer_num_pending{{{QUEUE}}}": "21"}, "31m"),
    "JobsRedelivered": ({f"nats_consumer_num_redelivered{{{QUEUE}}}": "11"}, "31m"),
    "WorkersSilent": (
        {
            f"nats_consumer_last_ack_seconds{{{QUEUE}}}": "86460+60",
            f"nats_consumer_num_ack_pending{{{QUEUE}}}": "1",
        },
        "11m",
    ),
    "MessagesStuck": (
        {
            'nats_stream_total_messages{stream_name="TRAIN"}': "5",
            f"nats_consumer_num_pending{{{QUEUE}}}": "2",
            f"nats_consumer_num_ack_pending{{{QUEUE}}}": "1",
        },
        "16m",
    ),
    "DeadLetters": ({'nats_stream_total_messages{stream_name="DLQ"}': "1"}, "2m"),
    "SlowConsumers": ({'nats_varz_slow_consumers{server_id="a"}': "0+1"}, "5m"),
    "StorageFilling": (
        {
            'nats_server_total_message_bytes{server_name="a"}': "90",
            'nats_server_max_storage{server_name="a"}': "100",
        },
        "6m",
    ),
    "StreamFilling": (
        {
            'nats_stream_total_bytes{stream_name="TRAIN"}': "90",
            'nats_stream_limit_bytes{stream_name="TRAIN"}': "100",
        },
        "16m",
    ),
}
HARMLESS = {
    'nats_stream_total_messages{stream_name="EVENTS"}': "50000",
    'nats_stream_total_bytes{stream_name="EVENTS"}': "100",
    'nats_stream_limit_bytes{stream_name="EVENTS"}': "100",
    'nats_stream_total_messages{stream_name="DLQ"}': "0",
    'nats_stream_total_messages{stream_name="TRAIN"}': "3",
    f"nats_consumer_num_pending{{{QUEUE}}}": "2",
    f"nats_consumer_num_ack_pending{{{QUEUE}}}": "1",
    f"nats_consumer_last_ack_seconds{{{QUEUE}}}": "7200",
    'nats_healthz_status_value{server_id="a", value="ok"}': "1",
    f'chorus_check_failing{{{HERE}, check="nats"}}': "0",
    f"chorus_event_loop_silent_seconds{{{HERE}}}": "0.6",
    f"chorus_bus_connected{{{HERE}}}": "1",
    f"chorus_discord_connected{{{GATEWAY}}}": "1",
    f'chorus_requests_total{{{HERE}, endpoint="tts", outcome="ok"}}': "0+10",
    f'chorus_requests_total{{{HERE}, endpoint="tts", outcome="text_too_long"}}': "0+10",
    f'chorus_commands_total{{{GATEWAY}, command="talk", outcome="not_permitted"}}': "0+10",
    f'chorus_object_calls_total{{{HERE}, outcome="no_object"}}': "0+10",
    f'chorus_training_queue_jobs{{{TRAINER}, state="running"}}': "1",
    f"chorus_training_steps_total{{{TRAINER}}}": "0+100",
}
"""A busy day: people's own mistakes, a full log of events, a training that goes on."""

# More of some alerts: what is seen, how many of its name fire, and when.
SPECIAL: list[tuple[str, dict[str, str], tuple[str, int]]] = [
    ("NatsDown", {NATS: NEVER}, ("3m", 1)),  # nothing tells how it is
    ("JobsFailing", {FAILED: "0x30 2x90", FAILED_AS_SEEN_BY_ANOTHER: "0x30 2x90"}, ("35m", 0)),
    ("JobsFailing", {FAILED: "7x30 0x5 3x80"}, ("40m", 1)),  # its process began anew
    ("JobsFailing", {FAILED: "0x30 3x90"}, ("100m", 0)),  # that is long ago
]


@pytest.mark.parametrize("name", {**ALERTS, **RECORDED})
def test_every_rule_is_of_metrics_and_labels_that_exist(name: str) -> None:
    query, ours = {**ALERTS, **RECORDED}[name]["expr"], our_labels()
    names = names_in(query)
    assert names
    assert names <= set(ours) | OTHERS | set(RECORDED) | exporters_names() | vllm_names()
    assert labels_in(query) <= LABELS.union(*(ours.get(metric, set()) for metric in names))


def test_every_alert_has_its_entry_and_every_entry_its_alert() -> None:
    entries = re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(entries) == sorted(ALERTS)
    for name, alert in ALERTS.items():
        annotations: Any = alert["annotations"]
        assert annotations["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert annotations["summary"].endswith(".")
        assert alert["labels"] in ({"severity": "critical"}, {"severity": "warning"})


def test_the_runbook_names_settings_that_exist() -> None:
    told = (ROOT / "docs" / "settings.md").read_text("utf-8")
    named = set(re.findall(r"CHORUS_[A-Z0-9_]+", RUNBOOK))
    assert named
    assert {name for name in named if f"`{name}`" not in told} == set()


def test_the_jobs_that_rules_ask_for_are_those_that_are_scraped() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    scraped = {job["job_name"] for job in config["scrape_configs"]}
    asked = {
        job
        for rule in rules()
        for found in re.findall(r'job=~?"([^"]+)"', rule["expr"])
        for job in found.split("|")
    }
    assert asked == scraped


def test_every_alert_has_its_test() -> None:
    assert sorted(WRONG) == sorted(ALERTS)


@pytest.fixture(scope="session")
def promtool() -> str:
    debian.needs("promtool", "prometheus")
    return "promtool"


@pytest.mark.system
@pytest.mark.parametrize("config", ["prometheus.yml", "one-machine.yml"])
def test_prometheus_takes_our_configuration(promtool: str, config: str) -> None:
    done = subprocess.run([promtool, "check", "config", ROOT / "deploy/prometheus" / config], check=False)
    assert done.returncode == 0


@pytest.mark.system
def test_each_alert_fires_and_only_when_it_should(promtool: str, tmp_path: Path) -> None:
    tests = [
        scenario(name, {**WELL, **seen}, [(too_early(name), 0), (after, 1)], name)
        for name, (seen, after) in WRONG.items()
    ]
    tests += [scenario(name, {**WELL, **seen}, [at], name) for name, seen, at in SPECIAL]
    tests.append(scenario("a busy day", WELL | HARMLESS, [("30m", 0), ("2h", 0)]))
    path = tmp_path / "alerts.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(p) for p in RULES.glob("*.yml")], "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def scenario(
    title: str, seen: dict[str, str], at: list[tuple[str, int]], alert: str = ".+"
) -> dict[str, Any]:
    """A test of promtool's: at these times so many alerts of that name fire, or none at all."""
    firing = f'count(count by (alertname) (ALERTS{{alertname=~"{alert}", alertstate="firing"}}))'
    return {
        "name": title,
        "interval": "1m",
        "input_series": [{"series": name, "values": values(value)} for name, value in seen.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": when, "exp_samples": [{"labels": "{}", "value": 1}] * count}
            for when, count in at
        ],
    }


def too_early(name: str) -> str:
    """A minute before an alert can fire, whatever is seen; or the beginning, where it need not last."""
    lasting = re.fullmatch(r"(\d+)m", ALERTS[name].get("for", "1m"))
    assert lasting
    return f"{int(lasting[1]) - 1}m"


def values(told: str) -> str:
    """Two hours of a value, or of `first+step`; or what is told in promtool's own words."""
    if "x" in told:
        return told
    first, _, step = told.partition("+")
    return f"{first}+{step or 0}x120"
