"""`chorus models push`: the official client against a hub that answers as the real one does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import huggingface_hub.constants
import pytest
import tenacity

from chorus.common.errors import InvalidInput, NotPermitted, Unavailable
from chorus.gateway.frontends.cli import hub as client
from chorus.gateway.frontends.cli.arguments import read
from chorus.gateway.frontends.cli.models import of_models
from chorus.trainer.training.modelcard import model_card
from tests.support.hub import CUT, TOKEN, Hub, a_hub
from tests.unit.gateway.fakes import A_FILE, World, told
from tests.unit.trainer.made import a_job, made


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Hub]:
    """Logged in to it, with nothing to wait for between two tries, and without xet, a protocol of its own."""
    async with a_hub() as running:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", running.url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(client.RETRYING, "wait", tenacity.wait_none())
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An adapter with its card, as it is exported."""
    folder = tmp_path / "main"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 40)
    (folder / "README.md").write_text(model_card(a_job(), made(), []))
    return folder


async def push(folder: Path, repo: str = "me/main", *, public: bool = False) -> str:
    return await asyncio.to_thread(client.push, folder, repo, public=public, message="main@3, from Chorus")


async def test_a_model_is_pushed_to_a_private_repository(hub: Hub, folder: Path) -> None:
    assert await push(folder) == f"{hub.url}/me/main, private"
    there = hub.repositories["me/main"]
    assert there.private
    assert there.files == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert there.commits == ["main@3, from Chorus"]
    assert hub.asked.index("GET /api/models/me/main") < hub.asked.index(
        "POST /api/models/me/main/preupload/main"
    )


async def test_it_is_public_only_if_that_is_said(hub: Hub, folder: Path) -> None:
    assert await push(folder, "main", public=True) == f"{hub.url}/me/main, public"
    assert not hub.repositories["me/main"].private


async def test_a_repository_that_is_not_private_gets_no_file(hub: Hub, folder: Path) -> None:
    hub.makes_public = True
    with pytest.raises(NotPermitted) as refused:
        await push(folder)
    assert refused.value.code == "not_private"
    assert hub.asked == ["POST /api/repos/create", "GET /api/models/me/main"]


async def test_a_hub_that_fails_or_hangs_up_is_asked_again(hub: Hub, folder: Path) -> None:
    hub.failures["create"] = [503, CUT]
    hub.failures["commit"] = [502]
    assert await push(folder)
    assert hub.asked.count("POST /api/repos/create") == 3
    assert hub.repositories["me/main"].commits == ["main@3, from Chorus"]


async def test_a_hub_that_goes_on_failing_is_told(hub: Hub, folder: Path) -> None:
    hub.failures["create"] = [500] * client.TRIES
    with pytest.raises(Unavailable) as failed:
        await push(folder)
    assert failed.value.code == "hub_unavailable"
    assert len(hub.asked) == client.TRIES


async def test_what_the_hub_refuses_is_told_at_once(hub: Hub, folder: Path) -> None:
    with pytest.raises(NotPermitted) as refused:
        await push(folder, "somebody-else/main")
    assert refused.value.code == "hub_refused"
    assert "You don't have the rights" in refused.value.message
    assert hub.asked.count("POST /api/repos/create") == 1
    with pytest.raises(InvalidInput) as wrong:
        await push(folder, "not a/name/at all")
    assert wrong.value.code == "invalid_repository"


async def test_who_is_not_logged_in_is_told_how_to(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_yesterday")
    with pytest.raises(NotPermitted) as ended:
        await push(folder)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(NotPermitted) as without:
        await push(folder)
    for refused in (ended, without):
        assert refused.value.code == "not_logged_in"
        assert "hf auth login" in refused.value.message
    assert not hub.repositories


async def test_the_command_fetches_a_model_and_pushes_it(hub: Hub, folder: Path) -> None:
    world, words = World(), ("models", "push", "main@3", "me/club-voice", "--public")
    world.objects.held[A_FILE.key] = (folder / "README.md").read_bytes()
    command = of_models(words)
    assert command is not None
    shown = await told(await command.run(world.context(), read(command, words[2:])))
    assert shown == f"✓ main@3 is at {hub.url}/me/club-voice, public."
    assert hub.repositories["me/club-voice"].files.keys() == {"adapter_config.json", "README.md"}
