"""The gateway's settings."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from chorus.common.contracts.consent import Mode
from chorus.common.contracts.wire import MIB
from chorus.common.settings import CommonSettings


class GatewaySettings(CommonSettings):
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
    """Folder for what may be lost: the console's history."""
    discord_token: SecretStr | None = None
    """Token of a Discord bot; with it, Chorus is on Discord."""
    discord_api: str = Field(default="https://discord.com/api/v10", pattern=r"^https?://[^\s/]+")
    """Discord's API, or a proxy in front of it that keeps its limits. The token is sent there."""
    discord_gateway: str = Field(default="wss://gateway.discord.gg/", pattern=r"^wss?://[^\s/]+")
    """Where Discord tells what is said, or a proxy in front of it. The token is sent there, too."""
    discord_cdn: str = Field(default="https://cdn.discordapp.com", pattern=r"^https?://[^\s/]+")
    """Where Discord keeps attached files; they are read from nowhere else."""
    discord_edit_every: float = Field(default=1.2, ge=0.1)
    """Seconds between edits in one channel; Discord takes about five in five seconds."""

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
