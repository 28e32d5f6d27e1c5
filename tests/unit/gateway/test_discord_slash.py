"""Every command of the table as a slash command that Discord takes, and its options as parameters."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import discord
import pytest
from discord import app_commands

from chorus.common.errors import ChorusError
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.parsing import filled_in
from chorus.gateway.commands.replies import THIS, Button, Form
from chorus.gateway.commands.rows import COMMANDS
from chorus.gateway.commands.training import Train
from chorus.gateway.frontends.discord.buttons import below, identity, meaning, on
from chorus.gateway.frontends.discord.forms import form_of, words_of
from chorus.gateway.frontends.discord.slash import MORE, options_of, slash, takes_files
from tests.support.discord.strict import commands_wrong, components_wrong, form_wrong

Given = tuple[str, Mapping[str, Any], str, Sequence[Any]]


class Heard:
    """What slash commands hand on."""

    def __init__(self) -> None:
        self.given: list[Given] = []

    async def filled_in(
        self,
        _: object,
        name: str,
        values: Mapping[str, Any],
        options: str,
        files: Sequence[discord.Attachment],
    ) -> None:
        self.given.append((name, values, options, files))


def listed(command: Command) -> dict[str, Any]:
    """A slash command as Discord is told of it."""
    tree: Any = app_commands.CommandTree(
        MagicMock(spec=discord.Client, http=None, _connection=MagicMock(_command_tree=None))
    )
    return slash(command, Heard().filled_in).to_dict(tree)


def options(name: str) -> dict[str, dict[str, Any]]:
    return {option["name"]: option for option in listed(COMMANDS[name])["options"]}


def test_discord_takes_all_of_them_together() -> None:
    assert commands_wrong([listed(command) for command in COMMANDS.values()]) is None


async def test_of_more_names_than_discord_lists_those_are_suggested_that_fit() -> None:
    option = options("settings")["name"]
    assert "choices" not in option
    assert option["autocomplete"]
    made: Any = slash(COMMANDS["settings"], Heard().filled_in)
    suggest = made._params["name"].autocomplete
    suggested = await suggest(MagicMock(), "KEEP")
    assert [choice.value for choice in suggested] == ["keep_replies_days", "keep_recordings"]
    assert len(await suggest(MagicMock(), "")) == 25


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_every_parameter_can_be_given(command: Command) -> None:
    """Each has an option, is the name of a file that is attached, or goes into `options`."""
    named, cut = options_of(command)
    known = set(options(command.name))
    assert set(named) <= known
    assert (MORE in known) == cut
    left = command.parameters.model_fields.keys() - named.keys() - {"file", "files"}
    assert not left or cut
    assert ("attachment" in known) == takes_files(command)


def test_options_have_the_kinds_of_their_parameters() -> None:
    train = options("train")
    kinds = {name: discord.AppCommandOptionType(option["type"]).name for name, option in train.items()}
    assert kinds["text"] == kinds["epochs"] == kinds["rank"] == "string"
    assert kinds["positive"] == "boolean"
    assert kinds["max_tokens"] == "integer"
    assert kinds["warmup"] == "number"
    assert kinds["attachment"] == "attachment"
    assert [choice["value"] for choice in train["rank"]["choices"]] == ["auto", "8", "16", "32", "64"]
    assert next(iter(options("ask").values()))["required"]
    assert not any(option["required"] for option in train.values())


async def test_what_is_filled_in_is_handed_on() -> None:
    heard = Heard()
    command = slash(COMMANDS["train"], heard.filled_in)
    file = SimpleNamespace(filename="a.json")
    given = dict.fromkeys(parameter.name for parameter in command.parameters)
    given |= {"text": "words", "epochs": "3", "attachment_2": file, MORE: "seed=7"}
    await command.callback(MagicMock(), **given)  # pyright: ignore[reportCallIssue]
    assert heard.given == [("train", {"text": "words", "epochs": "3"}, "seed=7", [file])]


def test_parameters_that_are_filled_in_are_those_of_a_line() -> None:
    asked = filled_in(Train, {"text": '"quoted" epochs=9', "rank": "16"}, "seed=7 gap-minutes=30 bots=yes")
    assert (asked.text, asked.rank, asked.epochs) == ('"quoted" epochs=9', 16, "auto")
    assert (asked.seed, asked.gap_minutes, asked.bots) == (7, 30, True)


@pytest.mark.parametrize(
    ("values", "more", "code"),
    [
        ({"epochs": "many"}, "", "invalid_parameter"),
        ({"epochs": "3"}, "epochs=4", "given_twice"),
        ({}, "epocks=4", "unknown_option"),
        ({}, "some words", "unknown_option"),
    ],
)
def test_what_is_wrong_with_them_is_told(values: dict[str, Any], more: str, code: str) -> None:
    with pytest.raises(ChorusError) as told:
        filled_in(Train, values, more)
    assert told.value.code == code


async def test_a_button_is_its_line_and_its_form() -> None:
    plain = Button("Use it", "!use main@3", "good")
    asks = Button("Correct", f"!correct {THIS}", form=Form("Correct it", "Better words"))
    assert meaning(identity(plain)) == (plain.line, None)
    assert meaning(identity(asks)) == (asks.line, asks.form)
    view = below((plain, asks))
    assert components_wrong(view.to_components()) is None
    assert not below(())
    with pytest.raises(ValueError, match="characters"):
        identity(Button("Long", "!ask " + "x" * 100))


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("!correct @", "!correct 77"),
        ("!feedback up reply=@", "!feedback up reply=77"),
        ("!use main@3", "!use main@3"),
        ("!ask who is @marit", "!ask who is @marit"),
    ],
)
def test_this_is_the_message_that_a_button_is_on(line: str, meant: str) -> None:
    assert on(77, line) == meant


@pytest.mark.parametrize(
    ("says", "answers", "has_buttons", "words"),
    [
        ("Half of it.\n-# Cut off: it was long.", True, True, "Half of it."),
        ("x" * 1500, True, True, "x" * 1500),
        ("x" * 1500, True, False, ""),
        ("the end of a long one", False, True, ""),
    ],
)
async def test_of_an_answer_that_is_not_kept_a_form_has_what_is_surely_all_of_it(
    says: str, answers: bool, has_buttons: bool, words: str
) -> None:
    message = MagicMock(
        content=says, reference=answers or None, interaction_metadata=None, components=[1] * has_buttons
    )
    assert words_of(message) == words


@pytest.mark.parametrize(
    ("first", "begins"), [("x" * 4000, "x" * 4000), ("x" * 4001, None), ("", None)]
)  # fmt: skip
async def test_a_form_begins_with_all_of_the_words_or_with_none(first: str, begins: str | None) -> None:
    begun = form_of("!correct @", Form("Correct this reply" * 5, "Better?", THIS), first).to_dict()
    assert form_wrong(begun) is None
    assert begun["components"][0]["component"].get("value") == begins
    assert begun["custom_id"] == "run:!correct @"
