"""Answers that grow on Discord: the first words at once, then the newest at a pace, at last all of it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable

import pytest

from chorus.common.contracts.datasets import Histogram, Piece
from chorus.common.contracts.generation import Delta, End, Usage, Waiting
from chorus.common.errors import Unavailable
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
    Stream,
    Text,
)
from chorus.gateway.frontends.discord.place import Posted
from chorus.gateway.frontends.discord.render import Renderer
from chorus.gateway.frontends.discord.streaming import Live, Newest, Pace
from tests.unit.gateway.fake_data import FakeDownload

EVERY = 0.05  # seconds


class FakePosted:
    def __init__(self, text: str) -> None:
        self.versions = [(asyncio.get_running_loop().time(), text)]

    async def edit(self, text: str) -> None:
        self.versions.append((asyncio.get_running_loop().time(), text))

    @property
    def text(self) -> str:
        return self.versions[-1][1]


class FakePlace:
    largest_file = 100  # bytes

    def __init__(self) -> None:
        self.posted: list[FakePosted] = []
        self.files: list[tuple[str, bytes]] = []
        self.private: FakePlace | None = None

    async def send(self, text: str) -> Posted:
        self.posted.append(FakePosted(text))
        return self.posted[-1]

    async def attach(self, name: str, data: bytes, text: str = "") -> None:
        assert len(data) <= self.largest_file or name.endswith(".png")
        if text:
            self.posted.append(FakePosted(text))
        self.files.append((name, data))

    def aside(self) -> "FakePlace | None":
        return self.private

    @property
    def texts(self) -> list[str]:
        return [posted.text for posted in self.posted]


@pytest.fixture
def place() -> FakePlace:
    return FakePlace()


def renderer(place: FakePlace, every: float = EVERY) -> Renderer:
    return Renderer(place, Pace(every))


async def pieces(texts: Iterable[str], reason: str = "stop", dropped: int = 0) -> AsyncIterator[Delta | End]:
    for i, text in enumerate(texts):
        await asyncio.sleep(0.002)
        yield Delta(i=i, text=text)
    usage = Usage(prompt_tokens=1, completion_tokens=1)
    yield End.model_validate(
        {"model": "m", "finish_reason": reason, "usage": usage, "dropped_messages": dropped}
    )


async def test_the_latest_wins_and_edits_keep_their_distance(place: FakePlace) -> None:
    words = [f"word{number} " for number in range(100)]
    await renderer(place).show(Stream(pieces(words)))
    (posted,) = place.posted
    assert posted.text == "".join(words).strip()
    assert posted.versions[0][1] == "word0", "the first words are shown at once"
    times = [at for at, _ in posted.versions]
    assert all(later - earlier >= EVERY * 0.98 for earlier, later in itertools.pairwise(times))
    assert 3 <= len(times) < 20, "what comes meanwhile is shown together"


async def test_two_answers_in_one_channel_share_its_pace(place: FakePlace) -> None:
    pace = Pace(EVERY)
    shows = [Renderer(place, pace).show(Stream(pieces(["a "] * 60))) for _ in range(2)]
    await asyncio.gather(*shows)
    edits = sorted(at for posted in place.posted for at, _ in posted.versions[1:])
    assert all(later - earlier >= EVERY * 0.98 for earlier, later in itertools.pairwise(edits))
    assert all(text == ("a " * 60).strip() for text in place.texts)


async def test_a_long_answer_goes_on_in_further_messages(place: FakePlace) -> None:
    words = [f"{number:04} " for number in range(1000)]
    await renderer(place, 0.01).show(Stream(pieces(words)))
    assert len(place.posted) == 3
    assert " ".join(place.texts).split() == [word.strip() for word in words]
    assert all(len(text) <= 2000 for posted in place.posted for _, text in posted.versions)


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (pieces(["Hi."], "length"), "Hi.\n-# Cut off: the answer reached its length limit."),
        (pieces(["Hi."], dropped=3), "Hi.\n-# 3 older messages did not fit the model's memory."),
        (pieces([" ", "\n"]), "-# The model gave an empty answer."),
    ],
)
async def test_what_else_is_to_be_known_is_told_below(
    place: FakePlace, answer: AsyncIterator[Delta | End], shown: str
) -> None:
    await renderer(place).show(Stream(answer))
    assert place.texts == [shown]


async def broken(error: Exception) -> AsyncIterator[Delta | End]:
    yield Delta(i=0, text="Half of ")
    yield Delta(i=1, text="it")
    raise error


QUEUED = Waiting(code="queued", text="3 ahead of you")


async def after_a_while(*given: Waiting | Delta | Unavailable) -> AsyncIterator[Waiting | Delta | End]:
    """These pieces, each seen for a moment, then an end, or an error."""
    for piece in given:
        if isinstance(piece, Unavailable):
            raise piece
        yield piece
        await asyncio.sleep(EVERY * 1.5)
    usage = Usage(prompt_tokens=1, completion_tokens=1)
    yield End(model="m", finish_reason="stop", usage=usage, dropped_examples=2)


async def test_why_one_waits_is_a_message_that_becomes_the_answer(place: FakePlace) -> None:
    await renderer(place).show(Stream(after_a_while(QUEUED, Delta(i=0, text="Hello."), QUEUED)))
    (posted,) = place.posted
    assert [text for _, text in posted.versions] == [
        "-# 3 ahead of you",
        "Hello.",
        "Hello.\n-# 2 examples did not fit the model's memory.",
    ]


async def test_who_waited_in_vain_is_told_in_the_same_message(place: FakePlace) -> None:
    busy = Unavailable("Busy, 37 ahead.", code="busy", retry_after=4.2)
    await renderer(place).show(Stream(after_a_while(QUEUED, busy)))
    assert place.texts == ["✗ Busy, 37 ahead. Try again in 5 s. [busy]"]


async def test_several_answers_grow_below_their_titles(place: FakePlace) -> None:
    grown = after_a_while(Delta(i=0, text="```py\nx = 1", choice=1), Delta(i=1, text="Hello."))
    await renderer(place).show(Stream(grown, ("main@1", "main@2")))
    (posted,) = place.posted
    code = "```py\nx = 1\n```"
    assert posted.versions[0][1] == f"**main@1**\n…\n**main@2**\n{code}"
    assert (
        posted.text
        == f"**main@1**\nHello.\n**main@2**\n{code}\n-# 2 examples did not fit the model's memory."
    )


async def test_an_answer_that_breaks_off_is_shown_with_its_reason(place: FakePlace) -> None:
    await renderer(place).show(Stream(broken(Unavailable("Nobody answers."))))
    assert place.texts == ["Half of it", "✗ Nobody answers. [unavailable]"]


async def test_a_fault_of_ours_shows_no_insides(place: FakePlace) -> None:
    await renderer(place).show(Stream(broken(ZeroDivisionError("secret"))))
    assert place.texts[-1].endswith("[internal_error]")
    assert "secret" not in str(place.texts)


async def test_who_leaves_stops_the_source() -> None:
    stopped = asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            for number in range(10**9):
                yield number
                await asyncio.sleep(0)
        finally:
            stopped.set()

    async with Newest(endless()) as newest:
        assert await newest.changed()
        newest.take()
    assert stopped.is_set()


async def test_a_message_that_cannot_be_edited_stops_the_source(place: FakePlace) -> None:
    class Gone(Exception):
        pass

    async def edit(self: FakePosted, text: str) -> None:
        raise Gone

    stopped = asyncio.Event()

    async def texts() -> AsyncIterator[str]:
        try:
            for number in range(10**6):
                yield str(number)
                await asyncio.sleep(0.001)
        finally:
            stopped.set()

    FakePosted.edit, whole = edit, FakePosted.edit  # type: ignore[method-assign]
    try:
        with pytest.raises(Gone):
            await Live(place, Pace(EVERY)).follow(texts())
    finally:
        FakePosted.edit = whole  # type: ignore[method-assign]
    assert stopped.is_set()


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
