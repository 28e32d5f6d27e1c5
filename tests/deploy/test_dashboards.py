"""Grafana's dashboards: as their table says, each in its place, and of metrics that exist."""

import json
from itertools import combinations

import pytest
import yaml
from scripts import make_dashboards
from scripts.make_dashboards import DASHBOARDS, FOLDER

from tests.support.prometheus import ROOT, exporters_names, labels_in, names_in, our_labels, rules, vllm_names

SCRAPED = {"job", "instance", "alertstate"}
OTHERS = {"up", "ALERTS", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"}
NATS_LABELS = {"server_id", "server_name", "stream_name", "consumer_name"}

QUERIES = [
    (name, panel.title, query)
    for name, panels in DASHBOARDS.items()
    for panel in panels
    for query in panel.queries.values()
]


def test_the_files_are_fresh() -> None:
    made = make_dashboards.dashboards()
    assert {path.name for path in FOLDER.iterdir()} == set(made)
    for name, text in made.items():
        assert (FOLDER / name).read_text("utf-8") == text, f"{name} is out of date: `make docs`"


@pytest.mark.parametrize(("dashboard", "title", "query"), QUERIES, ids=str)
def test_every_query_is_of_metrics_and_labels_that_exist(dashboard: str, title: str, query: str) -> None:
    ours = our_labels()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    names = names_in(query)
    assert names
    assert names <= set(ours) | OTHERS | recorded | exporters_names() | vllm_names()
    known = SCRAPED | NATS_LABELS if names & exporters_names() else SCRAPED
    assert labels_in(query) <= known.union(*(ours.get(name, {"le"}) for name in names))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_panel_lies_on_another(name: str) -> None:
    panels = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))["panels"]
    assert len({panel["title"] for panel in panels}) == len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        assert (
            abs(one["x"] - other["x"]) >= min(one["w"], other["w"]) or abs(one["y"] - other["y"]) >= one["h"]
        )


def test_grafana_finds_them_where_they_are_mounted() -> None:
    folder = ROOT / "deploy/grafana/provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards/chorus.yml").read_text("utf-8"))["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text("utf-8"))["datasources"]
    assert source["type"] == "prometheus"
    assert source["isDefault"]
