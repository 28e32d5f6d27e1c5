"""`chorus doctor`: what it finds where nothing runs, where settings are wrong, and at Discord."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chorus.common import objects
from chorus.common.local.folder import DataFolder
from chorus.common.operations.findings import Finding, Verdict
from chorus.gateway.frontends.cli import doctor as doctors
from chorus.gateway.frontends.cli.doctor import doctor, examine
from tests.support.discord.double import Discord, running_discord

SECRET = "hush-hush-hush"


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def discord(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Discord]:
    """Discord, and a bot of it that Chorus is to be."""
    async with running_discord() as running:
        monkeypatch.setenv("CHORUS_DISCORD_API_BASE", running.settings()["discord_api_base"])
        monkeypatch.setenv("CHORUS_DISCORD_TOKEN", running.token)
        yield running


async def found(name: str) -> Finding:
    return next(one for one in await examine() if one.name == name)


async def test_where_nothing_runs_it_says_so_and_nothing_is_wrong() -> None:
    chorus = await found("chorus")
    assert chorus.verdict is Verdict.DOUBTFUL
    assert "No Chorus runs on" in chorus.what
    assert "make run" in chorus.fix
    assert await asyncio.to_thread(doctor, []) == 0


async def test_programs_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(doctor, ["--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert {"settings", "discord", "disk", "memory", "gpu"} <= {one["name"] for one in told["findings"]}


async def test_all_settings_that_cannot_be_read_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHORUS_HEALTH_PORT", "many")
    monkeypatch.setenv("CHORUS_ACK_WAIT", "0")
    monkeypatch.setenv("CHORUS_DISCORD_TOKEN", SECRET)
    monkeypatch.setenv("CHORUS_DISCORD_API_BASE", f"http://{SECRET}@elsewhere.example")
    assert await asyncio.to_thread(doctor, []) == 1
    shown = capsys.readouterr().out
    assert "✗ settings" in shown
    for name in ("CHORUS_HEALTH_PORT", "CHORUS_ACK_WAIT", "CHORUS_DISCORD_API_BASE"):
        assert shown.count(name) == 1
    assert SECRET not in shown


async def test_a_file_of_settings_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"CHORUS_DISCORD_TOKEN=\xff\xfe")
    settings = await found("settings")
    assert settings.verdict is Verdict.WRONG
    assert ".env" in settings.what


async def test_while_it_starts_it_says_so(tmp_path: Path) -> None:
    with DataFolder(tmp_path / ".chorus").held():
        assert "starting, or stopping" in (await found("chorus")).what


async def test_servers_that_are_named_and_say_nothing_are_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    monkeypatch.setattr(doctors, "LET_IN_WITHIN", 0.5)
    monkeypatch.setenv("CHORUS_NATS_URL", f"nats://me:{SECRET}@127.0.0.1:{port}")
    monkeypatch.setattr(objects, "LOOK_WITHIN", 0.5)
    monkeypatch.setenv("CHORUS_S3_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("CHORUS_S3_SECRET_KEY", SECRET)
    assert await asyncio.to_thread(doctor, []) == 1
    silent.close()
    shown = capsys.readouterr().out
    assert "✗ nats" in shown
    assert "✗ s3" in shown
    assert "No NATS server lets operator in" in shown
    assert SECRET not in shown


async def test_every_secret_that_others_may_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the data folder, and beside the key that is named: what `chorus keys` makes."""
    local, away, alone = tmp_path / ".chorus" / "keys", tmp_path / "keys", tmp_path / "nkey"
    secret = [local / "seaweedfs.json", local / "gateway.s3", alone]
    secret += [away / name for name in ("operator.nk", "nats.key", "ca.key", "seaweedfs.json")]
    public = [away / name for name in ("nats.env", "ca.crt", "nats.crt")]
    for path in (*secret, *public):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        path.chmod(0o644)
    (local / "closed.nk").write_text("x")
    (local / "closed.nk").chmod(0o600)
    told: set[str] = set()
    for seed in (away / "operator.nk", alone):
        monkeypatch.setenv("CHORUS_NATS_NKEY_FILE", str(seed))
        told |= {one.fix.removeprefix("chmod 600 ") for one in await examine() if one.name == "secrets"}
    assert told == {str(path) for path in secret}


async def test_discord_says_whose_token_it_is(discord: Discord) -> None:
    assert (await found("discord")).what == "The token is chorus#0000's."
    assert (await found("intents")).verdict is Verdict.GOOD


async def test_an_intent_that_is_switched_off_is_wrong_where_it_is_needed(
    discord: Discord, monkeypatch: pytest.MonkeyPatch
) -> None:
    discord.rest.reads_content = False
    assert "Switch on Message Content Intent" in (await found("intents")).what
    monkeypatch.setenv("CHORUS_DISCORD_INTENTS", "minimal")
    assert (await found("intents")).verdict is Verdict.GOOD


async def test_a_wrong_token_is_told_and_not_shown(discord: Discord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORUS_DISCORD_TOKEN", SECRET)
    told = await found("discord")
    assert told.verdict is Verdict.WRONG
    assert "does not know this token" in told.what
    assert SECRET not in str(await examine())


async def test_a_discord_that_does_not_answer_is_doubtful(
    discord: Discord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHORUS_DISCORD_API_BASE", "http://127.0.0.1:9/api/v10")
    assert (await found("discord")).verdict is Verdict.DOUBTFUL
