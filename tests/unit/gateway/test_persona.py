"""Persona and examples: who the model is to be, and how it is shown to answer, without a training."""

import json
from pathlib import Path

import pytest

from chorus.common.contracts.guild import EXAMPLES_KEPT, Exchange, Persona
from chorus.gateway.commands.context import Trust
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.replies import Card, Problem, Stream, Text
from chorus.gateway.commands.table import run
from tests.unit.gateway.fakes import World

SERVER = "100000000000000001"


@pytest.fixture
def world() -> World:
    return World()


async def asked(world: World, line: str, channel: str | None = None) -> list[tuple[str, str]]:
    """What is sent to the model: its examples, then its messages."""
    reply = await run(world.context(channel=channel), line)
    assert isinstance(reply, Stream), reply
    assert [piece async for piece in reply.pieces]
    question = world.answers.questions[-1]
    return [(turn.role, turn.content) for turn in (*question.examples, *question.messages)]


async def told(world: World, line: str, channel: str | None = None) -> str:
    reply = await run(world.context(channel=channel), line)
    assert isinstance(reply, Text), reply
    return reply.text


async def refused(world: World, line: str, **how: object) -> str:
    reply = await run(world.context(**how), line)  # type: ignore[arg-type]
    assert isinstance(reply, Problem), reply
    assert reply.message.endswith(".")
    return reply.code


# --- persona -------------------------------------------------------------------------------------
async def test_a_persona_is_the_system_message_of_every_question(world: World) -> None:
    assert (await told(world, "!persona")).startswith("No persona is set")
    await told(world, '!persona "You are the harbour cat."')
    system = ("system", "You are the harbour cat.")
    assert await asked(world, "!ask hi") == [system, ("user", "hi")]
    assert await asked(world, "hi") == [system, ("user", "hi")]
    assert await asked(world, "!compare main@1 main@2 hi") == [system, ("user", "hi")]
    assert "You are the harbour cat." in await told(world, "!persona")
    await told(world, "!persona clear")
    assert await asked(world, "!ask hi") == [("user", "hi")]


async def test_a_channel_may_have_its_own(world: World) -> None:
    await told(world, "!persona You are a cat.")
    shown = await told(world, "!persona here=yes You are a pirate.", "7")
    assert shown.startswith("Persona in this channel:\nYou are a pirate.")
    assert (await asked(world, "!ask hi", "7"))[0] == ("system", "You are a pirate.")
    assert (await asked(world, "!ask hi", "8"))[0] == ("system", "You are a cat.")
    assert (await told(world, "!persona", "8")).startswith("Persona in all channels without one of their own")
    await told(world, "!persona clear here=yes", "7")
    assert (await asked(world, "!ask hi", "7"))[0] == ("system", "You are a cat.")


async def test_it_is_kept_with_whoever_gave_it(world: World) -> None:
    await told(world, "!persona You are a cat.")
    await told(world, "!persona here=yes You are a pirate.", "7")
    kept = world.guilds.others
    assert kept.persona == Persona(text="You are a cat.", by="42")
    assert kept.personas == {"7": Persona(text="You are a pirate.", by="42")}


async def test_to_show_it_changes_nothing_and_channels_are_named_where_there_are_any(world: World) -> None:
    await told(world, "!persona You are a cat.")
    for line in ("!persona", "!persona show", "!persona Show"):
        assert (await told(world, line)).startswith("Persona:\nYou are a cat.\n")
        assert "channel" not in await told(world, line)
        assert "here=yes" in await told(world, line, "7")


async def test_only_who_runs_the_place_gives_a_persona_and_everybody_sees_it(world: World) -> None:
    assert await refused(world, "!persona You are mine.", admin=False) == "not_permitted"
    assert await refused(world, "!persona clear", admin=False) == "not_permitted"
    assert isinstance(await run(world.context(admin=False), "!persona"), Text)


async def test_a_persona_has_limits(world: World) -> None:
    assert await refused(world, f"!persona {'x' * 4001}") == "invalid_parameter"
    assert await refused(world, '!persona " "') == "invalid_parameter"
    assert await refused(world, "!persona You are. here=yes") == "no_channel"
    kept = Persona(text="x", by="7")
    world.guilds.others = world.guilds.others.model_copy(
        update={"personas": {str(channel): kept for channel in range(500)}}
    )
    assert await refused(world, "!persona You are. here=yes", channel="new") == "too_many_personas"
    assert await told(world, "!persona You are. here=yes", "7"), "one that is there can be changed"


