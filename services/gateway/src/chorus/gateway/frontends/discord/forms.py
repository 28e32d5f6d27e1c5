"""Forms: a few words that are asked for before a line is run.

As with buttons, all that a form means stands in its id, so what is sent in after a restart is not lost.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

import discord

from chorus.common.errors import ChorusError
from chorus.gateway.commands.ports import Replies
from chorus.gateway.commands.replies import Form
from chorus.gateway.frontends.discord.buttons import RUNS
from chorus.gateway.frontends.discord.origin import tenant
from chorus.gateway.frontends.discord.splitting import LIMIT

LONGEST_TITLE = 45  # characters, as Discord has it; of a label, too
LONGEST_TEXT = 4000
LONG = LIMIT // 2 - 50  # characters; of a reply in several messages each but the last has more
SMALL = re.compile(r"^-# .*$", re.MULTILINE)


def form_of(line: str, form: Form, first: str) -> discord.ui.Modal:
    """The form whose words go at the line's end; `first` stands there at first, unless it is too long.

    A part of it would be handed in as if it were all.
    """
    words: discord.ui.TextInput[Any] = discord.ui.TextInput(
        style=discord.TextStyle.paragraph,
        default=first if 0 < len(first) <= LONGEST_TEXT else None,
        max_length=LONGEST_TEXT,
    )
    modal = discord.ui.Modal(title=form.title[:LONGEST_TITLE], custom_id=RUNS + line)
    modal.add_item(discord.ui.Label(text=form.label[:LONGEST_TITLE], component=words))
    modal.stop()  # discord.py would keep it in memory, and lose it in a restart: `line_of` needs neither
    return modal


class Words:
    """What a reply of ours says, as it was answered: it may stand in several messages."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies

    async def of(self, interaction: discord.Interaction[Any], message: discord.Message) -> str:
        """All of the answer that is kept of this message; otherwise what can be read in it."""
        try:
            guild = tenant(interaction.guild_id, interaction.user.id)
            record = await self._replies.find(guild, str(message.id))
        except ChorusError:  # nothing is lost: whoever corrects sees the message
            record = None
        return record.text.strip() if record else words_of(message)


def words_of(message: discord.Message) -> str:
    """What a reply of ours says, but for small letters; nothing where it may be a part of a longer one.

    Buttons are below the last message alone, and only the first one answers another.
    """
    answers = message.reference or message.interaction_metadata
    is_whole = bool(message.components) or len(message.content) < LONG
    return SMALL.sub("", message.content).strip() if answers and is_whole else ""


def line_of(interaction: discord.Interaction[Any]) -> str | None:
    """The line that a form asks us to run, if it is a form of ours that was sent in."""
    data = cast("Mapping[str, Any]", interaction.data or {})  # JSON of many kinds
    is_form = interaction.type is discord.InteractionType.modal_submit
    if not is_form or not data["custom_id"].startswith(RUNS):
        return None
    words = [component["component"]["value"] for component in data["components"]]
    return " ".join([data["custom_id"].removeprefix(RUNS), *words])
