"""A command: its name, its parameters, what it does, and how to explain it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from chorus.common.contracts.guild import Right
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.replies import Reply

Run = Callable[[Context, Any], Awaitable[Reply]]
"""Takes the command's own parameters; `table.run` has just read them as such."""


@dataclass(frozen=True)
class Command:
    """One line of the table."""

    name: str
    run: Run
    parameters: type[Parameters]
    text_field: str | None
    """The parameter that takes the text after the command."""
    usage: str
    summary: str
    examples: tuple[str, ...] = ()
    right: Right | None = "chat"
    """What one needs to use it; None is for everybody, always."""
    here: bool = False
    """Whether it stays in its channel: then it is enough to have the right there (`rights.allowed`)."""
    reads: bool = False
    """Whether a model is told what it says: then texts that come with it are read (`Context.told`)."""
