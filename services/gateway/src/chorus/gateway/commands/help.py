"""`!help`: what can be asked for, with examples. Written from the table, so it is never out of date."""

from collections.abc import Iterable

from pydantic import Field

from chorus.gateway.commands.command import Command
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.replies import Card


class Help(Parameters):
    """What `!help` takes."""

    command: str | None = Field(default=None, description="the command to explain")


def overview(commands: Iterable[Command]) -> Card:
    """All commands, a line each."""
    rows = [(command.usage, command.summary) for command in commands]
    return Card("Commands", ("say", "to"), rows, "Anything else is said to the model. More: !help train")


def explained(command: Command) -> str:
    """One command in full: usage, what it does, options, examples."""
    options = [
        f"  {name}=   {field.description}"
        for name, field in command.parameters.model_fields.items()
        if name != command.text_field
    ]
    examples = [f"  e.g. {example}" for example in command.examples]
    return "\n".join([f"{command.usage}: {command.summary}", *options, *examples])
