"""The gateway's settings."""

from pathlib import Path

from pydantic import Field

from chorus.common.settings import CommonSettings


class GatewaySettings(CommonSettings):
    """What the gateway needs to know beside what every service does."""

    console: bool = False
    """Whether to talk in this terminal."""
    max_upload: int = Field(default=25 * 1024 * 1024, ge=1024)
    """Bytes of a file that may be handed over."""
    cache: Path = Path(".chorus/cache")
    """Folder for what may be lost: the console's history."""
