"""Every command of the table as a slash command: an option for each parameter, as Discord has them.

Discord takes 25 options. Of more, those are kept that a command declares itself, then those that it takes
over from contracts, which many share; a free `options` takes the rest, as in a line: `warmup=0.1 seed=3`.
"""

import inspect
import textwrap
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import discord
from discord import app_commands
from pydantic.fields import FieldInfo

from chorus.gateway.commands.command import Command
from chorus.gateway.commands.parsing import Parameters

MOST_OPTIONS, MOST_CHOICES, LONGEST_DESCRIPTION = 25, 25, 100  # as Discord has it
FILES = ("attachment", "attachment_2", "attachment_3")
NAMES_A_FILE = {"file", "files"}  # of what is attached; here it is attached as an option
MORE = "options"

FilledIn = Callable[
    [discord.Interaction[Any], str, Mapping[str, Any], str, Sequence[discord.Attachment]], Awaitable[None]
]
"""Takes a command's name, its parameters, more of them as text, and the files."""
Suggest = Callable[[discord.Interaction[Any], str], Coroutine[Any, Any, list[app_commands.Choice[str]]]]


def slash(command: Command, filled_in: FilledIn) -> app_commands.Command[Any, ..., None]:
    """The slash form of a command."""
    named, cut = options_of(command)
    described = {name: _described(name, field) for name, field in named.items()}
    options = [_option(name, _kind(field), field.is_required()) for name, field in named.items()]
    if takes_files(command):
        described |= dict.fromkeys(FILES, "a file")
        options += [_option(name, discord.Attachment) for name in FILES]
    if cut:
        described[MORE] = f"more options as NAME=VALUE; /help {command.name} lists them"
        options.append(_option(MORE, str))

    async def callback(interaction: discord.Interaction[Any], **given: Any) -> None:
        values = {name: value for name, value in given.items() if value is not None}
        files = [values.pop(name) for name in FILES if name in values]
        await filled_in(interaction, command.name, values, values.pop(MORE, ""), files)

    interaction = inspect.Parameter("interaction", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.Signature([interaction, *options])
    callback.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess] - `inspect` documents it
    made: app_commands.Command[Any, ..., None] = app_commands.Command(
        name=command.name,
        description=_short(command.summary),
        callback=app_commands.describe(**described)(callback),
    )
    for name, field in named.items():
        if len(names := _names(field)) > MOST_CHOICES:
            made.autocomplete(name)(_those_like(names))
    return made


def options_of(command: Command) -> tuple[dict[str, FieldInfo], bool]:
    """The parameters that have an option of their own, the most used ones first; and whether others are cut.

    What names an attached file has none.
    """
    model, files = command.parameters, takes_files(command)
    fields = {n: f for n, f in model.model_fields.items() if not (files and n in NAMES_A_FILE)}

    def rank(name: str) -> tuple[bool, bool, int]:
        depth, owner = next(
            (depth, owner) for depth, owner in enumerate(model.__mro__) if name in owner.__annotations__
        )
        return name != command.text_field, not issubclass(owner, Parameters), depth

    ranked = sorted(fields, key=rank)
    room = MOST_OPTIONS - (len(FILES) if files else 0)
    cut = len(ranked) > room
    return {name: fields[name] for name in ranked[: room - cut]}, cut


def takes_files(command: Command) -> bool:
    """Whether a command reads files that are handed over with it; one that asks for a file only names it."""
    named = "file" in command.parameters.model_fields and command.text_field != "file"
    return named or command.reads


def _option(name: str, kind: Any, required: bool = False) -> inspect.Parameter:
    default = inspect.Parameter.empty if required else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _kind(field: FieldInfo) -> Any:
    """The annotation from which discord.py makes an option; what is of several kinds is text."""
    if names := _names(field):  # a line may say more than one of these; here it is chosen
        return Literal[tuple(names)] if len(names) <= MOST_CHOICES else str
    kinds = _kinds(field.annotation)
    if all(get_origin(kind) is Literal or kind is bool for kind in kinds) and kinds != [bool]:
        words = [word for kind in kinds for word in (get_args(kind) or (True, False))]
        return Literal[tuple(str(word).lower() if isinstance(word, bool) else str(word) for word in words)]
    return kinds[0] if len(kinds) == 1 and kinds[0] in (bool, int, float) else str


def _names(field: FieldInfo) -> list[str]:
    """What may stand there, where the field lists it."""
    extra = field.json_schema_extra
    listed = extra.get("enum") if isinstance(extra, dict) else None
    return [str(name) for name in listed] if isinstance(listed, list) else []


def _those_like(names: Sequence[str]) -> Suggest:
    """Suggests those with what has been typed in them, where they are too many to be listed."""

    async def suggested(_: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        like = [name for name in names if typed.strip().lower() in name]
        return [app_commands.Choice(name=name, value=name) for name in like[:MOST_CHOICES]]

    return suggested


def _kinds(annotation: Any) -> list[Any]:
    """The kinds of value that may stand there, without None."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if annotation is NoneType:
        return []
    if get_origin(annotation) in (Literal, list, tuple) or not get_args(annotation):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _kinds(part)]


def _described(name: str, field: FieldInfo) -> str:
    return _short(field.description or name.replace("_", " "))


def _short(text: str) -> str:
    return textwrap.shorten(" ".join(text.split()), LONGEST_DESCRIPTION, placeholder="…")
