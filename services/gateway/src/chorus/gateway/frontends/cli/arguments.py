"""From the words of a command line to a command's parameters.

    train --text-file notes.txt --epochs 3
    train --file=export.json --learning_rate=1e-4
    train -d club,quay --compile
    import a.json "b c.zip" --name club --real-names
    train "some words" epochs=3                          as in the console

Dashes are as good as underscores. A switch without a value is on.
"""

from collections.abc import Sequence
from typing import Any

from chorus.common.errors import InvalidInput, in_short
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.parsing import (
    SWITCHED,
    Parameters,
    is_switch,
    needs_a_value,
    option_name,
    takes_several,
    unknown_option,
    validated,
)

SHORT = {"-d": "--data", "-t": "--type", "-p": "--prompt", "-mt": "--weights"}
"""As selfchatbot has them; each stands for an option where a command has that."""


def read(command: Command, words: Sequence[str]) -> Parameters:
    """The command's parameters. Raises `InvalidInput` that says all that is wrong with them, and why."""
    values: dict[str, Any] = {}
    texts: list[str] = []
    unknown: list[InvalidInput] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            texts += rest
            break
        if (long := SHORT.get(word)) and _is_option(command, option_name(long.removeprefix("--"))):
            word = long
        given, equals, value = word.removeprefix("--").partition("=")
        name = option_name(given)
        if not word.startswith("--") and (not equals or not _is_option(command, name)):
            texts.append(word)
        elif not _is_option(command, name):
            unknown.append(unknown_option(name, set(command.parameters.model_fields) - {command.text_field}))
        elif name in values:
            raise InvalidInput(f"`{name}` is given twice.", code="given_twice", param=name)
        else:
            values[name] = value if equals else _value(command, name, rest)
    if texts and not unknown:  # what follows an unknown option is its value, and no text
        values |= _text(command, texts)
    return validated(command.parameters, values, unknown)


def _is_option(command: Command, name: str) -> bool:
    return name in command.parameters.model_fields


def _value(command: Command, name: str, rest: list[str]) -> str:
    """The value that follows an option, taken from the rest."""
    if is_switch(command.parameters, name) and (not rest or rest[0].lower() not in SWITCHED):
        return "true"
    if not rest:
        raise needs_a_value(name)
    return rest.pop(0)


def _text(command: Command, texts: list[str]) -> dict[str, Any]:
    """What is no option: the command's text, or several files."""
    field = command.text_field
    if field is None:
        raise InvalidInput(
            f"Nothing is expected here, but there is {in_short(texts[0])!r}.", code="unexpected_text"
        )
    return {field: texts if takes_several(command.parameters, field) else " ".join(texts)}
