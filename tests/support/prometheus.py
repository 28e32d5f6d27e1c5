"""Prometheus and promtool, and the metrics that there are: ours, vLLM's, and the NATS exporter's."""

import asyncio
import json
import re
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from scripts import make_docs

from chorus.common.local.servers import free_ports
from tests.support import debian

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy" / "prometheus" / "rules"

NATS_JSZ = [
    "server_total_streams", "server_total_consumers", "server_total_messages", "server_total_message_bytes",
    "server_max_memory", "server_max_storage", "account_max_storage", "account_storage_used",
    "stream_total_messages", "stream_total_bytes", "stream_limit_bytes", "stream_limit_messages",
    "consumer_last_delivery_seconds", "consumer_last_ack_seconds", "consumer_num_ack_pending",
    "consumer_num_redelivered", "consumer_num_waiting", "consumer_num_pending",
]  # fmt: skip
"""Of collector/jsz.go of prometheus-nats-exporter 0.20."""
NATS_OTHERS = ["healthz_status", "healthz_status_value", "connz_num_connections"]
NATS_VARZ = ["in_msgs", "out_msgs", "slow_consumers"]
"""The exporter has all numbers of the server's /varz; these are the ones that we use."""

KEYWORDS = {
    "sum", "min", "max", "avg", "count", "rate", "increase", "absent", "histogram_quantile", "label_replace",
    "by", "on", "and", "or", "unless", "vector", "max_over_time",
}  # fmt: skip


def exporters_names() -> set[str]:
    """Names of the NATS exporter, with the prefix that we give it."""
    varz = [f"varz_{name}" for name in NATS_VARZ]
    return {f"nats_{name}" for name in (*NATS_JSZ, *NATS_OTHERS, *varz)}


def vllm_names() -> set[str]:
    """Names of vLLM's own figures, from its source: to import it takes seconds."""

    source = Path(sysconfig.get_path("purelib"), "vllm/v1/metrics/loggers.py").read_text("utf-8")
    bare = set(re.findall(r'name="(vllm:\w+)"', source))
    return {f"{name}{suffix}" for name in bare for suffix in ("", "_total", "_bucket")}


def our_labels() -> dict[str, set[str]]:
    """Every series of ours, as PromQL calls it, with its labels."""
    found: dict[str, set[str]] = {}
    for kinds in make_docs.METRICS.values():
        for name, kind, labels, _ in make_docs.counted(kinds):
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            for suffix in suffixes:
                found[f"{name}{suffix}"] = {*labels, *(["le"] if suffix == "_bucket" else [])}
    return found


def rules() -> list[dict[str, str]]:
    """All recording and alerting rules."""
    return [
        rule
        for path in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]


def names_in(query: str) -> set[str]:
    """The metrics that a query names: what is left without labels, strings, numbers, and PromQL's words."""
    bare = re.sub(r'"[^"]*"', "", query)
    bare = re.sub(r"\b(by|on|ignoring|group_left)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\boffset \w+", "", bare)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - KEYWORDS


def labels_in(query: str) -> set[str]:
    """The labels that a query names, of whatever metric."""
    grouped = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", query)
    matched = re.findall(r"\{([^}]*)\}", query)
    words = [word.strip() for group in grouped for word in group.split(",")]
    return {*filter(None, words), *(name for m in matched for name in re.findall(r"(\w+)\s*[=!]~?", m))}


@asynccontextmanager
async def running_prometheus(folder: Path, targets: list[dict[str, Any]]) -> AsyncIterator[str]:
    """Prometheus with our rules, reading these targets each second; its address. It leaves nothing."""
    debian.needs("prometheus", "prometheus")
    (folder / "targets.json").write_text(json.dumps(targets))
    config = yaml.safe_load((RULES.parent / "one-machine.yml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES.parent / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["file_sd_configs"] = [{"files": [str(folder / "targets.json")]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'store'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
