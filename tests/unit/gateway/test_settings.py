"""The gateway's settings: where the token may go, which shards are ours, and how a refusal ends."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chorus.common.errors import Misconfigured
from chorus.common.service import EX_CONFIG, EX_NOPERM, Service
from chorus.common.settings import load
from chorus.gateway import app
from chorus.gateway.frontends.discord import frontend
from chorus.gateway.frontends.discord.identify import OwnLanes, intents
from chorus.gateway.settings import GatewaySettings, Shards
from tests.unit.gateway.fakes import World


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("api_base", "https://discord.com/api/v10"),
        ("api_base", "https://canary.discord.com/api/v10"),
        ("api_base", "http://127.0.0.1:8080/api/v10"),
        ("api_base", "http://localhost/api"),
        ("api_base", "http://[::1]:80/api"),
        ("gateway_url", "ws://127.0.0.1:1/gateway/"),
        ("gateway_url", "wss://gateway-us-east1-b.discord.gg/"),
        ("cdn", "https://media.discordapp.net"),
    ],
)
def test_discord_and_this_machine_may_have_the_token(name: str, address: str) -> None:
    settings = GatewaySettings.model_validate({f"discord_{name}": address})
    assert getattr(settings, f"discord_{name}") == address


@pytest.mark.parametrize(
    ("name", "address", "told"),
    [
        ("API_BASE", "https://discord.com.evil.example/api", "this is not Discord"),
        ("API_BASE", "https://notdiscord.com/api", "this is not Discord"),
        ("API_BASE", "https://discord.com@evil.example/api", "this is not Discord"),
        ("API_BASE", "http://discord.com/api", "has to be https:// or wss://"),
        ("API_BASE", "http://127.0.0.1.evil.example/api", "has to be https:// or wss://"),
        ("GATEWAY_URL", "ws://gateway.discord.gg/", "has to be https:// or wss://"),
        ("GATEWAY_URL", "wss://10.0.0.7/", "this is not Discord"),
        ("CDN", "https://evil.example", "this is not Discord"),
    ],
)
def test_nobody_else_gets_it_unless_that_is_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, address: str, told: str
) -> None:
    monkeypatch.setenv(f"CHORUS_DISCORD_{name}", address)
    with pytest.raises(Misconfigured, match=f"(?s)CHORUS_DISCORD_{name}: .*{told}"):
        load(GatewaySettings)
    monkeypatch.setenv("CHORUS_DISCORD_ELSEWHERE", "true")
    if told == "this is not Discord":
        load(GatewaySettings)
    else:
        with pytest.raises(Misconfigured, match="https"):
            load(GatewaySettings)


@pytest.mark.parametrize(
    ("text", "shards"),
    [("auto", None), ("0/1", Shards(range(1), 1)), ("0-3/16", Shards(range(4), 16)),
     ("15/16", Shards(range(15, 16), 16))],
)  # fmt: skip
def test_shards_are_named(text: str, shards: Shards | None) -> None:
    assert GatewaySettings(discord_shards=text).shards == shards


@pytest.mark.parametrize("text", ["", "all", "4", "16/16", "3-1/4", "0-4/4", "-1/4", "0/0", "1,2/4"])
def test_shards_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("CHORUS_DISCORD_SHARDS", text)
    with pytest.raises(Misconfigured, match=r"CHORUS_DISCORD_SHARDS: .*counted from 0"):
        load(GatewaySettings)


def test_minimal_intents_are_no_privilege() -> None:
    assert not intents("minimal").message_content
    assert intents("messages").message_content
    for mode in (intents("minimal"), intents("messages")):
        assert not (mode.members or mode.presences)


async def test_lanes_of_one_process_wait_for_their_own_turns_alone() -> None:
    lanes, loop = OwnLanes(0.2), asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(lanes.enter(0, 0), lanes.enter(1, 1))
    assert loop.time() - began < 0.15
    await lanes.enter(0, 2)
    assert 0.19 < loop.time() - began < 1


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (Misconfigured(frontend.UNKNOWN_BOT), EX_CONFIG),
        (Misconfigured(frontend.NO_MESSAGES, code=frontend.NO_INTENT), EX_NOPERM),
    ],
)
async def test_what_must_be_mended_elsewhere_has_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, refused: Misconfigured, code: int
) -> None:
    async def stay(*_: object) -> None:
        raise refused

    monkeypatch.setattr(frontend.Discord, "stay", stay)
    settings = GatewaySettings.model_validate({"discord_token": "a.b.c"})
    async with AsyncExitStack() as stack:
        service = Service("gateway_url", stack)
        app.join_discord(service, settings, World().chorus, OwnLanes())  # type: ignore[arg-type]
        await service.stopping.wait()
    assert service.exit_code == code
