"""`status`, `backup` and `restore` on the command line; `doctor` is the gateway's, which knows Discord.

chorus status [--json]
chorus backup FOLDER|FILE.tar
chorus restore FILE.tar [--over]
"""

import argparse
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chorus.common.bus.connection import Connection
from chorus.common.errors import NotPermitted
from chorus.common.objects import open_store
from chorus.common.operations.access import OPERATOR, PROVISIONER, connected, settings_for, user_of
from chorus.common.operations.backup import backup
from chorus.common.operations.restore import restore
from chorus.common.operations.screenful import screenful, size
from chorus.common.operations.status import as_json, status
from chorus.common.settings import CommonSettings

SHOWN = 10  # names

Work = Callable[[Sequence[str]], Coroutine[Any, Any, int]]


async def status_command(words: Sequence[str]) -> int:
    """Print what runs, what waits and what is kept; 1 where a service or an answer is missing."""
    parser = argparse.ArgumentParser("chorus status", description="What runs, what waits, what is kept.")
    parser.add_argument("--json", action="store_true", help="for programs")
    as_program = parser.parse_args(words).json
    settings = settings_for(OPERATOR)
    async with _connected(settings, OPERATOR) as connection:
        found = await status(connection, open_store(settings, patient=False))
    if (user := user_of(settings)) != OPERATOR:
        _tell(f"{settings.nats_nkey_file} is the key of {user}, who may look at less than {OPERATOR}.")
    print(as_json(found) if as_program else screenful(found))
    return 1 if found.troubles or found.missing else 0


async def backup_command(words: Sequence[str]) -> int:
    """Write a backup."""
    parser = argparse.ArgumentParser("chorus backup", description="Copy all that is kept into one file.")
    parser.add_argument(
        "place", type=Path, metavar="FOLDER|FILE.tar", help="a folder, or the new file's name"
    )
    place = parser.parse_args(words).place
    settings = settings_for(OPERATOR)
    async with _connected(settings, OPERATOR) as connection:
        path, manifest = await backup(connection, open_store(settings), place, _tell)
    told = f"{len(manifest.streams)} streams and {len(manifest.objects)} objects, {size(path.stat().st_size)}"
    print(f"{path}: {told}. Whoever can read it reads what people have said.")
    return 0


async def restore_command(words: Sequence[str]) -> int:
    """Bring a backup back."""
    parser = argparse.ArgumentParser("chorus restore", description="Bring a backup back.")
    parser.add_argument("file", type=Path, metavar="FILE.tar")
    parser.add_argument("--over", action="store_true", help="although something is there already")
    given = parser.parse_args(words)
    settings = settings_for(PROVISIONER)
    async with _connected(settings, PROVISIONER) as connection:
        done = await restore(connection, open_store(settings), given.file, _tell, over=given.over)
    for name in done.gone[:SHOWN]:
        print(f"! {name} was deleted while the backup was made.")
    print(
        f"All is back as it was at {done.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC. What people have had "
        "deleted since then is back, too: have it deleted again (docs/operations.md)."
    )
    return 0


COMMANDS: dict[str, Work] = {"status": status_command, "backup": backup_command, "restore": restore_command}


@asynccontextmanager
async def _connected(settings: CommonSettings, wanted: str) -> AsyncGenerator[Connection]:
    """A connection as whom the key's file is named after, else as `wanted`. Raises `NotPermitted`.

    The inbox shows whose key it is: without one of its own, a user waits for answers in vain.
    """
    try:
        async with connected(settings, user_of(settings, wanted)) as connection:
            await (await connection.listen(connection.new_inbox())).unsubscribe()
            yield connection
    except NotPermitted as refused:
        if refused.code != "bus_not_permitted":  # S3's key is another one
            raise
        raise NotPermitted(
            f"{refused.message} CHORUS_NATS_NKEY_FILE is {settings.nats_nkey_file}: this needs the key of "
            f"{wanted}, in a file that is called after its user.",
            code=refused.code,
        ) from None


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
