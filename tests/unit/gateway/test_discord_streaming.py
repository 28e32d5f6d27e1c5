"""Answers that grow on Discord: the first words at once, then the newest at a pace, at last all of it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable

import pytest

from chorus.common.contracts.generation import Delta, End, Usage
from chorus.common.contracts.training import Hyperparameters, JobRecord, JobState
from chorus.common.contracts.training import Progress as Steps
from chorus.common.errors import Unavailable
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.replies import Audio, Card, Problem, Progress, Stream, Text
from chorus.gateway.frontends.discord.place import Posted
from chorus.gateway.frontends.discord.render import Renderer
from chorus.gateway.frontends.discord.streaming import Live, Newest, Pace
from tests.unit.gateway.fakes import RESULT, FakeDatasets, FakeJobs

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
    def __init__(self) -> None:
        self.posted: list[FakePosted] = []
        self.files: list[tuple[str, bytes]] = []

    async def send(self, text: str) -> Posted:
        self.posted.append(FakePosted(text))
        return self.posted[-1]

    async def attach(self, name: str, data: bytes) -> None:
        self.files.append((name, data))

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
        (pieces(["Hi."], dropped=3), "Hi.\n-# 3 older messages did not fit."),
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


async def a_record() -> JobRecord:
    dataset = await FakeDatasets().add("7", "x", Upload("x", b""), positive=True, contributor="1")
    return await FakeJobs().submit(dataset, "main", Hyperparameters(), submitted_by="1", key="k")


async def test_a_training_is_one_message_that_moves_and_ends_with_its_outcome(place: FakePlace) -> None:
    record = await a_record()

    async def job() -> AsyncIterator[JobRecord]:
        yield record
        for step in range(1, 9):
            await asyncio.sleep(EVERY / 3)
            progress = Steps(step=step, steps=8, loss=4 / step, seconds_left=90 - step)
            yield record.model_copy(update={"state": JobState.RUNNING, "progress": progress})
        yield record.model_copy(update={"state": JobState.SUCCEEDED, "result": RESULT})

    await renderer(place).show(Progress("Job ID: abc", job()))
    (posted,) = place.posted
    told = [text for _, text in posted.versions]
    assert any("▰▰▰" in text and "▱" in text and "step" in text and "left" in text for text in told)
    assert all(text.startswith("Job ID: abc") for text in told)
    assert posted.text.splitlines()[-1].startswith("✓ main@1 is trained")


async def test_who_watches_a_training_says_so_when_we_go(place: FakePlace) -> None:
    async def job() -> AsyncIterator[JobRecord]:
        yield await a_record()
        await asyncio.Event().wait()

    task = asyncio.create_task(renderer(place).show(Progress("Job ID: abc", job())))
    async with asyncio.timeout(5):
        while not place.posted:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert place.texts == ["Job ID: abc\n-# I am restarted meanwhile. !jobs tells how it goes on."]


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
