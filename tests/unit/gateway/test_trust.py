"""Who may be learned from: each mode, each way, each kind of place; and the notice."""

import pytest

from chorus.common.contracts.consent import Mode
from chorus.common.contracts.datasets import Basis
from chorus.common.errors import Misconfigured, NotPermitted
from chorus.common.settings import load
from chorus.gateway.commands.context import Trust
from chorus.gateway.commands.replies import Problem, Text
from chorus.gateway.commands.table import run
from chorus.gateway.commands.trust import NOTICE, Way, permitted
from chorus.gateway.settings import GatewaySettings
from tests.unit.gateway.fakes import World, told

GUILD, PRIVATE, LOCAL = "900", "dm-42", "local"
OFF, SUBMITTED, PERMITTED = Trust("off"), Trust("submitted"), Trust("permitted", "DISCORD-1")
TERMINAL = Trust("off", via="console")
ALLOWED = None


@pytest.mark.parametrize(
    ("trust", "guild", "way", "noticed", "code"),
    [
        (OFF, GUILD, "uploaded", False, ALLOWED),
        (OFF, PRIVATE, "uploaded", False, ALLOWED),
        (OFF, GUILD, "submitted", True, "training_off"),
        (OFF, PRIVATE, "submitted", False, "training_off"),
        (OFF, GUILD, "mined", True, "training_off"),
        (SUBMITTED, GUILD, "uploaded", False, ALLOWED),
        (SUBMITTED, GUILD, "submitted", False, "notice_needed"),
        (SUBMITTED, GUILD, "submitted", True, ALLOWED),
        (SUBMITTED, PRIVATE, "submitted", False, ALLOWED),
        (SUBMITTED, GUILD, "mined", True, "training_off"),
        (PERMITTED, GUILD, "uploaded", False, ALLOWED),
        (PERMITTED, GUILD, "submitted", False, "notice_needed"),
        (PERMITTED, GUILD, "submitted", True, ALLOWED),
        (PERMITTED, PRIVATE, "submitted", False, ALLOWED),
        (PERMITTED, GUILD, "mined", False, ALLOWED),
        (PERMITTED, PRIVATE, "mined", True, "training_off"),
        (TERMINAL, LOCAL, "uploaded", False, ALLOWED),
        (TERMINAL, LOCAL, "submitted", False, ALLOWED),
        (TERMINAL, LOCAL, "mined", False, "training_off"),
        (Trust("off", via="file"), GUILD, "submitted", False, ALLOWED),
    ],
)
def test_the_rule(trust: Trust, guild: str, way: Way, noticed: bool, code: str | None) -> None:
    if code is None:
        reference = "DISCORD-1" if trust.mode == "permitted" else None
        assert permitted(trust, guild, way, noticed=noticed) == Basis(
            way=way, mode=trust.mode, reference=reference
        )
    else:
        with pytest.raises(NotPermitted) as error:
            permitted(trust, guild, way, noticed=noticed)
        assert error.value.code == code


def test_who_says_nothing_is_trusted_least() -> None:
    assert Trust() == Trust("submitted", None, "message")


@pytest.mark.parametrize("mode", ["off", "submitted", "permitted"])
async def test_the_choice_is_stamped_on_what_is_imported(mode: Mode) -> None:
    world = World()
    world.guilds.notice = None
    trust = Trust(mode, "DISCORD-1" if mode == "permitted" else None)
    await told(await run(world.context(guild=GUILD, trust=trust), "!train file=data.json"))
    assert world.datasets.added[0][1].basis == Basis(way="uploaded", mode=mode, reference=trust.reference)


async def test_typed_words_wait_for_the_notice() -> None:
    world = World()
    world.guilds.notice = None
    ctx = world.context(guild=GUILD, trust=SUBMITTED)
    refused = await run(ctx, '!train "We meet at eight."')
    assert isinstance(refused, Problem)
    assert refused.code == "notice_needed"
    assert "!notice" in refused.message
    shown = await run(ctx, "!notice")
    assert shown == Text(f"{NOTICE}\nTo accept it: !notice accept")
    assert world.guilds.notice is None
    await run(ctx, "!notice accept")
    assert (world.guilds.notice.by, world.guilds.notice.text) == ("42", NOTICE)
    again = await run(ctx, "!notice")
    assert isinstance(again, Text)
    assert "Accepted by 42 on " in again.text
    await told(await run(ctx, '!train "We meet at eight."'))
    assert world.datasets.added[0][1].basis == Basis(way="submitted", mode="submitted")


@pytest.mark.parametrize("guild", [PRIVATE, LOCAL])
async def test_where_everybody_hands_over_their_own_no_notice_is_needed(guild: str) -> None:
    world = World()
    world.guilds.notice = None
    await told(await run(world.context(guild=guild, trust=SUBMITTED), "!train words"))
    reply = await run(world.context(guild=guild), "!notice accept")
    assert isinstance(reply, Text)
    assert world.guilds.notice is None


def test_a_permission_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORUS_TRAIN_ON_MESSAGES", "permitted")
    monkeypatch.setenv("CHORUS_TRAIN_PERMISSION", " ")
    with pytest.raises(Misconfigured, match="CHORUS_TRAIN_PERMISSION"):
        load(GatewaySettings)
    monkeypatch.setenv("CHORUS_TRAIN_PERMISSION", "DISCORD-1")
    assert load(GatewaySettings).train_permission == "DISCORD-1"
    monkeypatch.setenv("CHORUS_TRAIN_ON_MESSAGES", "yes")
    with pytest.raises(Misconfigured, match="CHORUS_TRAIN_ON_MESSAGES"):
        load(GatewaySettings)


def test_without_settings_only_what_is_handed_over_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ON_MESSAGES", "PERMISSION"):
        monkeypatch.delenv(f"CHORUS_TRAIN_{name}", raising=False)
    assert GatewaySettings().train_on_messages == "submitted"
