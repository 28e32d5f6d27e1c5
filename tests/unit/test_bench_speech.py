"""What the benchmark of speech counts, without a service."""

import asyncio

import pytest

from tests.benchmarks.talking.crowd import at_once
from tests.support.spoken import word_error_rate, word_errors


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b", "a x b y", 2),
        ("a b", "", 2),
    ],
)
def test_words_put_in_left_out_and_replaced_are_errors(said: str, heard: str, errors: int) -> None:
    assert word_errors(said, heard) == errors


def test_the_rate_is_of_all_words_said() -> None:
    assert word_error_rate([("a b c", "a b c"), ("d", "e")]) == 0.25


async def test_requests_at_once_are_at_work_together() -> None:
    here, all_here = list[str](), asyncio.Event()

    async def request(guild: str) -> None:
        here.append(guild)
        if len(here) == 3:
            all_here.set()
        await all_here.wait()

    assert await at_once(request, ["1", "2", "2"]) > 0
    assert here == ["1", "2", "2"]
