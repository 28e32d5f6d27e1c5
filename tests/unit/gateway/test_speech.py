"""`!say` and `!transcribe`, and where the console puts what was said."""

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from chorus.common.errors import InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.replies import Audio, Moment, Problem, Progress, Stream, Text
from chorus.gateway.commands.table import run
from chorus.gateway.frontends.console.render import Renderer
from tests.unit.gateway.fakes import World

HELLO = Upload("hello.ogg", b"OggS")
TOLD = Text("Heard by fake (en-us):\nwords")


async def written_down(ctx: Context, line: str) -> list[Moment]:
    """What is told of a recording, one after the other."""
    reply = await run(ctx, line)
    assert isinstance(reply, Progress)
    return [moment async for moment in reply.moments]


@pytest.fixture
def world() -> World:
    made = World()
    made.files.files["hello.ogg"] = HELLO
    return made


async def test_a_text_is_said(world: World) -> None:
    reply = await run(world.context(admin=False), "!say We sail at dawn, at 5=five.")
    assert isinstance(reply, Audio)
    assert (reply.data, reply.seconds) == (b"We sail at dawn, at 5=five.", 1.5)
    assert reply.name.startswith("said-")
    assert reply.name.endswith(".ogg")
    assert world.speech.spoken == [("local", "We sail at dawn, at 5=five.", None)]


async def test_the_guilds_own_voice_says_it(world: World) -> None:
    await run(world.context(), "!settings speaker flite/rms")
    await run(world.context(), "!say We sail at dawn.")
    assert world.speech.wished == ["flite/rms"]


@pytest.mark.parametrize(("written", "name"), [("FLITE/Rms", "flite/rms"), ("Espeak", "espeak")])
async def test_a_voice_is_chosen_however_it_is_written(world: World, written: str, name: str) -> None:
    await run(world.context(), f"!settings speaker {written}")
    await run(world.context(), "!say We sail at dawn.")
    assert world.speech.wished == [name]


@pytest.mark.parametrize(("to", "name"), [("a.ogg", "a.ogg"), ("a", "a.ogg"), ("x/a.OGG", "x/a.OGG")])
async def test_into_a_file_of_ones_choice_in_a_language_of_ones_choice(
    world: World, to: str, name: str
) -> None:
    reply = await run(world.context(), f"!say Guten Morgen! language=de to={to}")
    assert isinstance(reply, Audio)
    assert reply.name == name
    assert world.speech.spoken == [("local", "Guten Morgen!", "de")]


@pytest.mark.parametrize(
    "line", ["!transcribe file=hello.ogg", "!transcribe hello.ogg", "!transcribe 'hello.ogg'"]
)
async def test_a_recording_is_written_down(world: World, line: str) -> None:
    assert await written_down(world.context(), line) == [Moment(outcome=TOLD)]
    assert world.speech.heard == [("local", Upload("hello.ogg", b"OggS"))]


async def test_an_attached_recording_need_not_be_named(world: World) -> None:
    world.files.with_the_command = ["hello.ogg"]
    assert await written_down(world.context(), "!transcribe") == [Moment(outcome=TOLD)]


async def test_what_is_attached_to_the_message_that_one_replies_to_need_not_be_named(world: World) -> None:
    ctx = replace(world.context(), answered_files=("hello.ogg",))
    assert await written_down(ctx, "!transcribe") == [Moment(outcome=TOLD)]


async def test_an_address_is_for_speech_to_judge(world: World) -> None:
    address = "https://cdn.discordapp.com/attachments/1/2/x.ogg?ex=1"
    assert await written_down(world.context(), f"!transcribe {address}") == [Moment(outcome=TOLD)]
    assert world.speech.heard == [("local", address)]


async def test_the_language_of_the_place_is_listened_for_unless_another_is_named(world: World) -> None:
    await written_down(world.context(), "!transcribe hello.ogg")
    await run(world.context(), "!settings language ru")
    await written_down(world.context(), "!transcribe hello.ogg")
    await run(replace(world.context(), recordings=("hello.ogg",)), "")
    await written_down(world.context(), "!transcribe hello.ogg language=de")
    assert world.speech.listened_for == [None, "ru", "ru", "de"]


async def test_what_is_said_in_a_recording_is_answered_and_shown(world: World) -> None:
    ctx = replace(world.context(), recordings=("hello.ogg",))
    reply = await run(ctx, "")
    assert isinstance(reply, Stream)
    assert reply.heard == "words (heard by fake)"
    assert [piece async for piece in reply.pieces]
    assert world.answers.questions[-1].messages[-1].content == "words"
    assert not world.speech.kept


