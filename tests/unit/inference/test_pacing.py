"""Pacing: alone each token by itself, beside others fewer and larger pieces, and never a late end."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.inference.generation import pacing as pacing_module
from chorus.inference.generation.pacing import Pacing
from chorus.inference.generation.ports import Piece

STEP = 0.006  # seconds that the engine takes for a token


class Clock:
    """What `time.monotonic` says; each token of the engine takes a step."""

    def __init__(self) -> None:
        self.now = 100.0

    async def write(self, *pieces: Piece) -> AsyncGenerator[Piece, None]:
        for piece in pieces:
            self.now += STEP
            yield piece


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pacing_module.time, "monotonic", lambda: clock.now)
    return clock


def words(count: int) -> list[Piece]:
    return [Piece(f"{number} ", 1, "stop" if number == count - 1 else None) for number in range(count)]


async def crowded(pacing: Pacing, clock: Clock, stack: AsyncExitStack, streams: int) -> None:
    """So many more streams that are being written."""
    for _ in range(streams):
        other = await stack.enter_async_context(aclosing(pacing.gathered(clock.write(*words(2)))))
        await anext(other)


async def test_alone_each_token_goes_by_itself(clock: Clock) -> None:
    assert [piece async for piece in Pacing().gathered(clock.write(*words(20)))] == words(20)


async def test_beside_others_pieces_are_fewer_and_the_text_is_the_same(clock: Clock) -> None:
    pacing = Pacing(pieces=500)
    async with AsyncExitStack() as stack:
        await crowded(pacing, clock, stack, 9)
        got = [piece async for piece in pacing.gathered(clock.write(*words(41)))]
    assert "".join(piece.text for piece in got) == "".join(piece.text for piece in words(41))
    assert sum(piece.tokens for piece in got) == 41
    assert got[0] == words(41)[0], "the first one goes at once"
    assert [piece.tokens for piece in got[1:]] == [4] * 10, "ten streams, 500 a second: 20 ms, four tokens"
    assert got[-1].finish_reason == "stop"


async def test_the_last_piece_goes_at_once(clock: Clock) -> None:
    pacing = Pacing(pieces=1)
    got = [piece async for piece in pacing.gathered(clock.write(*words(30)))]
    assert [piece.tokens for piece in got] == [1, 29]
    assert clock.now == pytest.approx(100 + 30 * STEP)


async def test_a_token_without_text_is_not_taken_for_the_first_piece(clock: Clock) -> None:
    silent, loud = Piece("", 1), Piece("Hi", 1)
    got = [
        piece async for piece in Pacing(pieces=1).gathered(clock.write(silent, loud, Piece("!", 1, "stop")))
    ]
    assert [piece.text for piece in got] == ["", "Hi", "!"]


async def test_streams_that_have_ended_hold_nobody_back(clock: Clock) -> None:
    pacing = Pacing(pieces=500)
    async with AsyncExitStack() as stack:
        await crowded(pacing, clock, stack, 9)
    assert [piece async for piece in pacing.gathered(clock.write(*words(20)))] == words(20)


async def test_leaving_stops_the_engine(clock: Clock) -> None:
    engine = clock.write(*words(20))
    async with aclosing(Pacing().gathered(engine)) as pieces:
        await anext(pieces)
    with pytest.raises(StopAsyncIteration):
        await anext(engine)


choices = st.lists(st.tuples(st.integers(0, 3), st.text("ab", max_size=3)), max_size=40)


@given(choices, st.floats(1, 1000))
async def test_each_of_several_answers_keeps_its_own_text(said: list[tuple[int, str]], pieces: float) -> None:
    written = [Piece(text, 1, choice=choice) for choice, text in said]
    got = [piece async for piece in Pacing(pieces).gathered(Clock().write(*written))]
    for choice in range(4):
        assert "".join(p.text for p in got if p.choice == choice) == "".join(
            t for c, t in said if c == choice
        )
    assert sum(piece.tokens for piece in got) == len(said)
