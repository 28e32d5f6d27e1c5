"""The file `.env`: our settings in it are changed, and every other line stays as it is."""

from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values, set_key

from chorus.common.errors import Misconfigured


def read_env(path: Path) -> dict[str, str]:
    """Its settings; none where there is no such file."""
    return {
        name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None
    }


def write_env(path: Path, settings: Mapping[str, str]) -> None:
    """Write these settings, readable by the file's owner alone. Raises `Misconfigured` if that cannot be."""
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)  # before anything secret is in it
        for name, value in settings.items():
            set_key(path, name, value, quote_mode="auto", follow_symlinks=True)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be written ({error.strerror}).") from None
