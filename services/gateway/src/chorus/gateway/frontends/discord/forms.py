"""Forms: a few words that are asked for before a line is run.

As with buttons, all that a form means stands in its id, so what is sent in after a restart is not lost.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

import discord

from chorus.gateway.commands.replies import THIS, Form
from chorus.gateway.frontends.discord.buttons import RUNS
from chorus.gateway.frontends.discord.splitting import LIMIT

LONGEST_TITLE = 45  # characters, as Discord has it; of a label, too
LONGEST_TEXT = 4000
LONG = LIMIT // 2 - 50  # characters; of a reply in several messages each but the last has more
SMALL = re.compile(r"^-# .*$", re.MULTILINE)


def form_of(line: str, form: Form, message: discord.Message | None) -> discord.ui.Modal:
    """The form whose words go at the line's end. `message` is what it is about."""
    first = form.text if form.text != THIS else words_of(message) if message else ""
    words: discord.ui.TextInput[Any] = discord.ui.TextInput(
        style=discord.TextStyle.paragraph,
        default=first[:LONGEST_TEXT] or None,
        max_length=LONGEST_TEXT,
    )
    modal = discord.ui.Modal(title=form.title[:LONGEST_TITLE], custom_id=RUNS + line)
    modal.add_item(discord.ui.Label(text=form.label[:LONGEST_TITLE], component=words))
    modal.stop()  # discord.py would keep it in memory, and lose it in a restart: `line_of` needs neither
    return modal


def words_of(message: discord.Message) -> str:
    """What a reply of ours says, but for small letters; nothing where it may be a part of a longer one."""
    answers = message.reference or message.interaction_metadata
    words = SMALL.sub("", message.content).strip()
    return words if answers and len(message.content) < LONG else ""


def line_of(interaction: discord.Interaction[Any]) -> str | None:
    """The line that a form asks us to run, if it is a form of ours that was sent in."""
    data = cast("Mapping[str, Any]", interaction.data or {})  # JSON of many kinds
    is_form = interaction.type is discord.InteractionType.modal_submit
    if not is_form or not data["custom_id"].startswith(RUNS):
        return None
    words = [component["component"]["value"] for component in data["components"]]
    return " ".join([data["custom_id"].removeprefix(RUNS), *words])
