"""`!help`: what can be asked for, with examples. Written from the table, so it is never out of date."""

from collections.abc import Iterable, Mapping

from pydantic import Field

from chorus.common.contracts.datasets import BuildOptions
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.options import SHARED, BuildParameters, explained
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.replies import Card

ONLY_MENTIONED = "In a server mention me before a command (@me !jobs), or type / in place of !. "
OPTIONS = "options"
"""The word that asks for the options of a build, which several commands share."""


class Help(Parameters):
    """What `!help` takes."""

    command: str | None = Field(
        default=None, description="the command to explain; or a group of them, with examples"
    )


def overview(groups: Mapping[str, Iterable[Command]], *, overhears: bool = True) -> Card:
    """All commands, group by group, a line each; and how they are given where not all lines are heard."""
    rows: list[tuple[str, str]] = []
    for title, commands in groups.items():
        lines = [(command.usage, command.summary) for command in commands]
        rows += [(title.upper(), f"with examples: !help {title}"), *lines] if lines else []
    return Card(
        "Commands",
        ("say", "to"),
        rows,
        ("" if overhears else ONLY_MENTIONED)
        + "Anything else is said to the model. More: !help train. What can be chosen here: !settings",
    )


def of_group(title: str, commands: Iterable[Command]) -> Card:
    """The commands of one group, each with an example."""
    rows = [
        (command.usage, command.summary, f"e.g. {command.examples[0]}" if command.examples else "")
        for command in commands
    ]
    return Card(title.capitalize(), ("say", "to", ""), rows, "All about one of them: !help train")


def in_full(command: Command) -> str:
    """One command in full: usage, what it does, options, examples."""
    builds = issubclass(command.parameters, BuildParameters)
    own = set(command.parameters.model_fields) - {command.text_field} - (SHARED if builds else set())
    shared = [f"  and how the data is read and built: !help {OPTIONS}"] if builds else []
    examples = [f"  e.g. {example}" for example in command.examples]
    return "\n".join(
        [
            f"{command.usage}: {command.summary}",
            *explained(command.parameters, frozenset(own)),
            *shared,
            *examples,
        ]
    )


def build_options() -> str:
    """The options that all commands share which build a dataset."""
    title = "How data is read and built, for !train, !import, !build and !mine:"
    return "\n".join([title, *explained(BuildOptions, SHARED)])
