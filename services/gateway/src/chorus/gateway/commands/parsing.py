"""From a line of text to a command's parameters.

    !train "some words" positive=False epochs=3
    !train file='my data.json'
    !ask what is "the rule" about a=b?

`key=value` is an option only where the command has that option; everything else is the command's text,
kept as it was written, unless an option was surely meant: then we ask. Between quotes that open the text
nothing is an option.
One pair of quotes around the whole text is taken off, phones' curly ones too.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from chorus.common.contracts.names import NAME, slug
from chorus.common.errors import InvalidInput, in_short

QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“", "‘": "’", "«": "»"}
APOSTROPHES = "'‘"  # that open nothing when nothing closes them: 'tis
_OPTION = re.compile(r"(?:^|(?<=\s))([A-Za-z_]+)=")


class Parameters(BaseModel):
    """A command's parameters. The field that `takes_text` names takes the text; others are options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=Parameters)


def bind(model: type[P], text_field: str | None, argument: str) -> P:
    """Read a command's parameters. Raises `InvalidInput` that says which one is wrong, and why."""
    options = set(model.model_fields) - {text_field}
    values, text = _take_options(argument.strip(), options)
    if text and text_field is None:
        raise InvalidInput(f"Nothing is expected here, but there is {text!r}.", code="unexpected_text")
    if text and text_field is not None:
        _refuse_mistyped_option(text, options, lone=not model.model_fields[text_field].is_required())
        values[text_field] = _words(text) if takes_several(model, text_field) else _unquoted(text)
    return validated(model, values)


def takes_several(model: type[Parameters], field: str) -> bool:
    """Whether a parameter takes several words, each for itself: files' names, say."""
    return model.model_fields[field].annotation == tuple[str, ...]


def validated(model: type[P], values: dict[str, Any]) -> P:
    """The parameters of these values. Raises `InvalidInput` that says which one is wrong, and why."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        if first["type"] == "missing":
            raise InvalidInput(f"`{name}` is missing.", code="missing_parameter", param=name) from None
        raise InvalidInput(
            f"`{name}` cannot be {in_short(str(first['input']))!r}: {_reason(first)}.",
            code="invalid_parameter",
            param=name,
        ) from None


def _reason(error: Mapping[str, Any]) -> str:
    """Why a value is refused. A pattern tells most people nothing: of a name, one is told that would do."""
    if NAME in error.get("ctx", {}).get("pattern", ""):
        return f"names are of a to z, 0 to 9 and hyphens, as in `{slug(str(error['input']))}`"
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}"


def _take_options(argument: str, options: set[str]) -> tuple[dict[str, Any], str]:
    """The options, and the text without them."""
    values: dict[str, Any] = {}
    text, at = "", 0
    if _opens(argument, 0):  # nothing inside the leading quotes is an option
        at = _closing(argument, 0) + 1
        text = argument[:at]
    while found := _OPTION.search(argument, at):
        name = found[1].lower()
        if name not in options:
            text += argument[at : found.end()]
            at = found.end()
            continue
        text += argument[at : found.start()]
        if name in values:
            raise InvalidInput(f"`{name}` is given twice.", code="given_twice", param=name)
        values[name], at = _value(argument, found.end())
    return values, (text + argument[at:]).strip()


def _value(argument: str, start: int) -> tuple[str, int]:
    """The value that starts here, and where it ends."""
    if _opens(argument, start):
        end = _closing(argument, start)
        return argument[start + 1 : end], end + 1
    word = re.match(r"\S*", argument[start:])
    value = word[0] if word else ""
    return value, start + len(value)


def _words(text: str) -> list[str]:
    """The words of a text; those between quotes are one."""
    words, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        else:
            word, at = _value(text, at)
            words.append(word)
    return words


def _opens(text: str, at: int) -> bool:
    """Whether quotes open here."""
    mark = text[at : at + 1]
    if mark not in QUOTES or not mark:
        return False
    return mark not in APOSTROPHES or _end_of_quotes(text, at) is not None


def _end_of_quotes(text: str, start: int) -> int | None:
    """Where quotes that open at `start` close: at their mark before a space or the end."""
    mark = QUOTES[text[start]]
    ends = (at for at in range(start + 1, len(text)) if text[at] == mark)
    return next((at for at in ends if at + 1 == len(text) or text[at + 1].isspace()), None)


def _closing(text: str, start: int) -> int:
    end = _end_of_quotes(text, start)
    if end is None:
        raise InvalidInput(
            f"The quotes that open with {text[start]} are never closed.", code="unclosed_quotes"
        )
    return end


def _unquoted(text: str) -> str:
    return text[1:-1] if _opens(text, 0) and _closing(text, 0) == len(text) - 1 else text


def _refuse_mistyped_option(text: str, options: set[str], *, lone: bool) -> None:
    """`fiel=x.json` is no text to learn: better to ask than to train on it.

    A near option's name is refused everywhere. With `lone`, where a command can do without text, so is
    what has no words beside it (`nonsense=1`); where text is the point, `E=mc2` is as good as any.
    """
    words = _outside_quotes(text).split()
    given = [word.partition("=")[0] for word in words if _looks_like_option(word)]
    lone = lone and len(given) == len(words)
    for name in given:
        near = difflib.get_close_matches(name.lower(), options, n=1, cutoff=0.7)
        if near or lone:
            raise unknown_option(name, options, "Quotes make it text.")


def unknown_option(name: str, options: Collection[str], way_out: str = "") -> InvalidInput:
    """What to tell who gives an option that a command does not have."""
    near = difflib.get_close_matches(name.lower(), options, n=1, cutoff=0.7)
    known = ", ".join(f"`{option}=`" for option in sorted(options)) or "none"
    hint = f"Did you mean `{near[0]}=`?" if near else f"Options: {known}."
    return InvalidInput(
        f"There is no option `{in_short(name)}=` here. {hint} {way_out}".rstrip(),
        code="unknown_option",
        param=name,
    )


def _outside_quotes(text: str) -> str:
    """What comes after the leading quotes."""
    return text[_closing(text, 0) + 1 :] if _opens(text, 0) else text


def _looks_like_option(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()
