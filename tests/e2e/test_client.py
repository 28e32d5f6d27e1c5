"""The Python client beside a running Chorus: talk, train, talk with what was trained; async and not."""

import runpy
from pathlib import Path

import pytest

from chorus.client import ChorusError, Client, SyncClient
from chorus.common.settings import load
from chorus.gateway.settings import GatewaySettings
from tests.support.chorus import RunningChorus

PAIRS = [
    {"user": "What is the cat called?", "bot": "Bosun."},
    {"user": "Where is the key?", "bot": "Under the anchor."},
    {"user": "Who rings the bell?", "bot": "Ottilie does."},
]
SCRIPT = Path(__file__).parent.parent.parent / "examples/python-client.py"


async def test_a_script_trains_a_model_and_talks_with_it(chorus: RunningChorus, guild: str) -> None:
    async with Client(chorus.folder, guild=guild) as client:
        before = await client.chat("What is the cat called?")
        client.session.forget()
        job = client.train(PAIRS, model="club", epochs=60)
        stages = [moment.stage async for moment in job]
        result = await job
        assert result is not None
        assert (result.model, "training" in " ".join(stages)) == ("club@1", True), stages
        assert [record.job.job for record in await client.jobs()] == [job.id]
        assert [record.name for record in await client.models()] == ["club"]

        assert await client.load_model("club") == "club@1"
        pieces = [piece async for piece in client.stream("What is the cat called?")]
        assert "".join(pieces).strip() == "Bosun." != before.strip()
        assert len(pieces) > 1, "it is written piece by piece"
        assert [turn.role for turn in client.session.turns] == ["user", "assistant"]
        assert (await client.ask("Where is the key?", model="club@1", max_tokens=1)) != "Under the anchor."

        with pytest.raises(ChorusError) as unknown:
            await client.load_model("nobody")
        assert unknown.value.code == "unknown_model"
        failing = client.train([{"user": "?"}])
        with pytest.raises(ChorusError) as failed:
            await failing
        assert failed.value.code != "internal_error"


async def test_without_asyncio_where_a_loop_runs_already(chorus: RunningChorus, guild: str) -> None:
    with SyncClient(chorus.folder, guild=guild) as client:
        client.add_examples(PAIRS)
        said = list(client.stream("Where is the key?", model="base"))
        assert client.chat("And now?").strip() or said
        assert len(client.session.turns) == 4
        assert next(iter(client.stream("Hello"))), "who leaves early stops the writing"
        with pytest.raises(ChorusError) as wrong:
            client.train("words", epochs="many")
        assert wrong.value.code == "invalid_parameter"
        job = client.train("examples-that-are-not-there.json")
        with pytest.raises(ChorusError) as missing:
            job.wait()
        assert missing.value.code == "file_not_found"
        assert client.jobs() == []
    async with Client(chorus.folder, guild=guild) as again:
        settings = await again._known.guilds.settings(guild)
        assert [example.user for example in settings.examples] == [pair["user"] for pair in PAIRS]


def test_the_example_runs(
    chorus: RunningChorus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(SCRIPT.parent.parent)
    monkeypatch.setenv("CHORUS_DATA", str(chorus.folder))
    runpy.run_path(str(SCRIPT))
    assert "says: Bosun. He was here before us." in capsys.readouterr().out
    assert len(SCRIPT.read_text().splitlines()) <= 12


def test_servers_are_found_by_the_environment(
    chorus: RunningChorus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, guild: str
) -> None:
    with pytest.raises(ChorusError) as nobody:
        SyncClient(tmp_path)
    assert nobody.value.code == "not_running"
    for name, value in chorus.environment("gateway").items():
        monkeypatch.setenv(name, value)
    for client in (SyncClient(guild=guild), SyncClient(guild=guild, settings=load(GatewaySettings))):
        with client:
            assert client.models() == []
