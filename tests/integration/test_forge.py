"""`chorus forge --mine`: a server on Discord is read by the token alone, and what was made talks.

The real discord.py reads the double, with NATS and S3; trainer and inference are played.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chorus.common.contracts.models import ModelRecord
from chorus.gateway.commands.context import Trust
from chorus.gateway.frontends.cli.once import run_once
from tests.support.discord.world import FORUM
from tests.support.mining import Mining, a_mining
from tests.support.servers import Servers
from tests.unit.gateway.test_console import typed
from tests.unit.gateway.test_models import version

PERMITTED = Trust("permitted", "DISCORD-1", "console")


@pytest.fixture
async def mining(servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Mining]:
    monkeypatch.chdir(tmp_path)  # where no .env of a developer lies
    async with a_mining(servers) as mining:
        guild, settings = mining.place.guild.id, mining.place.discord.settings()
        mining.place.world.models.records = [
            ModelRecord(guild=guild, name="main", versions=[version(1)], aliases={})
        ]
        monkeypatch.setenv("CHORUS_DISCORD_API_BASE", settings["discord_api_base"])
        monkeypatch.setenv("CHORUS_DISCORD_TOKEN", mining.place.discord.token)
        mining.place.told.tell("Hello.", None)
        yield mining


async def forged(mining: Mining, *words: str, trust: Trust = PERMITTED, server: str = "") -> int:
    given = ["forge", "--mine", server or mining.place.guild.id, *words]
    return await run_once(mining.place.world.chorus, trust, given, max_upload=1, history=Path("none"))


async def test_what_was_said_in_a_server_becomes_a_model_of_that_server(
    mining: Mining, capsys: pytest.CaptureFixture[str]
) -> None:
    discord, guild = mining.place.discord, mining.place.guild
    post = discord.thread(discord.channel(guild, "ideas", FORUM), "A bigger boat?", archived=True)
    mining.said(mining.place.channel, mining.ada, "In the locker.")
    mining.said(post, mining.ada, "Never.")
    mining.said(post, mining.bob, "PRIVATE of bob")
    code = await forged(mining, "--epochs", "3", "--question", "Where is the rope?")
    shown = capsys.readouterr().out
    assert code == 0, shown
    assert "2 of people who opted in are kept; 1 of others were passed over." in shown
    assert shown.endswith("main@1 answers now.\n> Where is the rope?\nHello.\n")
    (asked,) = mining.imports
    assert (asked.guild, asked.name, asked.contributor) == (guild.id, "mined", "local")
    assert (asked.basis.way, asked.basis.reference) == ("mined", "DISCORD-1")
    (record,) = mining.place.world.jobs.records.values()
    job = record.job
    assert (job.guild, job.model, job.hyperparameters.epochs) == (guild.id, "main", 3)
    assert [where for where, _, _ in mining.place.told.asked] == [guild.id]


async def test_the_talk_after_it_is_that_server_s(
    mining: Mining, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, b"hello\n")
    mining.said(mining.place.channel, mining.ada, "In the locker.")
    mining.said(mining.place.channel, mining.ada, "Ask the bosun.")
    assert await forged(mining, "--channel", "#general", "--limit", "1", "--name", "club") == 0
    assert "What you say now is said to main@1." in capsys.readouterr().out
    assert mining.imports[-1].name == "club"
    ((where, model, _),) = mining.place.told.asked
    assert (where, model) == (mining.place.guild.id, "main@1")
    assert len(await mining.ids()) == 1


@pytest.mark.parametrize("mode", ["off", "submitted"])
async def test_without_discords_permission_discord_is_not_asked(
    mining: Mining, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    trust = Trust(mode, None, "console")  # type: ignore[arg-type]
    assert await forged(mining, trust=trust) == 1
    shown = capsys.readouterr().out
    assert "rule 21" in shown
    assert "[mining_not_permitted]" in shown
    assert mining.history.listed == mining.history.asked == []


@pytest.mark.parametrize(
    ("token", "server", "told"),
    [
        ("", "", "CHORUS_DISCORD_TOKEN: without a bot's token"),
        ("wrong", "", "Discord does not know this token"),
        (None, "1234567890123456789", "[unknown_server]"),
        (None, "harbour", "[invalid_parameter]"),
    ],
)
async def test_what_cannot_be_read_is_told(
    mining: Mining,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    token: str | None,
    server: str,
    told: str,
) -> None:
    if token is not None:
        monkeypatch.setenv("CHORUS_DISCORD_TOKEN", token)
    assert await forged(mining, server=server) == 1
    assert told in capsys.readouterr().out
    assert not mining.imports


async def test_where_nobody_opted_in_nothing_is_trained(
    mining: Mining, capsys: pytest.CaptureFixture[str]
) -> None:
    mining.said(mining.place.channel, mining.bob, "PRIVATE of bob")
    assert await forged(mining) == 1
    assert "[nothing_mined]" in capsys.readouterr().out
    assert not mining.place.world.jobs.records
