"""The gateway's console in this terminal: the one that `chorus up` opens, or one more beside it.

Or, in place of a console, a gateway that runs one command and ends.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from chorus.common.errors import Misconfigured, Unavailable
from chorus.common.local.folder import DataFolder
from chorus.common.local.keys import store_secret
from chorus.common.local.process import die_with_parent, own_words
from chorus.common.service import LASTING
from chorus.common.settings import PREFIX

STOP_WITHIN = 25.0  # seconds; the console's process may be on Discord, too, and finishes its answers there


async def start_console(
    environment: Mapping[str, str], log: Path, words: Sequence[str] = ()
) -> asyncio.subprocess.Process:
    """Start it; with `words`, a command and what it takes, only that is run.

    It stays in our process group: Ctrl-C reaches both, and both know what to do.
    """
    with log.open("wb") as errors:
        return await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "chorus.gateway", *words],
            stderr=errors,
            env={**os.environ, **environment, f"{PREFIX}CONSOLE": "true"},
            preexec_fn=die_with_parent(os.getpid()),
        )


async def end_console(child: asyncio.subprocess.Process) -> None:
    """It ends by itself on Ctrl-C and at the end of its input; otherwise it is asked to."""
    if child.returncode is None:
        child.terminate()
        try:
            await asyncio.wait_for(child.wait(), STOP_WITHIN)
        except TimeoutError:
            child.kill()
            await child.wait()


def environment_of(data: Path, user: str = "gateway") -> dict[str, str]:
    """What one more gateway, or another `user`, needs to know of the stack on this data.

    Raises `Unavailable` when none runs.
    """
    folder = DataFolder(data)
    try:
        where = json.loads(folder.stack.read_text()) if folder.is_held() else None
    except FileNotFoundError:  # it is starting, or stopping
        where = None
    if where is None:
        raise Unavailable(f"No Chorus runs on {folder.root}. Start it with `make run`.", code="not_running")
    settings = {
        "NATS_URL": where["nats"],
        "NATS_NKEY_FILE": str(folder.keys / f"{user}.nk"),
        "S3_ENDPOINT": where["s3"],
        "S3_ACCESS_KEY": user,
        "S3_SECRET_KEY": store_secret(folder.keys, user),
        "CACHE": str(folder.cache),
        "DISCORD_TOKEN": "",  # the first one is on Discord already
    }
    return {f"{PREFIX}{name}": value for name, value in settings.items()}


async def join(data: Path, words: Sequence[str] = ()) -> int:
    """One more console, or one command, for the stack that runs on this data; returns its exit code.

    Raises `Unavailable` when none does, `Misconfigured` when it cannot start.
    """
    environment = environment_of(data)
    if words:  # a command is on Discord with nobody; `chorus forge --mine` reads there
        del environment[f"{PREFIX}DISCORD_TOKEN"]
    folder = DataFolder(data)
    log = folder.logs / ("command.log" if words else "console.log")
    child = await start_console(environment, log, words)
    try:
        code = await child.wait()
    finally:
        await end_console(child)
    return explained(code, log)


def explained(code: int, log: Path) -> int:
    """The exit code of a gateway that wrote this log. Raises `Misconfigured` where it could not begin."""
    if code in LASTING:
        raise Misconfigured(
            own_words("gateway", log) or f"The gateway ended with exit code {code}: see {log}."
        )
    return code
