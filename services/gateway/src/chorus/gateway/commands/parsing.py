"""From a line of text to a command's parameters.

    !train "some words" positive=False epochs=3
    !train --text-file 'my notes.txt' --epochs 3
    !train "some words" False
    !ask what is "the rule" about a=b?

`key=value` and `--key value` are options only where the command has that option, dashes as good as
underscores; everything else is the command's text, kept as it was written, unless an option was surely
meant: then we ask. Between quotes that open the text nothing is an option, nor in a code fence or in JSON.
One pair of quotes around the whole text is taken off, phones' curly ones too.
"""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from chorus.common.contracts.names import NAME, slug
from chorus.common.errors import ChorusError, InvalidInput, in_short
from chorus.gateway.commands.blocks import end_of_block

QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“", "‘": "’", "«": "»"}
APOSTROPHES = "'‘"  # that open nothing when nothing closes them: 'tis
SWITCHED = ("true", "false", "yes", "no", "on", "off", "1", "0", "auto")
POSITIONAL = ("true", "false", "yes", "no")  # where a switch has no name beside it
LISTED = 12  # options in a sentence; of more, the help tells
_OPTION = re.compile(r"(?:^|(?<=\s))(?:--([A-Za-z][\w-]*)(?:=|(?=\s|$))|([A-Za-z_][\w-]*)=)")


class Parameters(BaseModel):
    """A command's parameters. The field that `takes_text` names takes the text; others are options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by_position: ClassVar[str | None] = None
    """A switch that may stand without its name after a text between quotes: `"some words" True`."""

    @model_validator(mode="before")
    @classmethod
    def _can_be_sent(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Half a character, as a terminal or a broken name of a file may have it, has no place in JSON."""
        return {name: _whole(value) for name, value in values.items()}


class NoParameters(Parameters):
    """For commands that take nothing."""


P = TypeVar("P", bound=Parameters)


def bind(model: type[P], text_field: str | None, argument: str) -> P:
    """Read a command's parameters. Raises `InvalidInput` that says all that is wrong with them, and why."""
    options = set(model.model_fields) - {text_field}
    values, text = _take_options(argument.strip(), model, options)
    if model.by_position:
        text = _take_switch(text, model.by_position, values)
    if text and text_field is None:
        raise InvalidInput(f"Nothing is expected here, but there is {text!r}.", code="unexpected_text")
    mistyped: list[InvalidInput] = []
    if text and text_field is not None:
        mistyped = _mistyped(text, options, lone=not model.model_fields[text_field].is_required())
        values[text_field] = words(text) if takes_several(model, text_field) else unquoted(text)
    return validated(model, values, mistyped)


def filled_in(model: type[P], values: Mapping[str, Any], options: str = "") -> P:
    """Parameters that come one by one; `options` has more of them, as text: `epochs=3 rank=16`.

    Raises `InvalidInput` that says all that is wrong with them.
    """
    more, rest = _take_options(options.strip(), model, model.model_fields)
    if rest:
        raise unknown_option(_option_in(rest.split()[0]) or rest, model.model_fields)
    if twice := values.keys() & more.keys():
        raise given_twice(min(twice))
    several = {name for name in values if takes_several(model, name)}
    return validated(model, more | {n: words(v) if n in several else v for n, v in values.items()})


def takes_several(model: type[Parameters], field: str) -> bool:
    """Whether a parameter takes several words, each for itself: files' names, say."""
    return model.model_fields[field].annotation == tuple[str, ...]


def is_switch(model: type[Parameters], field: str) -> bool:
    """Whether a parameter is on where it stands without a value."""
    annotation = model.model_fields[field].annotation
    return bool in (annotation, *get_args(annotation))


def option_name(text: str) -> str:
    """A parameter's name, as people may write it."""
    return text.replace("-", "_").lower()


