"""The file `.env`: our settings in it are changed, and every other line stays as it is."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from dotenv import dotenv_values, set_key

from chorus.common.errors import Misconfigured


def read_env(path: Path) -> dict[str, str]:
    """Its settings; none where there is no such file."""
    return {
        name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None
    }


def write_env(path: Path, settings: Mapping[str, str]) -> None:
    """Write these settings, all or none, readable by the file's owner alone.

    Raises `Misconfigured` if that cannot be.
    """
    there = path.resolve()  # a link stays one
    try:
        with TemporaryDirectory(dir=there.parent, prefix=".env-") as folder:
            whole = Path(folder) / there.name
            if there.exists():
                shutil.copyfile(there, whole)
            whole.touch()
            whole.chmod(0o600)
            for name, value in settings.items():
                set_key(whole, name, value, quote_mode="auto")
            whole.replace(there)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be written ({error.strerror}).") from None