# --- examples ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "line",
    [
        '!examples add "When do you open?" "At eight."',
        "!examples add “When do you open?” “At eight.”",
        "!examples add user: When do you open? bot: At eight.",
        "!Examples ADD User: When do you open?\nBot: At eight.",
        '!examples add user="When do you open?" bot="At eight."',
        '!examples add [{"user": "When do you open?", "bot": "At eight."}]',
        '!examples add\n```json\n[{"user": "When do you open?", "bot": "At eight."}]\n```',
    ],
)
async def test_an_example_is_shown_before_every_question(world: World, line: str) -> None:
    assert await told(world, line) == ("From now on the model is shown 1 example before each conversation.")
    assert await asked(world, "!ask hi") == [
        ("user", "When do you open?"),
        ("assistant", "At eight."),
        ("user", "hi"),
    ]
    assert world.guilds.others.examples == [Exchange(user="When do you open?", bot="At eight.", by="42")]


async def test_examples_come_in_files_too(world: World, tmp_path: Path) -> None:
    pairs = [{"user": f"q{number}", "bot": f"a{number}", "more": 1} for number in range(3)]
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(pairs))
    world.files.files["pairs.json"] = Upload("pairs.json", path)
    assert "3 examples" in await told(world, "!examples add file=pairs.json")
    world.files.with_the_command = ["pairs.json"]
    assert "3 examples" in await told(world, "!examples add"), "what is there already is not added again"
    assert len(world.guilds.others.examples) == 3


async def test_they_are_listed_and_taken_away(world: World) -> None:
    for line in ("!examples", '!examples " "', "!examples list"):
        assert (await told(world, line)).startswith("There are no examples yet.")
    for number in range(3):
        await told(world, f'!examples add "question {number}" "{"long " * 40}"')
    shown = await run(world.context(admin=False), "!examples list")
    assert isinstance(shown, Card)
    assert [row[:2] for row in shown.rows] == [("1", "question 0"), ("2", "question 1"), ("3", "question 2")]
    assert all(len(row[2]) < 70 for row in shown.rows)
    assert await told(world, "!examples remove 2") == "Example 2 is gone; 2 examples left."
    assert [one.user for one in world.guilds.others.examples] == ["question 0", "question 2"]
    await told(world, "!examples clear")
    assert not world.guilds.others.examples


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("!examples add", "no_examples"),
        ("!examples add one two three", "not_examples"),
        ('!examples add "only a question"', "not_examples"),
        ('!examples add "question" ""', "bad_example"),
        (f"!examples add user: q bot: {'x' * 2001}", "bad_example"),
        ("!examples add [{}]", "not_examples"),
        ("!examples add file=data.json", "no_examples"),
        ("!examples add file=none.json", "file_not_found"),
        ("!examples remove 1", "unknown_example"),
        ("!examples remove", "unknown_example"),
        ("!examples show", "unknown_wish"),
        ("!examples clear all", "unknown_wish"),
    ],
)
async def test_what_is_wrong_with_examples_has_a_code(world: World, line: str, code: str) -> None:
    assert await refused(world, line) == code
    assert not world.guilds.others.examples


async def test_no_more_are_kept_than_can_be_shown(world: World) -> None:
    pairs = [{"user": f"q{number}", "bot": "a"} for number in range(EXAMPLES_KEPT + 1)]
    world.files.files["pairs.json"] = Upload("pairs.json", json.dumps(pairs).encode())
    assert await refused(world, "!examples add file=pairs.json") == "too_many_examples"
    world.files.files["pairs.json"] = Upload("pairs.json", b" " * 2_000_000)
    assert await refused(world, "!examples add file=pairs.json") == "too_large"


async def test_only_who_runs_the_place_gives_examples(world: World) -> None:
    for line in ('!examples add "q" "a"', "!examples clear", "!examples remove 1"):
        assert await refused(world, line, admin=False) == "not_permitted"


@pytest.mark.parametrize("guild", [SERVER, "dm-7"])
async def test_where_nothing_typed_is_kept_examples_come_in_files(world: World, guild: str) -> None:
    off = Trust("off")
    assert await refused(world, '!examples add "q" "a"', guild=guild, trust=off) == "training_off"
    world.files.files["pairs.json"] = Upload("pairs.json", b'[{"user": "q", "bot": "a"}]')
    line = "!examples add file=pairs.json"
    assert isinstance(await run(world.context(guild=guild, trust=off), line), Text)


async def test_examples_need_no_notice(world: World) -> None:
    world.guilds.notice = None
    line = '!examples add "q" "a"'
    assert isinstance(await run(world.context(guild=SERVER, trust=Trust("submitted")), line), Text)
