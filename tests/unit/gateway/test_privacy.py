"""`!privacy`: everybody for themselves, and those who run the place for others."""

from datetime import UTC, datetime

import pytest

from chorus.common.contracts.consent import ConsentRecord, Forgotten
from chorus.common.errors import Unavailable
from chorus.gateway.commands import privacy
from chorus.gateway.commands.replies import File, Problem, Text
from chorus.gateway.commands.table import run
from tests.unit.gateway.fake_data import AT, dataset
from tests.unit.gateway.fakes import World

NAMES = ("marit", "Marit B.")


@pytest.fixture
def world() -> World:
    made = World()
    made.datasets.all = [dataset("club"), dataset("typed", contributor="7")]
    return made


async def text_of(world: World, line: str, *, admin: bool = False) -> str:
    reply = await run(world.context(admin=admin, names=NAMES), line)
    assert isinstance(reply, Text), reply
    return reply.text


async def test_bare_it_explains_and_shows_what_is_kept(world: World) -> None:
    said = await text_of(world, "!privacy")
    assert said.startswith("You have not said anything")
    assert "Kept here: 2 datasets (handed over by you: club)" in said
    for wish in ("export", "optout", "optin", "delete"):
        assert f"!privacy {wish}" in said
    assert not world.privacy.asked


@pytest.mark.parametrize(("line", "state"), [("optin", "in"), ("optout", "out"), ("OptOut", None)])
async def test_opting_in_and_out(world: World, line: str, state: str | None) -> None:
    if state is None:
        assert isinstance(await run(world.context(), f"!privacy {line}"), Problem)
        return
    said = await text_of(world, f"!privacy {line}")
    assert said.startswith(f"You are opted {state} since 2026-01-02 03:04 UTC.")
    assert ("!privacy delete" in said) == (state == "out")
    assert world.privacy.asked == [(state, "42", list(NAMES), "42")]
    assert (await text_of(world, "!privacy")).startswith(f"You are opted {state} ")


async def test_a_deletion_under_way_is_told(world: World) -> None:
    world.privacy.records["42"] = ConsentRecord(
        guild="local", person="42", state="out", said_by="42", at=AT, forget_since=AT
    )
    assert "a deletion is under way" in await text_of(world, "!privacy")


async def test_an_export_is_a_file(world: World) -> None:
    reply = await run(world.context(admin=False, names=NAMES), "!privacy export")
    assert isinstance(reply, File)
    assert reply.private
    assert (reply.name, reply.text) == ("my-words.zip", "All that is kept of your words: 12 messages.")
    assert await reply.data.read() == b"local/words"
    assert world.privacy.asked == [("export", "42", list(NAMES), None)]


async def test_what_would_go_is_told_before_it_goes(world: World) -> None:
    said = await text_of(world, "!privacy delete")
    assert "marit, Marit B." in said
    assert said.endswith("!privacy delete sure=True")
    assert not world.privacy.asked


async def test_a_deletion_says_what_went_and_forgets_conversations(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "now", lambda: AT)
    world.privacy.forgotten = Forgotten(
        datasets=["club@2"], objects=6, models=["main@3"], blocked_at=datetime(2026, 1, 9, 3, 4, tzinfo=UTC)
    )
    said = await text_of(world, "!privacy delete sure=True")
    assert "club@2 (6 stored objects)" in said
    assert "main@3. They stop answering on 2026-01-09 03:04 UTC. Nothing is trained again" in said
    assert "!train data=NAME" in said
    assert world.privacy.asked == [("forget", "42", list(NAMES), "42")]
    assert world.forgotten_conversations == 1


async def test_what_is_past_its_deadline_stops_now(world: World) -> None:
    world.privacy.forgotten = Forgotten(datasets=[], objects=0, models=["main@3"], blocked_at=AT)
    assert "main@3. They stop answering now." in await text_of(world, "!privacy delete sure=True")


async def test_conversations_are_forgotten_even_if_the_deletion_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("Nobody is there to do it.")

    monkeypatch.setattr(world.privacy, "forget", away)
    assert isinstance(await run(world.context(), "!privacy delete sure=True"), Problem)
    assert world.forgotten_conversations == 1


