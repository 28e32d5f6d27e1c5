"""What an operator sees of a Chorus that runs: every panel has something to draw, logs carry their ids."""

import asyncio
import json
import re
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scripts.make_dashboards import DASHBOARDS

from chorus.common.local.servers import free_ports
from tests.e2e.test_discord import environment, gateway
from tests.support.chorus import ANSWER_WITHIN, RunningChorus
from tests.support.discord.double import running_discord
from tests.support.prometheus import NATS_VARZ, exporters_names, names_in, running_prometheus

pytestmark = pytest.mark.system

FIRST_RUN = Path(__file__).parents[2] / "examples" / "first-run.json"
SCRAPES = 5  # of a series, until its rate is something
WITHIN = 60.0  # seconds

QUERIES = [
    pytest.param(query, id=f"{name}: {panel.title}")
    for name, panels in DASHBOARDS.items()
    for panel in panels
    for query in panel.queries.values()
    if not names_in(query) & exporters_names()
]


@dataclass(frozen=True)
class Seen:
    """A Prometheus that has looked on, and the Discord gateway's log."""

    url: str
    log: list[dict[str, Any]]

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that a query gives now."""
        asked = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(asked) as reply:
            return json.load(reply)["data"]["result"]


@pytest.fixture(scope="module")
async def seen(chorus: RunningChorus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    """Everything is used once: words, a training, sound, Discord, and something that does not work."""
    folder = tmp_path_factory.mktemp("seen")
    targets: list[dict[str, Any]] = json.loads((chorus.folder / "prometheus.json").read_text())
    (port,) = free_ports(1)
    targets.append({"labels": {"job": "gateway"}, "targets": [f"127.0.0.1:{port}"]})
    async with running_discord() as discord, running_prometheus(folder, targets) as url:
        _, channel, _ = discord.guild()
        member = discord.person("member")
        given = chorus.environment("gateway") | environment(
            discord, CHORUS_CONSOLE="false", CHORUS_HEALTH_PORT=str(port)
        )
        async with gateway(folder, **given) as (_, log):
            await discord.until(lambda: "Logged in as chorus" in log.read_text(), ANSWER_WITHIN)
            told = await asyncio.to_thread(use_all, chorus)
            assert [line for line in told if "✗" in line and "[unknown_model]" not in line] == [], told
            await discord.say(channel, member, f"<@{discord.bot.id}> When do you open?")
            await discord.say(channel, member, "!train")
            await discord.until(lambda: len(discord.said(channel)) >= 2, ANSWER_WITHIN)
            watching = Seen(url, [])
            await scraped(watching, SCRAPES)
            yield Seen(url, [json.loads(line) for line in log.read_text().splitlines()])


def use_all(chorus: RunningChorus) -> list[str]:
    return chorus.say(
        f"!train file={FIRST_RUN} model=seen name=seen epochs=2",
        "!use seen",
        "When do you open?",
        "!say We sail at dawn. to=seen.ogg",
        "!say We sail at dawn. to=seen.ogg",
        "!transcribe file=seen.ogg",
        "!ask model=nobody Who?",
    )


async def scraped(seen: Seen, times: int) -> None:
    """Wait until Prometheus has read all targets so often since now."""
    async with asyncio.timeout(WITHIN):
        before = {one["metric"]["instance"]: float(one["value"][1]) for one in seen.ask("timestamp(up)")}
        while True:
            now = {
                one["metric"]["instance"]: float(one["value"][1]) for one in seen.ask("timestamp(up == 1)")
            }
            if len(now) == 5 and all(at - before.get(where, at) >= times for where, at in now.items()):
                return
            await asyncio.sleep(0.5)


async def test_all_parts_are_up(seen: Seen) -> None:
    up = {(one["metric"]["job"], one["value"][1]) for one in seen.ask("up")}
    assert up == {(job, "1") for job in ("gateway", "trainer", "inference", "speech")}


@pytest.mark.parametrize("query", QUERIES)
async def test_every_panel_has_something_to_draw(seen: Seen, query: str) -> None:
    assert seen.ask(query), "no series"


async def test_what_was_done_was_counted(seen: Seen) -> None:
    counted = {
        'chorus_commands_total{command="talk", outcome="ok"}': 2,
        'chorus_training_jobs_total{state="succeeded"}': 1,
        'chorus_speech_audio_seconds_total{done="heard"}': 1,
        "chorus_speech_phrases_kept_total": 1,
        "chorus_discord_guilds": 1,
        'chorus_object_calls_total{outcome="ok"}': 1,
    }
    for query, least in counted.items():
        found = seen.ask(f"sum({query})")
        assert found, query
        assert float(found[0]["value"][1]) >= least, query


async def test_nothing_alarms(seen: Seen) -> None:
    assert not seen.ask('ALERTS{alertstate="firing"}')


async def test_the_nats_server_tells_the_exporter_what_we_ask_for(seen: Seen, chorus: RunningChorus) -> None:
    config = (chorus.folder / "nats" / "nats-server.conf").read_text()
    where = re.search(r'^http: "([^"]+)"', config, re.MULTILINE)
    assert where

    def monitor(path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{where[1]}/{path}") as reply:
            return json.load(reply)

    assert set(NATS_VARZ) <= set(monitor("varz"))
    (account,) = monitor("jsz?consumers=true&acc=APP")["account_details"]
    queue = next(one for one in account["stream_detail"] if one["name"] == "TRAIN")
    assert {"messages", "bytes"} <= set(queue["state"])
    (worker,) = queue["consumer_detail"]
    assert {"num_pending", "num_ack_pending", "num_redelivered", "num_waiting"} <= set(worker)


async def test_the_lines_of_a_command_carry_its_ids_in_every_service(
    seen: Seen, chorus: RunningChorus
) -> None:
    def lines(service: str) -> list[dict[str, Any]]:
        text = (chorus.folder / "logs" / f"{service}.log").read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    claimed = [line for line in lines("trainer") if line["event"] == "job claimed"]
    assert claimed
    for line in claimed:
        assert line["service"] == "trainer"
        assert line["guild"] == "local"
        assert re.fullmatch(r"[a-z0-9]{10}", line["job"])
        assert re.fullmatch(r"[0-9a-f]{32}", line["trace"])

    refused = [line for line in lines("inference") if line["event"] == "request refused"]
    assert refused
    for line in refused:
        assert line["endpoint"] == "generate"
        assert line["guild"] == "local"
        assert re.fullmatch(r"[0-9a-f]{32}", line["request"])
        assert line["code"] == "unknown_model"
    assert {line["trace"] for line in claimed}.isdisjoint(line["trace"] for line in refused)
