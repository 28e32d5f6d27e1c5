"""What stands in the menu of a message: *Correct this reply*."""

from typing import Any, Protocol

import discord
from discord import app_commands

from chorus.gateway.commands.replies import THIS, Form, Problem

CORRECT = "Correct this reply"
FORM = Form(CORRECT, "What should it have said?", THIS)
NOT_OURS = Problem("not_our_reply", "Only what I said can be corrected. Open the menu of a reply of mine.")


class Asks(Protocol):
    """Who asks for a form's words."""

    async def asked_for_words(
        self, interaction: discord.Interaction[Any], line: str, form: Form, about: discord.Message | None
    ) -> None:
        """Ask for them, and run the line with them. `about` is the message that the form is about."""
        ...


def menus() -> list[app_commands.ContextMenu]:
    """All of them."""
    return [app_commands.ContextMenu(name=CORRECT, callback=_correct)]


async def _correct(interaction: discord.Interaction[Any], message: discord.Message) -> None:
    us = interaction.client.user
    if us is None or message.author.id != us.id:
        await interaction.response.send_message(NOT_OURS.line, ephemeral=True)
        return
    asks: Asks = interaction.client  # pyright: ignore[reportAssignmentType] - ours alone has menus
    await asks.asked_for_words(interaction, f"!correct {message.id}", FORM, message)