async def test_nobody_opts_in_for_somebody_else(world: World) -> None:
    for about in ("person=7", "person=Bo", "person=Bo names=Bobby"):
        reply = await run(world.context(), f"!privacy optin {about}")
        assert reply == Problem(
            "only_oneself", "Nobody can opt in for somebody else: they say !privacy optin themselves."
        )
    assert not world.privacy.asked
    assert (await text_of(world, "!privacy optin person=42", admin=True)).startswith("You are opted in ")


async def test_who_runs_the_place_sets_the_deadline(world: World) -> None:
    assert "them stop answering after 7 days." in await text_of(world, "!privacy")
    assert "days=3" not in await text_of(world, "!privacy")
    assert "!privacy days=3" in await text_of(world, "!privacy", admin=True)
    for days, until in ((3, "after 3 days"), (1, "after 1 day"), (0, "at once")):
        said = await text_of(world, f"!privacy days={days}", admin=True)
        assert said.endswith(f"stop answering {until}.")
        assert world.guilds.days == days
        for line in ("!privacy", "!privacy delete"):
            assert f"stop answering {until}." in await text_of(world, line)


@pytest.mark.parametrize(
    ("line", "admin", "code"),
    [
        ("!privacy days=3", False, "not_permitted"),
        ("!privacy days=31", True, "invalid_parameter"),
        ("!privacy days=-1", True, "invalid_parameter"),
        ("!privacy delete days=3 sure=True", True, "days_alone"),
    ],
)
async def test_a_deadline_that_is_not_set(world: World, line: str, admin: bool, code: str) -> None:
    reply = await run(world.context(admin=admin), line)
    assert isinstance(reply, Problem)
    assert (reply.code, world.guilds.days) == (code, None)
    assert not world.privacy.asked


async def test_a_deletion_of_nothing_says_so(world: World) -> None:
    assert "There was no dataset with any of these words." in await text_of(
        world, "!privacy delete sure=True"
    )


@pytest.mark.parametrize("options", ["person=7", "names=marit", "person=marit names=m"])
async def test_nobody_speaks_for_others_but_who_runs_the_place(world: World, options: str) -> None:
    for wish in ("", "optin", "optout", "export", "delete sure=True"):
        reply = await run(world.context(admin=False), f"!privacy {wish} {options}")
        assert isinstance(reply, Problem)
        assert reply.code == "not_permitted"
    assert not world.privacy.asked


@pytest.mark.parametrize(
    ("options", "person", "names"),
    [
        ("person=7", "7", []),
        ("person=<@7>", "7", []),
        ("person=<@!7> names='Bo, bo , Bobby'", "7", ["Bo", "bo", "Bobby"]),
        ("person='Bo B.'", "Bo B.", ["Bo B."]),
        ("person=Bo names=Bobby,Bo", "Bo", ["Bo", "Bobby"]),
        ("names=mb", "42", [*NAMES, "mb"]),
        ("person=local", "local", []),
    ],
)
async def test_who_runs_the_place_speaks_for_others(
    world: World, options: str, person: str, names: list[str]
) -> None:
    await text_of(world, f"!privacy optout {options}", admin=True)
    assert world.privacy.asked == [("out", person, names, "42")]


async def test_the_way_to_be_sure_names_the_same_person(world: World) -> None:
    said = await text_of(world, "!privacy delete person='Bo B.' names=Bobby", admin=True)
    again = said[said.index("!privacy delete") :]
    await text_of(world, again, admin=True)
    assert world.privacy.asked == [("forget", "Bo B.", ["Bo B.", "Bobby"], "42")]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ("person=' '", "invalid_parameter"),
        (f"person={'x' * 101}", "invalid_parameter"),
        (f"names={','.join(map(str, range(17)))}", "too_many_names"),
        (f"names={'x' * 101}", "too_many_names"),
    ],
)
async def test_names_that_cannot_be(world: World, options: str, code: str) -> None:
    reply = await run(world.context(), f"!privacy optout {options}")
    assert isinstance(reply, Problem)
    assert reply.code == code
    assert not world.privacy.asked
