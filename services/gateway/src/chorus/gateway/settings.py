"""The gateway's settings."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings
from yarl import URL

from chorus.common.contracts.consent import Mode
from chorus.common.contracts.wire import MIB
from chorus.common.settings import CommonSettings

DISCORDS = ("discord.com", "discord.gg", "discordapp.com", "discord.media", "discordapp.net")
SHARDS = re.compile(r"(\d+)(?:-(\d+))?/(\d+)")


@dataclass(frozen=True)
class Shards:
    """Which connections to Discord are this process's, of so many."""

    ids: range
    count: int


class DiscordSettings(BaseSettings):
    """How Chorus is on Discord."""

    model_config = CommonSettings.model_config

    discord_token: SecretStr | None = None
    """Token of a Discord bot; with it, Chorus is on Discord."""
    discord_intents: Literal["minimal", "messages"] = "messages"
    """What the bot may read: `messages` all that is said (Message Content Intent, to be switched on at
    discord.com/developers, page Bot), `minimal` mentions, direct messages, slash commands and menus."""
    discord_shards: str = "auto"
    """This process's connections to Discord: `auto` all of them, `0-3/16` the first four of sixteen; other
    processes have the others."""
    discord_status: str = Field(default="", max_length=128)
    """What stands below the bot's name."""
    discord_elsewhere: bool = False
    """Whether the addresses below may be others than Discord's own and this machine's. The token is sent
    there."""
    discord_api_base: str = Field(default="https://discord.com/api/v10", pattern=r"^https?://[^\s/]+")
    """Discord's API, or a proxy in front of it that keeps its limits. The token is sent there."""
    discord_gateway_url: str = Field(default="wss://gateway.discord.gg/", pattern=r"^wss?://[^\s/]+")
    """Where Discord tells what is said, or a proxy in front of it. The token is sent there, too."""
    discord_cdn: str = Field(default="https://cdn.discordapp.com", pattern=r"^https?://[^\s/]+")
    """Where Discord keeps attached files; they are read from nowhere else."""
    discord_edit_every: float = Field(default=1.2, ge=0.1)
    """Seconds between edits in one channel; Discord takes about five in five seconds."""
    discord_requests: int = Field(default=40, ge=1)
    """Requests a second at most; Discord takes 50 of a bot, from all its processes together."""

    @property
    def shards(self) -> Shards | None:
        """The shards that are named; None is all, as many as Discord wants."""
        found = SHARDS.fullmatch(self.discord_shards)
        if found is None:
            return None
        first, last, count = int(found[1]), int(found[2] or found[1]), int(found[3])
        return Shards(range(first, last + 1), count)

    @field_validator("discord_shards")
    @classmethod
    def _shards_are_there(cls, value: str) -> str:
        """`auto`, `3/16` or `0-3/16`."""
        found = SHARDS.fullmatch(value)
        if value != "auto" and not (found and int(found[1]) <= int(found[2] or found[1]) < int(found[3])):
            raise ValueError("say `auto`, or which of how many, counted from 0: `0-3/16`")
        return value

    @field_validator("discord_api_base", "discord_gateway_url", "discord_cdn")
    @classmethod
    def _is_discord(cls, value: str, info: ValidationInfo) -> str:
        """Whoever is at these addresses gets the token, or what people hand over."""
        host = URL(value).host or ""
        if _is_loopback(host):
            return value
        if URL(value).scheme not in ("https", "wss"):
            raise ValueError("outside this machine it has to be https:// or wss://")
        ours = any(host == name or host.endswith(f".{name}") for name in DISCORDS)
        if not ours and not info.data.get("discord_elsewhere"):
            raise ValueError("this is not Discord; if it is meant, set CHORUS_DISCORD_ELSEWHERE=true")
        return value


class GatewaySettings(CommonSettings, DiscordSettings):
    """What the gateway needs to know beside what every service does."""

    console: bool = False
    """Whether to talk in this terminal."""
    max_upload: int = Field(default=25 * MIB, ge=1024)
    """Bytes of a file that may be handed over on Discord, or as a recording."""
    max_local_upload: int = Field(default=8192 * MIB, ge=1024)
    """Bytes of a file on one's own disk that the console and the command line hand over."""
    public_s3_endpoint: str | None = Field(default=None, pattern=r"^https?://[^\s/]+$")
    """Where everybody reaches the object store: files too large to attach come as links for an hour."""
    train_on_messages: Mode = "submitted"
    """What is learned from messages on Discord: `off` nothing, `submitted` what people hand over on purpose,
    `permitted` also the history of channels, of people who opted in; that needs Discord's permission."""
    train_permission: str = Field(default="", max_length=200)
    """Reference of Discord's permission to train on messages; needed where they are `permitted`."""
    cache: Path = Path(".chorus/cache")
    """Folder for what may be lost: the console's history, and which commands Discord was told of."""

    @field_validator("train_permission")
    @classmethod
    def _permission_is_named(cls, value: str, info: ValidationInfo) -> str:
        """Discord's Developer Policy asks for it: without a reference nobody can look it up."""
        if info.data.get("train_on_messages") == "permitted" and not value.strip():
            raise ValueError("CHORUS_TRAIN_ON_MESSAGES=permitted needs the reference of Discord's permission")
        return value.strip()

    @field_validator("discord_token", "public_s3_endpoint", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        """Compose files and shells hand an unset variable on as an empty one."""
        return (value.strip() or None) if isinstance(value, str) else value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