def validated(model: type[P], values: dict[str, Any], wrong: Sequence[InvalidInput] = ()) -> P:
    """The parameters of these values. Raises `InvalidInput` that says all that is wrong, and why.

    `wrong` is what is known to be wrong already.
    """
    try:
        parameters = model.model_validate(values)
    except ValidationError as error:
        by_name: dict[str, list[Mapping[str, Any]]] = {}
        for detail in error.errors(include_url=False):
            by_name.setdefault(str(detail["loc"][0]), []).append(detail)
        wrong = [*wrong, *(_refused(name, details) for name, details in by_name.items())]
        raise together(wrong) from None
    if wrong:
        raise together(wrong)
    return parameters


def together(wrong: Sequence[ChorusError]) -> ChorusError:
    """Several things that are wrong, as one; a program is told the first one's code."""
    told = list(dict.fromkeys(one.message for one in wrong))
    first = wrong[0]
    return first if len(told) == 1 else InvalidInput("\n".join(told), code=first.code, param=first.param)


def _refused(name: str, details: Sequence[Mapping[str, Any]]) -> InvalidInput:
    if details[0]["type"] == "missing":
        return InvalidInput(
            f"`{name}` is missing. `!help` with the command's name says what it takes.",
            code="missing_parameter",
            param=name,
        )
    return InvalidInput(
        f"`{name}` cannot be {in_short(str(details[0]['input']))!r}: {_reason(details)}.",
        code="invalid_parameter",
        param=name,
    )


def _reason(details: Sequence[Mapping[str, Any]]) -> str:
    """Why a value is refused: one detail for each kind of value that it might have been.

    A pattern tells most people nothing: of a name, one is told that would do.
    """
    if NAME in details[0].get("ctx", {}).get("pattern", ""):
        return f"names are of a to z, 0 to 9 and hyphens, as in `{slug(str(details[0]['input']))}`"
    first, *others = (str(detail["msg"]).removeprefix("Value error, ") for detail in details)
    rest = (other.removeprefix("Input should be ") for other in others)
    return " or ".join([f"{first[:1].lower()}{first[1:]}", *rest])


def _take_options(
    argument: str, model: type[Parameters], options: Collection[str]
) -> tuple[dict[str, Any], str]:
    """The options, and the text without them."""
    values: dict[str, Any] = {}
    at = _end_of_first(argument)  # nothing inside of it is an option
    text = argument[:at]
    while found := _OPTION.search(argument, at):
        name = option_name(found[1] or found[2])
        if name not in options:
            text += argument[at : found.end()]
            at = found.end()
            continue
        text += argument[at : found.start()]
        if name in values:
            raise given_twice(name)
        if argument[found.start() : found.end()].endswith("="):
            values[name], at = _value(argument, found.end())
        else:
            values[name], at = _value_that_follows(argument, found.end(), model, name)
    return values, (text + argument[at:]).strip()


def _take_switch(text: str, name: str, values: dict[str, Any]) -> str:
    """The text without the switch that stands after its quotes, if one does; that goes to the values."""
    end = _end_of_first(text)
    word = text[end:].strip()
    if not end or word.lower() not in POSITIONAL:
        return text
    if name in values:
        raise given_twice(name)
    values[name] = word
    return text[:end]


def _end_of_first(text: str) -> int:
    """Where that ends which opens the text and is one piece: quotes, a code fence, JSON; 0 without such."""
    return _closing(text, 0) + 1 if _opens(text, 0) else end_of_block(text, 0)


def _value(argument: str, start: int) -> tuple[str, int]:
    """The value that starts here, and where it ends."""
    if _opens(argument, start):
        end = _closing(argument, start)
        return argument[start + 1 : end], end + 1
    if (end := end_of_block(argument, start)) > start:
        return argument[start:end], end
    word = re.match(r"\S*", argument[start:])
    value = word[0] if word else ""
    return value, start + len(value)


