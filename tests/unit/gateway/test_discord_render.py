"""Replies as messages of Discord: jobs that move, tables, files, what is for one person alone."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chorus.common.contracts.datasets import Histogram, Piece
from chorus.gateway.commands import curve
from chorus.gateway.commands.histogram import picture
from chorus.gateway.commands.replies import (
    Audio,
    Card,
    File,
    Moment,
    Problem,
    Progress,
    Samples,
    Text,
)
from chorus.gateway.frontends.discord.place import Posted
from chorus.gateway.frontends.discord.render import TOO_LONG, worded
from tests.unit.gateway.fake_data import FakeDownload
from tests.unit.gateway.fake_place import EVERY, FakePlace, renderer


@pytest.fixture
def place() -> FakePlace:
    return FakePlace()


async def test_an_import_and_a_training_are_one_message_that_moves(place: FakePlace) -> None:
    async def course() -> AsyncIterator[Moment]:
        for part in (25, 50, 100):
            yield Moment("reading", part, 100, (f"{part}%",))
            await asyncio.sleep(EVERY * 1.2)
        yield Moment(note="Dataset club@1.")
        yield Moment(note="Job ID: abc", job="k7f3m2qxab")
        for step in range(1, 9):
            await asyncio.sleep(EVERY / 3)
            yield Moment("learning", step, 8, (f"step {step}/8", "0:09 left"), job="k7f3m2qxab")
        yield Moment(outcome=Text("✓ main@1 is trained"))

    await renderer(place).show(Progress("", course()))
    (posted,) = place.posted
    told = [text for _, text in posted.versions]
    assert told[0] == "▰▰▰▱▱▱▱▱▱▱▱▱ · reading · 25%", "reading is seen at once"
    learning = [text for text in told if "learning" in text]
    assert learning
    assert all(text.startswith("Dataset club@1.\nJob ID: abc\n▰") for text in learning)
    assert posted.text == "Dataset club@1.\nJob ID: abc\n✓ main@1 is trained"


async def test_a_job_that_says_a_lot_stays_one_message_with_what_is_newest(place: FakePlace) -> None:
    async def course() -> AsyncIterator[Moment]:
        yield Moment(note="Job ID: abc", job="abc")
        for epoch in range(1, 101):
            yield Moment(note=f"epoch {epoch}: loss 0.20, perplexity 200.5, chrF 8, exact 9 of 10", job="abc")
        yield Moment(outcome=Text("✓ main@1 is trained"), job="abc")

    await renderer(place).show(Progress("", course()))
    (posted,) = place.posted
    lines = posted.text.splitlines()
    assert (lines[0], lines[-1]) == ("Job ID: abc", "✓ main@1 is trained")
    assert [line.split(":")[0] for line in lines[1:-1]][-2:] == ["epoch 99", "epoch 100"]


async def test_what_came_of_it_is_posted_below(place: FakePlace) -> None:
    drawn = curve.picture([5.0, 2.5, 0.1], "main-1")
    assert drawn is not None
    cards = (Card("Measured", ("", ""), [("base", "loss 5.31")], picture=drawn), Card("Replies", ("",), []))

    async def course() -> AsyncIterator[Moment]:
        yield Moment(note="Job ID: abc", job="abc")
        yield Moment(outcome=Text("✓ main@1 is trained"), more=cards)

    await renderer(place).show(Progress("", course()))
    assert place.texts == [
        "Job ID: abc\n✓ main@1 is trained",
        "**Measured**\n- base · loss 5.31",
        "**Replies**",
    ]
    assert place.files == [("main-1-loss.png", drawn.png)]


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        (Moment("learning", job="k7f3m2qxab"), "-# I am restarted meanwhile. !jobs tells how it goes on."),
        (Moment("reading"), "-# I am restarted, and this was not finished. Ask for it again in a minute."),
    ],
)
async def test_who_watches_something_says_so_when_we_go(place: FakePlace, moment: Moment, left: str) -> None:
    async def course() -> AsyncIterator[Moment]:
        yield moment
        await asyncio.Event().wait()

    task = asyncio.create_task(renderer(place).show(Progress("Begun.", course())))
    async with asyncio.timeout(5):
        while not place.posted:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert place.texts == [f"Begun.\n{left}"]


async def test_a_problem_ends_the_message_that_moves(place: FakePlace) -> None:
    async def course() -> AsyncIterator[Moment]:
        yield Moment("reading")
        yield Moment(outcome=Problem("broken_json", "Line 2 is broken."))

    await renderer(place).show(Progress("", course()))
    assert place.texts == ["✗ Line 2 is broken. [broken_json]"]


async def test_a_connection_to_discord_that_breaks_is_no_fault_of_ours(
    place: FakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(text: str, buttons: object = ()) -> Posted:
        raise ConnectionResetError

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(place, "send", broken)
        with pytest.raises(ConnectionResetError):
            await renderer(place).show(Text("Hello."))
    assert place.texts == [], "and is not told where it cannot be"


async def test_other_replies(place: FakePlace) -> None:
    show = renderer(place).show
    await show(Text("Hello."))
    await show(Problem("not_found", "There is none."))
    await show(
        Card("Jobs", ("job", "also", "state"), [("a", "", "queued"), ("b", "x", "failed")], "That is all.")
    )
    await show(Audio("said.ogg", b"OggS", 1.5))
    assert place.texts == [
        "Hello.",
        "✗ There is none. [not_found]",
        "**Jobs**\n- a · queued\n- b · x · failed\n-# That is all.",
    ]
    assert place.files == [("said.ogg", b"OggS")]


async def test_a_cards_picture_is_attached_to_it(place: FakePlace) -> None:
    drawn = picture(Histogram(edges=[16, 32], counts=[1, 5]), "club")
    assert drawn is not None
    await renderer(place).show(Card("club@1", ("", ""), [("read", "3")], "More.", drawn))
    assert place.texts == ["**club@1**\n- read · 3\n-# More."]
    assert place.files == [("club-lengths.png", drawn.png)]


async def test_samples_are_code_in_which_nothing_is_markdown(place: FakePlace) -> None:
    sample = [Piece(text="<@1> **hi** ```py\n", learned=False), Piece(text="ahoy", learned=True)]
    await renderer(place).show(Samples("club@1", [sample], "What stands in «…» is learned."))
    (text,) = place.texts
    assert text.count("```") == 2
    title, opener, first, second, closer, footer = text.splitlines()
    assert (title, opener, closer) == ("**club@1**", "```", "```")
    assert first.startswith("<@1> **hi** `")
    assert (second, footer) == ("«ahoy»", "-# What stands in «…» is learned.")


async def test_a_file_that_fits_is_attached(place: FakePlace) -> None:
    await renderer(place).show(File("sub/club.zip", FakeDownload(b"PK"), "Here it is:"))
    assert (place.files, place.texts) == ([("club.zip", b"PK")], ["Here it is:"])


@pytest.mark.parametrize("size", [2, 101])
async def test_one_that_is_private_is_handed_over_aside(place: FakePlace, size: int) -> None:
    place.private = FakePlace()
    file = FakeDownload(b"PK", size=size, link="https://files.example")
    await renderer(place).show(File("words.zip", file, "Your words:", private=True))
    assert (place.files, place.texts) == ([], ["Sent to you as a direct message."])
    assert place.private.files == ([("words.zip", b"PK")] if size == 2 else [])
    assert place.private.texts[0].startswith("Your words:")
    assert ("<https://files.example/words.zip>" in place.private.texts[0]) == (size > 100)


async def test_a_card_that_is_private_is_shown_aside(place: FakePlace) -> None:
    card = Card("Where models were wrong", ("", "question"), [("✗", "Wifi?")], private=True)
    await renderer(place).show(card)
    assert place.texts == ["**Where models were wrong**\n- ✗ · Wifi?"], "nobody else reads here"
    place.private = FakePlace()
    await renderer(place).show(card)
    assert place.texts[1:] == ["Sent to you as a direct message."]
    assert place.private.texts == ["**Where models were wrong**\n- ✗ · Wifi?"]


async def test_where_nobody_else_reads_it_is_handed_over_at_once(place: FakePlace) -> None:
    await renderer(place).show(File("words.zip", FakeDownload(b"PK"), "Your words:", private=True))
    assert (place.files, place.texts) == ([("words.zip", b"PK")], ["Your words:"])


async def test_one_that_does_not_fit_comes_as_a_link(place: FakePlace) -> None:
    large = FakeDownload(b"", size=101, link="https://files.example")
    await renderer(place).show(File("club.zip", large, "Here it is:"))
    (text,) = place.texts
    assert text.startswith("Here it is:\n<https://files.example/club.zip>\n")
    assert not place.files


async def test_without_a_public_endpoint_it_is_told_what_the_operator_can_set(place: FakePlace) -> None:
    await renderer(place).show(File("club.zip", FakeDownload(b"", size=101), "Here it is:"))
    (text,) = place.texts
    assert "CHORUS_PUBLIC_S3_ENDPOINT" in text
    assert text.endswith("[too_large_to_attach]")
    assert not place.files


@pytest.mark.parametrize("lines", [60, 1000])
async def test_what_would_flood_a_channel_is_a_file_below_its_beginning(place: FakePlace, lines: int) -> None:
    place.largest_file = 100_000
    rows = [
        (f"2026-01-01 00:00:{number:04}", "epoch 1: loss 0.20, perplexity 200.5") for number in range(lines)
    ]
    card = Card("Job abc", ("UTC", ""), rows)
    await renderer(place).show(card)
    whole = worded(card)
    if lines == 60:
        assert "\n".join(place.texts) == whole
        assert not place.files
    else:
        beginning, note = place.texts
        assert whole.startswith(beginning)
        assert place.files == [("reply.md", whole.encode())]
        assert note == TOO_LONG
