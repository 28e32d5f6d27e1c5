"""From the words of a command line to a command's parameters.

    train --file export.json --epochs 3
    train --file=export.json --learning-rate=1e-4
    import a.json "b c.zip" --name club --real-names
    train "some words" epochs=3                          as in the console

Dashes are as good as underscores. A switch without a value is on.
"""

from collections.abc import Sequence
from typing import Any

from chorus.common.errors import InvalidInput, in_short
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.parsing import Parameters, takes_several, unknown_option, validated

SWITCH = ("true", "false", "yes", "no", "on", "off", "1", "0")


def read(command: Command, words: Sequence[str]) -> Parameters:
    """The command's parameters. Raises `InvalidInput` that says which one is wrong, and why."""
    values: dict[str, Any] = {}
    texts: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        name = name.replace("-", "_").lower()
        if word == "--":
            texts += rest
            break
        if not word.startswith("--") and (not equals or not _is_option(command, name)):
            texts.append(word)
            continue
        if not _is_option(command, name):
            raise unknown_option(name, set(command.parameters.model_fields) - {command.text_field})
        if name in values:
            raise InvalidInput(f"`{name}` is given twice.", code="given_twice", param=name)
        values[name] = value if equals else _value(command, name, rest)
    if texts:
        values |= _text(command, texts)
    return validated(command.parameters, values)


def _is_option(command: Command, name: str) -> bool:
    return name in command.parameters.model_fields


def _value(command: Command, name: str, rest: list[str]) -> str:
    """The value that follows an option, taken from the rest."""
    is_switch = command.parameters.model_fields[name].annotation is bool
    if is_switch and (not rest or rest[0].lower() not in SWITCH):
        return "true"
    if not rest:
        raise InvalidInput(f"`--{name}` needs a value.", code="missing_value", param=name)
    return rest.pop(0)


def _text(command: Command, texts: list[str]) -> dict[str, Any]:
    """What is no option: the command's text, or several files."""
    field = command.text_field
    if field is None:
        raise InvalidInput(
            f"Nothing is expected here, but there is {in_short(texts[0])!r}.", code="unexpected_text"
        )
    return {field: texts if takes_several(command.parameters, field) else " ".join(texts)}
