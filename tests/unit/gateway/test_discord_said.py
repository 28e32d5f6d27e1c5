"""Messages as turns: who said what, without what is only decoration."""

from unittest.mock import MagicMock

import discord
import pytest

from chorus.gateway.frontends.discord.said import Said, as_turns, joined, read, spoken

ME = 4711


def ours(content: str, answers: discord.Message | None = None) -> discord.Message:
    made = MagicMock(spec=discord.Message, id=7, content=content, reference=None)
    made.author.id = ME
    if answers:
        made.reference = MagicMock(message_id=answers.id, resolved=answers)
    return made


def theirs(content: str) -> discord.Message:
    made = MagicMock(spec=discord.Message, id=5, content=content, reference=None, guild=None)
    made.attachments, made.webhook_id, made.type = [], None, discord.MessageType.default
    made.author = MagicMock(spec=discord.User, id=42, bot=False)
    return made


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Hello.", "Hello."),
        ("Hello.\n-# AI · mimic-ada@1\n-# Cut off: the answer reached its length limit.", "Hello."),
        ("-# AI\nHello.\n-# mimic-ada@1", "Hello."),
        ("-# AI\n**1**\nOne.\n**2**\nTwo.\n-# mimic-ada@1", "One."),
        ("-# AI\n✗ Busy, 37 ahead. [busy]", ""),
        ("-# 3 ahead of you", ""),
        ("✗ Busy, 37 ahead. [busy]", ""),
        ("**1**\nOne.\nMore.\n**2**\nTwo.", "One.\nMore."),
        ("**Bold** words.", "**Bold** words."),
    ],
)
def test_what_an_answer_of_ours_says(content: str, text: str) -> None:
    assert read(ours(content, theirs("<@4711> hi")), ME, "!").text == text


@pytest.mark.parametrize(
    ("asked", "text"), [("?jobs", ""), ("?send_message hi", "No jobs yet."), ("!jobs", "No jobs yet.")]
)
def test_what_answers_a_command_is_no_turn(asked: str, text: str) -> None:
    assert read(ours("No jobs yet.", theirs(asked)), ME, "?").text == text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hello", "hello"),
        ('!send_message "hi there"', "hi there"),
        ("!Send-Message hi", "hi"),
        ("!ask hi", None),
    ],
)
def test_what_a_line_says_in_a_conversation(line: str, words: str | None) -> None:
    assert spoken(line) == words


def test_what_one_person_says_in_a_row_is_one_turn_and_an_answer_that_was_given_anew_counts_once() -> None:
    said = [
        Said((1,), "42", "Hello."), Said((2,), "42", "Anybody?"), Said((3,), "43", "Me."),
        Said((4,), None, "No.", 3), Said((5,), None, "Yes.", 4),
    ]  # fmt: skip
    assert [(turn.role, turn.name, turn.content) for turn in as_turns(said)] == [
        ("user", "42", "Hello.\nAnybody?"), ("user", "43", "Me."), ("assistant", None, "Yes."),
    ]  # fmt: skip


def test_only_what_follows_a_full_message_of_ours_is_more_of_it() -> None:
    full, rest = Said((1,), None, "a", 9, goes_on=True), Said((2,), None, "b")
    notice = Said((3,), None, "A training has the GPU.")
    assert [said.ids for said in joined([full, rest, notice])] == [(1, 2), (3,)]
    assert [said.ids for said in joined([full, Said((2,), "42", "hm"), rest])] == [(1,), (2,), (2,)]
