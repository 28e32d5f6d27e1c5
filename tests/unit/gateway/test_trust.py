"""Who may be learned from: each mode, each way, each kind of place; and the notice."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chorus.common.contracts.consent import ConsentRecord, Mode
from chorus.common.contracts.datasets import Basis, Way
from chorus.common.errors import Misconfigured, NotPermitted
from chorus.common.settings import load
from chorus.gateway.commands.context import Trust
from chorus.gateway.commands.history import Channel
from chorus.gateway.commands.replies import Problem, Text
from chorus.gateway.commands.table import run
from chorus.gateway.commands.trust import NOTICE, permitted
from chorus.gateway.frontends.cli.once import run_once
from chorus.gateway.settings import GatewaySettings
from tests.unit.gateway.fake_data import AT, dataset
from tests.unit.gateway.fakes import World, told
from tests.unit.gateway.histories import FakeHistory, said

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
    assert [button.line for button in refused.buttons] == ["!notice"]
    shown = await run(ctx, "!notice")
    assert isinstance(shown, Text)
    assert shown.text == f"{NOTICE}\nTo accept it: !notice accept"
    assert [button.line for button in shown.buttons] == ["!notice accept"]
    assert world.guilds.notice is None
    accepted = await run(ctx, "!notice accept")
    assert isinstance(accepted, Text)
    assert accepted.settles, "so the button goes"
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


# --- each way in which words come, in each mode --------------------------------------------------
FOUND = {way: Basis(way=way, mode="submitted") for way in ("uploaded", "submitted", "mined")}
"""Datasets that are there: each was made by right, some time ago."""

IN_A_SERVER: list[tuple[str, list[str], list[str]]] = [
    # line, what is attached, what comes of it: off, submitted, submitted with the notice, permitted
    ('!train "words"', [], ["training_off", "notice_needed", "submitted", "submitted"]),
    ('!train "words"', ["data.json"], ["training_off", "notice_needed", "uploaded", "uploaded"]),
    ("!train data=mined,uploaded", [], [*["training_off"] * 3, "found mined"]),
    ("!train", ["data.json"], ["uploaded"] * 4),
    ("!train file=data.json", ["data.json"], ["uploaded"] * 4),
    ("!import", ["data.json"], ["uploaded"] * 4),
    ("!import file=data.json", ["data.json"], ["uploaded"] * 4),
    ("!train data=uploaded", [], ["found uploaded"] * 4),
    ("!train data=uploaded.json", [], ["found uploaded"] * 4),
    ("!train data=submitted", [], ["training_off", "notice_needed", *["found submitted"] * 2]),
    ("!train data=submitted target=ada", [], ["training_off", "notice_needed", *["found submitted"] * 2]),
    ("!train data=submitted.json", [], ["training_off", "notice_needed", *["found submitted"] * 2]),
    ("!train data=mined", [], [*["training_off"] * 3, "found mined"]),
    ("!train data=mined.json", [], [*["training_off"] * 3, "found mined"]),
    ("!select_dataset uploaded; !train", [], ["found uploaded"] * 4),
    ("!select_dataset submitted; !train", [], ["training_off", "notice_needed", *["found submitted"] * 2]),
    ("!select_dataset mined; !train", [], [*["training_off"] * 3, "found mined"]),
    ("!mine", [], [*["mining_not_permitted"] * 3, "mined"]),
]
IN_PRIVATE = [
    # off, submitted, permitted
    ('!train "words"', [], ["training_off", "submitted", "submitted"]),
    ("!train", ["data.json"], ["uploaded"] * 3),
    ("!import", ["data.json"], ["uploaded"] * 3),
    ("!train data=submitted", [], ["training_off", "found submitted", "found submitted"]),
    ("!select_dataset uploaded; !train", [], ["found uploaded"] * 3),
    ("!mine", [], ["no_history"] * 3),
]
IN_THE_CONSOLE = [
    ('!train "words"', [], ["submitted"] * 3),
    ("!train file=data.json", [], ["uploaded"] * 3),
    ("!import data.json", [], ["uploaded"] * 3),
    ("!train data=submitted", [], ["found submitted"] * 3),
    ("!select_dataset uploaded; !train", [], ["found uploaded"] * 3),
    ("!mine", [], ["no_history"] * 3),
]


def all_in(
    place: str, modes: Sequence[tuple[Trust, bool]], table: list[tuple[str, list[str], list[str]]]
) -> list[tuple[str, str, list[str], Trust, bool, str]]:
    return [
        (place, lines, attached, trust, noticed, expected)
        for lines, attached, outcomes in table
        for (trust, noticed), expected in zip(modes, outcomes, strict=True)
    ]


BY_MESSAGE = [(OFF, True), (SUBMITTED, False), (SUBMITTED, True), (PERMITTED, True)]
ALONE = [(OFF, False), (SUBMITTED, False), (PERMITTED, False)]
AT_HOME = [(replace(trust, via="console"), noticed) for trust, noticed in ALONE]


def prepared(attached: list[str], *, noticed: bool) -> World:
    world = World()
    world.datasets.all = [dataset(way, basis=basis) for way, basis in FOUND.items()]
    world.privacy.records["ada"] = ConsentRecord(guild=GUILD, person="ada", state="in", said_by="ada", at=AT)
    world.files.with_the_command = attached
    world.guilds.notice = world.guilds.notice if noticed else None
    return world


def learned(world: World) -> Basis:
    """What is stamped on the dataset that was made, or that a job is about."""
    if world.datasets.added or world.datasets.rebuilt:
        return world.datasets.all[-1].basis
    (job,) = world.jobs.records.values()
    return next(made.basis for made in world.datasets.all if made.id == job.job.data[0].dataset)


@pytest.mark.parametrize(
    ("place", "lines", "attached", "trust", "noticed", "expected"),
    [
        *all_in(GUILD, BY_MESSAGE, IN_A_SERVER),
        *all_in(PRIVATE, ALONE, IN_PRIVATE),
        *all_in(LOCAL, AT_HOME, IN_THE_CONSOLE),
    ],
)
async def test_each_way_in_each_mode(
    place: str, lines: str, attached: list[str], trust: Trust, noticed: bool, expected: str
) -> None:
    world, history = prepared(attached, noticed=noticed), FakeHistory()
    history.add(Channel(1, "general", "GuildTextChat"), [said(1, "ada")])
    ctx = replace(world.context(guild=place, trust=trust), history=history if place == GUILD else None)
    *before, line = lines.split("; ")
    for one in before:
        assert isinstance(await run(ctx, one), Text)
    reply = await run(ctx, line)
    if isinstance(reply, Problem):
        assert reply.code == expected
        assert not (world.datasets.added or world.datasets.rebuilt or world.jobs.records or history.asked)
    else:
        await told(reply)
        found, _, way = expected.rpartition(" ")
        made = Basis.model_validate({"way": way, "mode": trust.mode, "reference": trust.reference})
        assert learned(world) == (FOUND[way] if found else made)


@pytest.mark.parametrize("mode", ["off", "submitted", "permitted"])
@pytest.mark.parametrize(
    ("words", "way"),
    [
        (["train", "some words"], "submitted"),
        (["train", "--file", "{file}"], "uploaded"),
        (["import", "{file}"], "uploaded"),
        (["train", "--data", "mined"], None),
        (["mine"], None),
    ],
)
async def test_the_command_line_in_each_mode(
    words: list[str], way: str | None, mode: Mode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, file = prepared([], noticed=False), tmp_path / "export.json"
    file.write_text("[]")
    trust = Trust(mode, "DISCORD-1" if mode == "permitted" else None, via="console")
    words = [word.format(file=file) for word in words]
    code = await run_once(world.chorus, trust, words, max_upload=10_000, history=tmp_path / "history")
    assert code == (way is None), capsys.readouterr().out
    if way is None:
        assert not (world.datasets.added or world.jobs.records)
    else:
        assert (learned(world).way, learned(world).mode) == (way, mode)
