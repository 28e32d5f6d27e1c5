"""Slash commands, buttons, forms, menus and reactions, by a real discord.py against a double at the wire."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from chorus.gateway.commands.replies import THIS, Button, Card, Form, Moment, Progress, Reply, Text
from chorus.gateway.commands.rows import COMMANDS
from chorus.gateway.frontends.discord import client, talk
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import Attachment, Message


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


def answer_with(patch: pytest.MonkeyPatch, run: Callable[..., Awaitable[Reply]]) -> None:
    """Have every line answered so."""
    patch.setattr(client, "run", run)
    patch.setattr(talk, "run", run)


def noted(patch: pytest.MonkeyPatch) -> list[str]:
    """Have every line answered with `Noted.`; gives the lines."""
    heard: list[str] = []

    async def note(_: object, line: str) -> Text:
        heard.append(line)
        return Text("Noted.")

    answer_with(patch, note)
    return heard


def labels(message: Message) -> list[str]:
    return [button["label"] for row in message.components for button in row["components"]]


async def test_every_command_is_a_slash_command_and_discord_is_told_once(place: Place) -> None:
    interactions = place.discord.rest.interactions
    async with place.present():
        listed = {command["name"]: command for command in interactions.listed}
    assert {name for name, command in listed.items() if command["type"] == 1} == set(COMMANDS)
    assert "Correct this reply" in listed
    async with place.present():
        assert interactions.told == 1
    (Path(place.discord.cache) / "discord-commands.json").write_text("broken")
    async with place.present():
        assert interactions.told == 2


async def test_a_slash_command_is_answered_for_all_to_see(place: Place) -> None:
    async with place.present():
        asked = await place.discord.slash(place.channel, place.member, "jobs")
        answer = await place.discord.shown(asked)
    assert answer.content == "No jobs yet. Start one with !train."
    assert answer.only_for is None


async def test_what_is_refused_is_told_to_who_asked_and_to_nobody_else(place: Place) -> None:
    async with place.present():
        asked = await place.discord.slash(place.channel, place.member, "train", text="words")
        refused = await place.discord.shown(asked)
        wrong = await place.discord.slash(place.channel, place.admin, "train", text="words", epochs="many")
        told = await place.discord.shown(wrong)
    assert refused.only_for is place.member
    assert refused.content.endswith("[not_permitted]")
    assert told.only_for is place.admin
    assert told.content.startswith("✗ `epochs` cannot be 'many'")
    assert not place.discord.said(place.channel)
    assert not place.world.datasets.added


async def test_a_training_with_files_is_one_live_message_edited_as_the_bots_own(place: Place) -> None:
    async with place.present(discord_edit_every=0.1):
        asked = await place.discord.slash(
            place.channel,
            place.admin,
            "train",
            attachment=Attachment("my_data.json", b"[1]"),
            attachment_2=Attachment("more.json", b"[2]"),
            epochs="3",
            rank="16",
            positive=True,
            options="seed=7 gap_minutes=30",
        )
        message = await place.discord.shown(asked)
        await place.discord.until(lambda: "✓" in message.content)
    ((_, new),) = place.world.datasets.added
    assert [file.data for file in new.files] == [b"[1]", b"[2]"]
    (job,) = place.world.jobs.records.values()
    wishes = job.job.hyperparameters
    assert (wishes.epochs, wishes.rank, wishes.seed, new.options.gap_minutes) == (3, 16, 7, 30)
    assert f"Job ID: {job.job.job}" in message.content
    assert place.discord.said(place.channel) == [message]


async def test_a_private_reply_of_a_slash_command_stays_private_however_late_it_comes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = asyncio.Event()

    async def private(*_: object) -> Card:
        await slow.wait()
        return Card("Secret", ("",), [("words",)], private=True)

    monkeypatch.setattr(client, "run_filled_in", private)
    monkeypatch.setattr("chorus.gateway.frontends.discord.followups.SOON", 0.05)
    async with place.present():
        late = await place.discord.slash(place.channel, place.member, "jobs")
        await place.discord.until(lambda: late.heard)
        slow.set()
        await place.discord.until(lambda: len(late.shown) == 2)
        soon = await place.discord.slash(place.channel, place.member, "jobs")
        await place.discord.shown(soon)
    assert [message.only_for for message in late.shown] == [None, place.member]
    assert "Secret" not in late.shown[0].content
    assert [(m.only_for, m.content) for m in soon.shown] == [(place.member, "**Secret**\n- words")]


async def test_an_answer_to_a_slash_command_is_streamed_and_has_buttons_at_its_end(place: Place) -> None:
    async with place.present(discord_edit_every=0.1):
        asked = await place.discord.slash(place.channel, place.member, "send_message", text="How are you?")
        await place.discord.until(lambda: place.told.asked)
        place.told.tell("Fine")
        message = await place.discord.shown(asked)
        assert labels(message) == []
        place.told.tell(", thanks.", None)
        await place.discord.until(lambda: labels(message))
    assert message.content == "Fine, thanks."
    assert labels(message)[0] == "Regenerate"


async def test_a_button_runs_its_line_with_the_rights_of_who_presses_also_after_a_restart(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*_: object) -> Text:
        return Text("Take it?", (Button("Use it", "!use base", "good"), Button("Jobs", "!jobs")))

    async with place.present():
        with monkeypatch.context() as patch:
            answer_with(patch, ask)
            await place.ask("!jobs")
            message = await place.discord.answered(place.channel, "Take it?")
    async with place.present():
        refused = await place.discord.press(message, "Use it", place.member)
        told = await place.discord.shown(refused)
        jobs = await place.discord.shown(await place.discord.press(message, "Jobs", place.member))
    assert told.only_for is place.member
    assert told.content.endswith("[not_permitted]")
    assert (jobs.only_for, jobs.content) == (place.member, "No jobs yet. Start one with !train.")
    assert place.discord.said(place.channel) == [message]


async def test_a_pressed_answer_goes_to_the_channel_and_knows_its_message(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.told.tell("one", None, "two", None)
    async with place.present(discord_edit_every=0.1):
        await place.ask(place.mention("first"))
        message = await place.discord.answered(place.channel, "one")
        await place.discord.until(lambda: labels(message))
        pressed = await place.discord.press(message, "Regenerate", place.member)
        again = await place.discord.answered(place.channel, "two")
    assert again.reply_to is message
    assert not pressed.shown


async def test_a_button_may_ask_for_words_first_also_across_a_restart(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    button = Button("Correct", f"!correct {THIS}", form=Form("Correct it", "Better words", THIS))

    async def thank(_: object, line: str) -> Text:
        heard.append(line)
        return Text("Thanks.", () if "correct" in line else (button,))

    answer_with(monkeypatch, thank)
    async with place.present():
        await place.ask("!jobs")
        message = await place.discord.answered(place.channel, "Thanks.")
        asked = await place.discord.press(message, "Correct", place.member)
        form = await place.discord.until(lambda: asked.form)
        assert form["components"][0]["component"]["value"] == "Thanks."
    async with place.present():
        sent = await place.discord.submit(asked, "Many thanks.\nReally.")
        thanks = await place.discord.shown(sent)
    assert heard[-1] == f"!correct {message.id} Many thanks.\nReally."
    assert (thanks.only_for, thanks.content) == (place.member, "Thanks.")


async def test_a_reply_is_corrected_by_its_menu_and_nobody_elses_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = noted(monkeypatch)
    async with place.present():
        theirs = await place.ask("!jobs")
        ours = await place.discord.answered(place.channel, "Noted.")
        refused = await place.discord.menu(theirs, "Correct this reply", place.member)
        told = await place.discord.shown(refused)
        asked = await place.discord.menu(ours, "Correct this reply", place.member)
        noted_for = await place.discord.shown(await place.discord.submit(asked, "Better."))
    assert told.content.endswith("[not_our_reply]")
    assert heard[-1] == f"!correct {ours.id} Better."
    assert noted_for.only_for is place.member


async def test_an_answer_is_judged_and_corrected_by_its_buttons_and_by_a_thumb_after_a_restart(
    place: Place,
) -> None:
    place.told.tell("At eight.", None)
    async with place.present(discord_edit_every=0.1):
        await place.ask(place.mention("When do you open?"))
        message = await place.discord.answered(place.channel, "At eight.")
        await place.discord.until(lambda: labels(message) and place.world.replies.records)
    assert labels(message) == ["Regenerate", "👍", "👎", "Correct"]
    given = place.world.replies.given
    async with place.present():
        await place.discord.shown(await place.discord.press(message, "👍", place.admin))
        asked = await place.discord.press(message, "Correct", place.member)
        form = await place.discord.until(lambda: asked.form)
        assert form["components"][0]["component"]["value"] == "At eight."
        await place.discord.shown(await place.discord.submit(asked, "At seven."))
        await place.discord.react(message, place.admin, "👎")
        await place.discord.until(lambda: [one.vote for one in given.values()] == ["down", None])
    judged, corrected = given.values()
    assert (judged.by, judged.message, judged.via) == (place.admin.id, message.id, "form")
    assert (corrected.by, corrected.correction) == (place.member.id, "At seven.")


async def test_a_command_that_we_know_no_more_is_told_so(place: Place) -> None:
    async with place.present():
        place.discord.rest.interactions.listed.append({"id": "1", "name": "gone", "type": 1, "options": []})
        told = await place.discord.shown(await place.discord.slash(place.channel, place.member, "gone"))
    assert told.only_for is place.member
    assert told.content.endswith("[changed_command]")


async def test_thumbs_below_our_messages_are_feedback_and_below_others_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = noted(monkeypatch)
    async with place.present():
        theirs = await place.ask("!jobs")
        ours = await place.discord.answered(place.channel, "Noted.")
        robot = place.discord.person("robot", bot=True)
        await place.discord.react(theirs, place.member, "👍")
        await place.discord.react(ours, place.member, "🎉")
        await place.discord.react(ours, robot, "👍")
        for thumb in ("👍", "👎", "👍"):
            await place.discord.react(ours, place.member, thumb)
        await place.discord.until(lambda: len(heard) == 4)
        private = place.discord.channel(None)
        await place.discord.say(private, place.member, "!jobs")
        told = await place.discord.answered(private, "Noted.")
        await place.discord.react(told, place.member, "👎")
        await place.discord.until(lambda: len(heard) == 6)
    assert heard.pop() == f"!feedback down reply={told.id}"
    assert heard.pop() == "!jobs"
    votes = [f"!feedback {vote} reply={ours.id}" for vote in ("up", "down", "up")]
    assert heard == ["!jobs", *votes]
    assert place.discord.said(place.channel) == [ours]


async def test_a_live_message_has_the_buttons_of_the_moment_and_outlives_its_interaction(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()

    async def moments() -> AsyncIterator[Moment]:
        yield Moment("learning", 1, 2, job="k7f3m2qxab", buttons=(Button("Pause", "!pause k7f3m2qxab"),))
        await go_on.wait()
        yield Moment(outcome=Text("Done."), job="k7f3m2qxab")

    async def begin(*_: object) -> Progress:
        return Progress("Begun.", moments())

    monkeypatch.setattr(client, "run_filled_in", begin)
    async with place.present(discord_edit_every=0.1):
        asked = await place.discord.slash(place.channel, place.member, "jobs")
        message = await place.discord.shown(asked)
        await place.discord.until(lambda: labels(message) == ["Pause"])
        asked.is_over = True
        go_on.set()
        await place.discord.until(lambda: message.content == "Begun.\nDone.")
    assert labels(message) == []


async def test_what_asks_with_buttons_has_none_once_it_is_settled(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asks(_: object, line: str) -> Text:
        keep = Button("Keep", "!keep")
        return Text("Kept.", settles=True) if line == keep.line else Text("Keep it?", (keep,))

    answer_with(monkeypatch, asks)
    async with place.present():
        await place.ask("!jobs")
        message = await place.discord.answered(place.channel, "Keep it?")
        kept = await place.discord.shown(await place.discord.press(message, "Keep", place.member))
    assert kept.content == "Kept."
    assert labels(message) == []


async def test_in_private_messages_a_slash_command_is_about_ones_own_place(place: Place) -> None:
    private = place.discord.channel(None)
    async with place.present():
        asked = await place.discord.slash(private, place.member, "train", text="words")
        await place.discord.shown(asked)
        await place.discord.until(lambda: place.world.datasets.added)
    assert place.world.datasets.added[0][0] == f"dm-{place.member.id}"