@pytest.mark.parametrize(("line", "code"), [("", "no_words"), ("Who sails?", None)])
async def test_what_cannot_be_heard_is_told_unless_there_are_words_to_answer(
    world: World, line: str, code: str | None
) -> None:
    world.speech.deaf = InvalidInput("No words.", code="no_words")
    reply = await run(replace(world.context(), recordings=("hello.ogg",)), line)
    if code:
        assert isinstance(reply, Problem)
        assert reply.code == code
    else:
        assert isinstance(reply, Stream)
        assert not reply.heard
        assert [piece async for piece in reply.pieces]
        asked = world.answers.questions[-1].messages[-1].content
        assert asked == "Who sails?\nAttached, but not heard: hello.ogg."


async def test_of_a_long_recording_what_is_heard_so_far_is_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chorus.gateway.commands.speech.SOON", -1.0)
    first, *_, last = await written_down(world.context(), "!transcribe hello.ogg")
    assert (first.stage, first.figures) == ("wor", ("so far, heard by fake",))
    assert last == Moment(outcome=TOLD)


async def test_what_keeps_a_recording_from_being_heard_is_its_outcome(world: World) -> None:
    world.speech.deaf = InvalidInput("No words.", code="no_words")
    (only,) = await written_down(world.context(), "!transcribe hello.ogg")
    assert only.outcome == Problem("no_words", "No words.")


async def test_recordings_are_kept_where_the_guild_says_so_but_not_of_who_opted_out(world: World) -> None:
    await run(world.context(), "!settings keep_recordings on")
    world.files.with_the_command = ["hello.ogg"]
    ctx = replace(world.context(), recordings=("hello.ogg",))
    await run(ctx, "")
    await run(ctx, "!privacy optout")
    await run(ctx, "")
    assert world.speech.kept == [(ctx.user, HELLO)]


@pytest.mark.parametrize("line", ["!transcribe", "!transcribe file=hello.ogg"])
async def test_what_somebody_else_has_said_is_never_kept(world: World, line: str) -> None:
    await run(world.context(), "!settings keep_recordings on")
    ctx = replace(world.context(), answered_files=("hello.ogg",))
    assert await written_down(ctx, line) == [Moment(outcome=TOLD)]
    assert not world.speech.kept


async def test_of_who_opts_out_while_it_is_heard_nothing_is_kept(world: World) -> None:
    await run(world.context(), "!settings keep_recordings on")
    world.files.with_the_command = ["hello.ogg"]
    world.speech.listening.clear()
    hearing = asyncio.create_task(written_down(world.context(), "!transcribe"))
    async with asyncio.timeout(5):
        while not world.speech.heard:
            await asyncio.sleep(0)
        await run(world.context(), "!privacy optout")
        world.speech.listening.set()
        assert await hearing == [Moment(outcome=TOLD)]
    assert not world.speech.kept


async def test_what_has_no_words_is_not_kept(world: World) -> None:
    await run(world.context(), "!settings keep_recordings on")
    world.files.with_the_command = ["hello.ogg"]
    world.speech.deaf = InvalidInput("No words.", code="no_words")
    await written_down(world.context(), "!transcribe")
    assert not world.speech.kept


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("!say", "missing_parameter"),
        ("!say hi to=a.wav", "not_ogg"),
        ("!say hi langauge=de", "unknown_option"),
        ("!transcribe", "nothing_to_transcribe"),
        ("!transcribe a.ogg file=b.ogg", "several_files"),
        ("!transcribe file=nowhere.ogg", "file_not_found"),
    ],
)
async def test_what_is_wrong_is_a_problem_with_a_code(world: World, line: str, code: str) -> None:
    reply = await run(world.context(), line)
    assert isinstance(reply, Problem)
    assert reply.code == code
    assert not world.speech.spoken


async def shown(name: str, data: bytes = b"OggS") -> tuple[bool, str]:
    out = io.StringIO()
    worked = await Renderer(Console(file=out, soft_wrap=True)).show(Audio(name, data, 1.26))
    return worked, out.getvalue()


async def test_the_console_writes_a_new_file_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "new [1].ogg"
    assert await shown(str(path)) == (True, f"✓ {path}, 1.3 s of speech\n")
    assert path.read_bytes() == b"OggS"


async def test_the_console_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "old.ogg"
    path.write_bytes(b"mine")
    worked, said = await shown(str(path))
    assert not worked
    assert "nothing is overwritten" in said
    assert "[file_exists]" in said
    assert path.read_bytes() == b"mine"
    assert (await shown(str(path), b"mine"))[0], "the same bytes are there already"
    assert not (await shown(str(tmp_path)))[0], "a folder is no file to write"


async def test_the_console_says_why_it_cannot_write(tmp_path: Path) -> None:
    worked, said = await shown(str(tmp_path / "none" / "x.ogg"))
    assert not worked
    assert "no such file or directory" in said
    assert "[file_unwritable]" in said
