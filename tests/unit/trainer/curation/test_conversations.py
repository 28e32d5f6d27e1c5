"""Conversations: by replies, then by silence, and never across a channel."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.trainer.curation.conversations import LONGEST, REPLY_WITHIN, group
from chorus.trainer.curation.records import Message
from tests.unit.trainer.curation.built import said


def texts(messages: list[Message], gap: int = 60) -> list[str]:
    return ["".join(message.text for message in talk) for talk in group(messages, gap)]


def test_silence_ends_a_conversation() -> None:
    assert texts([said("1", "a", 0), said("2", "b", 60), said("1", "c", 121)]) == ["ab", "c"]


def test_a_conversation_stays_in_its_channel() -> None:
    messages = [said("1", text, n, channel=text) for n, text in enumerate("xyxy")]
    assert texts(messages) == ["xx", "yy"]


def test_a_reply_joins_what_it_answers_after_hours() -> None:
    messages = [
        said("1", "a", 0, id="q"), said("3", "x", 200), said("4", "y", 201),
        said("2", "b", 202, reply_to="q"), said("1", "c", 203), said("3", "z", 204), said("2", "d", 205),
    ]  # fmt: skip
    assert texts(messages) == ["abcd", "xyz"], "whoever is answered goes on there, the others where they were"


def test_a_reply_in_another_channel_is_none() -> None:
    messages = [said("1", "a", 0, id="q"), said("2", "b", 1, reply_to="q", channel="other")]
    assert texts(messages) == ["a", "b"]


@pytest.mark.parametrize("asked", ["unknown", ""])
def test_a_reply_to_nothing_known_is_a_message_like_others(asked: str) -> None:
    assert texts([said("1", "a", 0), said("2", "b", 1, reply_to=asked)]) == ["ab"]


def test_a_reply_to_last_week_begins_anew() -> None:
    late = REPLY_WITHIN / 60 + 1
    assert texts([said("1", "a", 0, id="q"), said("2", "b", late, reply_to="q")]) == ["a", "b"]


def test_without_times_a_channel_is_cut_after_many_messages() -> None:
    messages = [said(str(n % 2), "x", at=0.0) for n in range(LONGEST + 3)]
    assert [len(talk) for talk in group(messages, 60)] == [LONGEST, 3]


@given(
    st.lists(st.tuples(st.sampled_from("123"), st.integers(0, 90), st.sampled_from("ab"), st.integers(0, 30)))
)
def test_each_message_is_in_one_conversation_in_order(
    talk: list[tuple[str, int, str, int]],
) -> None:
    minute = 0
    messages: list[Message] = []
    for number, (author, pause, channel, back) in enumerate(talk):
        minute += pause
        answered = str(number - back) if back and number >= back else ""
        messages.append(said(author, "x", minute, id=str(number), channel=channel, reply_to=answered))
    found = group(messages, 60)
    assert sorted(int(message.id) for talk in found for message in talk) == list(range(len(talk)))
    assert all(len({message.channel for message in talk}) == 1 for talk in found)
    assert all(int(one.id) < int(other.id) for talk in found for one, other in pairwise(talk))
    starts = [int(talk[0].id) for talk in found]
    assert starts == sorted(starts), "in the order in which they began"
