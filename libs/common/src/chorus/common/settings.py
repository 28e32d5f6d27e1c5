"""Settings come from the environment (`CHORUS_…`), an `.env` file, and a folder of secrets.

A service declares its own on top of `CommonSettings`; `load` reads them all, gathers everything that
is wrong and says it at once, setting by setting, before anything has started.
"""

import os
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from chorus.common.errors import Misconfigured

PREFIX = "CHORUS_"


class CommonSettings(BaseSettings):
    """What every service needs to know."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    nats_url: str = "nats://127.0.0.1:4222"
    """Where the bus is; several servers parted by commas."""
    nats_nkey_file: Path | None = None
    """File with this service's nkey seed. Without it the connection is anonymous."""
    nats_ca: Path | None = None
    """File with the certificate of who may sign the bus's (`ca.crt` of `chorus keys`). With it, or an address
    that starts with `tls://`, nothing is said in plain text."""

    s3_endpoint: str = "http://127.0.0.1:8333"
    """Where objects are: scheme, host and port."""
    s3_access_key: SecretStr = SecretStr("")
    """Access key id."""
    s3_secret_key: SecretStr = SecretStr("")
    """Secret access key."""
    s3_region: str = "us-east-1"
    """Region to sign for; most self-hosted servers take any."""

    health_host: str = "127.0.0.1"
    """Where /metrics, /livez and /readyz listen; 0.0.0.0 in a container."""
    health_port: int = Field(default=0, ge=0, le=65535)
    """0 takes any free port."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged."""
    log_format: Literal["json", "text"] = "json"
    """One JSON object a line for machines, or coloured text for a terminal."""
    otlp_endpoint: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    """Where traces are sent by OTLP over HTTP, as `http://collector:4318`; without it they are not sent."""

    grace: float = Field(default=20.0, ge=0)
    """Seconds that work in hand gets to finish when the service is told to stop."""


Settings = TypeVar("Settings", bound=BaseSettings)


def load(kind: type[Settings]) -> Settings:
    """Read and check all settings; raises `Misconfigured` with one line for each that is wrong."""
    try:
        return kind(_secrets_dir=os.environ.get(f"{PREFIX}SECRETS_DIR"))
    except (SettingsError, OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"Settings cannot be read: {error}. Mend {PREFIX}SECRETS_DIR or .env.") from None
    except ValidationError as error:
        lines = [
            f"{PREFIX}{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
            + ("" if problem["type"] == "missing" else f" (it is {_shown(problem['input'])})")
            for problem in error.errors(include_url=False, include_context=False)
        ]
        raise Misconfigured("Settings to mend:\n  " + "\n  ".join(lines)) from None


def bare_environment() -> dict[str, str]:
    """This process's environment without Chorus's settings: for children that need none of its secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def given_settings() -> dict[str, str]:
    """Chorus's settings as the environment has them: for children that are services."""
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}


def _shown(value: object) -> str:
    """A value as it may be shown: what looks like a secret or is long stays hidden."""
    text = str(value)
    return repr(text) if len(text) <= 40 else f"{len(text)} characters long"
