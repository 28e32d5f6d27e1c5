"""Buttons below our messages.

All that a button means stands in its id: the line that it runs, with a form's words after it. So it works
after any restart, on whatever process of ours hears of it, and nothing about it is remembered.
"""

import re
from typing import Any, Protocol

import discord

from chorus.gateway.commands.replies import THIS, Button, Form

LONGEST_ID, LONGEST_LABEL = 100, 80  # characters, as Discord has it
RUNS = "run:"
PART = "¦"  # between the line and a form's words
STYLES = {
    "plain": discord.ButtonStyle.secondary,
    "good": discord.ButtonStyle.success,
    "danger": discord.ButtonStyle.danger,
}


class Presses(Protocol):
    """Who hears of a press."""

    async def pressed(self, interaction: discord.Interaction[Any], line: str, form: Form | None) -> None:
        """Somebody pressed the button of this line, which asks for a form's words first if it has one."""
        ...


class Press(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"{RUNS}(?P<line>.+)"):
    """A button, made anew from its id when it is pressed."""

    def __init__(self, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], item: discord.ui.Item[Any], _match: re.Match[str], /
    ) -> "Press":
        """The button that was pressed."""
        assert isinstance(item, discord.ui.Button)
        return cls(item)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand its line to our client."""
        presses: Presses = interaction.client  # pyright: ignore[reportAssignmentType] - ours alone add it
        line, form = meaning(self.custom_id)
        await presses.pressed(interaction, line, form)


def below(buttons: tuple[Button, ...]) -> discord.ui.View:
    """What Discord shows below a message: five in a row; `MISSING`, which is false, without any."""
    if not buttons:
        return discord.utils.MISSING
    view = discord.ui.View(timeout=None)
    for button in buttons:
        label = button.label[:LONGEST_LABEL]
        item: discord.ui.Button[Any] = discord.ui.Button(
            style=STYLES[button.style], label=label, custom_id=identity(button)
        )
        view.add_item(Press(item))
    return view


def identity(button: Button) -> str:
    """All that a button means, in its id. Raises `ValueError` for what is too long for one."""
    form = button.form
    parts = (button.line, form.title, form.label, form.text) if form else (button.line,)
    if len(made := RUNS + PART.join(parts)) > LONGEST_ID:
        raise ValueError(f"a button's id would have {len(made)} characters: {made}")
    return made


def meaning(identity: str) -> tuple[str, Form | None]:
    """The line of such an id, and its form if it has one."""
    line, *words = identity.removeprefix(RUNS).split(PART)
    return line, Form(*words) if words else None


def on(message: int, line: str) -> str:
    """The line of a button on this message."""
    return re.sub(rf"(?<=[\s=]){THIS}(?=\s|$)", str(message), line)