def _value_that_follows(
    argument: str, end_of_name: int, model: type[Parameters], name: str
) -> tuple[str, int]:
    """The value of `--name`, which stands after a space, and where it ends; a switch needs none."""
    start = end_of_name + len(argument[end_of_name:]) - len(argument[end_of_name:].lstrip())
    value, end = _value(argument, start)
    if is_switch(model, name) and value.lower() not in SWITCHED:
        return "true", end_of_name
    if not value:
        raise needs_a_value(name)
    return value, end


def given_twice(name: str) -> InvalidInput:
    """What to tell who gives an option twice."""
    return InvalidInput(f"`{name}` is given twice.", code="given_twice", param=name)


def needs_a_value(name: str) -> InvalidInput:
    """What to tell who gives an option without its value."""
    return InvalidInput(f"`--{name.replace('_', '-')}` needs a value.", code="missing_value", param=name)


def words(text: str) -> list[str]:
    """The words of a text; those between quotes are one."""
    words, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        else:
            word, at = _value(text, at)
            words.append(word)
    return words


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(one) for one in cast("list[Any]", value)]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _opens(text: str, at: int) -> bool:
    """Whether quotes open here."""
    mark = text[at : at + 1]
    if mark not in QUOTES or not mark:
        return False
    return mark not in APOSTROPHES or _end_of_quotes(text, at) is not None


def _end_of_quotes(text: str, start: int) -> int | None:
    """Where quotes that open at `start` close: at their mark before a space or the end."""
    mark = QUOTES[text[start]]
    inside = end_of_block(text, start + 1)  # an apostrophe in JSON closes nothing
    ends = (at for at in range(inside, len(text)) if text[at] == mark)
    return next((at for at in ends if at + 1 == len(text) or text[at + 1].isspace()), None)


def _closing(text: str, start: int) -> int:
    end = _end_of_quotes(text, start)
    if end is None:
        raise InvalidInput(
            f"The quotes that open with {text[start]} are never closed.", code="unclosed_quotes"
        )
    return end


def unquoted(text: str) -> str:
    """The text without the one pair of quotes around it, if there is one."""
    return text[1:-1] if text[:1] in QUOTES and _end_of_quotes(text, 0) == len(text) - 1 else text


def _mistyped(text: str, options: Collection[str], *, lone: bool) -> list[InvalidInput]:
    """`fiel=x.json` is no text to learn: better to ask than to train on it.

    A near option's name is refused everywhere. With `lone`, where a command can do without text, so is
    what has no words beside it (`nonsense=1`), and what begins with two dashes; where text is the point,
    `E=mc2` is as good as any.
    """
    words = text[_end_of_first(text) :].split()
    given = [name for word in words if (name := _option_in(word))]
    nothing_else = lone and (len(given) == len(words) or text.startswith("--"))
    wrong = [name for name in given if nothing_else or _nearest(name, options)]
    return [unknown_option(name, options, "Quotes make it text.") for name in wrong]


def unknown_option(name: str, options: Collection[str], way_out: str = "") -> InvalidInput:
    """What to tell who gives an option that a command does not have."""
    near = _nearest(name, options)
    known = ", ".join(f"`{option}=`" for option in sorted(options)) or "none"
    listed = f"Options: {known}." if len(options) <= LISTED else "!help and the command lists them."
    hint = f"Did you mean `{near}=`?" if near else listed
    return InvalidInput(
        f"There is no option `{in_short(name)}=` here. {hint} {way_out}".rstrip(),
        code="unknown_option",
        param=name,
    )


def _nearest(name: str, options: Collection[str]) -> str | None:
    near = difflib.get_close_matches(option_name(name), options, n=1, cutoff=0.7)
    return near[0] if near else None


def _option_in(word: str) -> str | None:
    """The name, where a word looks like an option."""
    name, equals, _ = word.removeprefix("--").partition("=")
    looks = (equals or word.startswith("--")) and option_name(name).isidentifier()
    return name if looks else None
