"""All that Discord lists of us, slash commands and menus. It is told only of changes: it counts how often."""

import hashlib
import json
from pathlib import Path
from typing import Any

import discord
import structlog
from discord import app_commands

from chorus.gateway.commands.replies import Problem
from chorus.gateway.commands.rows import COMMANDS
from chorus.gateway.frontends.discord.failures import FAILURES, reason
from chorus.gateway.frontends.discord.menus import menus
from chorus.gateway.frontends.discord.slash import FilledIn, slash

TOLD = "discord-commands.json"  # in the cache: for each application a hash of what Discord was told
UNKNOWN = Problem(
    "changed_command", "This command has changed. Restart Discord, and it is there as it is now."
)

log = structlog.get_logger()


def tree_of(client: discord.Client, filled_in: FilledIn) -> app_commands.CommandTree[Any]:
    """All of the table, and the menus."""
    tree: app_commands.CommandTree[Any] = app_commands.CommandTree(client)
    for command in (*(slash(command, filled_in) for command in COMMANDS.values()), *menus()):
        tree.add_command(command)
    tree.error(_failed)
    return tree


async def register(tree: app_commands.CommandTree[Any], cache: Path) -> None:
    """Tell Discord what there is, if that is not what it was told last. Without it, lines work as ever."""
    application = str(tree.client.application_id)
    listed = [command.to_dict(tree) for command in tree.get_commands()]
    digest = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()
    told = _told(cache / TOLD)
    if told.get(application) == digest:
        return
    try:
        await tree.sync()
    except FAILURES as error:
        log.warning("slash commands are not registered", error=reason(error))
        return
    _note(cache / TOLD, {**told, application: digest})


def _note(path: Path, told: dict[str, str]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told))
    except OSError as error:  # then Discord is told once more after a restart
        log.warning("what Discord was told is not noted", file=str(path), error=str(error))


def _told(path: Path) -> dict[str, str]:
    """What is lost or broken is told again."""
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


async def _failed(interaction: discord.Interaction[Any], error: app_commands.AppCommandError) -> None:
    """A command that Discord lists, and we do not know so; or a fault of ours."""
    known = not isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch)
    log.warning("slash command failed", error=str(error), exc_info=error if known else None)
    if not known and not interaction.response.is_done():
        await interaction.response.send_message(UNKNOWN.line, ephemeral=True)
