"""What stands in the menu of a message: *Correct this reply*."""

from typing import Any

import discord
from discord import app_commands

from chorus.gateway.commands.replies import THIS, Form
from chorus.gateway.frontends.discord.forms import form_of

CORRECT = "Correct this reply"
FORM = Form(CORRECT, "What should it have said?", THIS)
NOT_OURS = "✗ Only what I said can be corrected. Open the menu of a reply of mine. [not_our_reply]"


def menus() -> list[app_commands.ContextMenu]:
    """All of them."""
    return [app_commands.ContextMenu(name=CORRECT, callback=_correct)]


async def _correct(interaction: discord.Interaction[Any], message: discord.Message) -> None:
    us = interaction.client.user
    if us is None or message.author.id != us.id:
        await interaction.response.send_message(NOT_OURS, ephemeral=True)
        return
    await interaction.response.send_modal(form_of(f"!correct {message.id}", FORM, message))
