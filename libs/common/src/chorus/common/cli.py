"""The `chorus` command: `init` and `up` for one machine, `provision` for servers of one's own.

chorus init        set Chorus up in this folder: asks, checks, writes `.env`, prints the bot's invite link
chorus forge export.json   from data to a model that talks: imports, trains, then a talk with it
chorus up          start everything here, attach the console, stop everything when it ends
chorus console     one more console for what runs here: to cancel a training that the first one watches, say
chorus provision   make the streams, consumers and buckets that the services need
chorus doctor      is all well here? Says what is not, why, and what to do (--json)
chorus status      what runs, what waits, what is kept (--json)
chorus backup FOLDER|FILE.tar · chorus restore FILE.tar [--over]
chorus keys FOLDER [--hosts a,b] [--renew]   make the keys and certificates of a deployment

Every other word is a command of the console, run once for what runs here. The exit code says whether it
worked.

chorus import export.json --name club
chorus train --text-file notes.txt -d club --epochs 3 --save-path my-model --interactive
chorus jobs | job | logs | pause | resume | cancel
chorus models | models export | models merge | models push
chorus ask "When do you open?"     into a pipe goes the answer alone; `chorus ask -` reads standard input
chorus play -d harbour -t session|prompt -p "Is the ice thick?" -mt best|final
chorus test --file records.json    ask many questions, and count the right answers; then chorus errors
chorus datasets | dataset | preview | archive | select-dataset | delete-dataset | privacy | …
chorus help        list all of them
chorus preprocess -d 1   read a folder as selfchatbot has them: $selfChatBot_raw/Dataset_1_…
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from chorus.common.errors import ChorusError
from chorus.common.local.console import join
from chorus.common.local.folder import DataFolder
from chorus.common.local.screen import Screen
from chorus.common.local.stack import StackSettings, running
from chorus.common.operations import cli as operations
from chorus.common.provision import ProvisionSettings, provision
from chorus.common.settings import PREFIX, load
from chorus.common.telemetry.logging import configure

INTERRUPTED = 130  # what shells report for Ctrl-C
USAGE_ERROR = 2  # what they expect of a command line that makes no sense


async def _up(words: Sequence[str] = ()) -> int:
    """Bring the stack up, run the console or one command, take the stack down."""
    screen = Screen()
    _stop_on_signals(screen)
    try:
        settings = load(StackSettings)
        async with running(settings, screen) as stack:
            screen.table(stack.summary(), stack.notes())
            return await stack.console(words)
    except ChorusError as error:
        screen.failed(error.message)
        return error.status if error.status < 256 else 1


def _stop_on_signals(screen: Screen) -> None:
    """The first signal begins the end of this task; a second one must not cut that short."""
    running = asyncio.current_task()
    assert running is not None

    def stop() -> None:
        if screen.is_stopping or running.cancelling():
            screen.notice("Chorus is stopping already; give it a few seconds.")
        else:
            running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)


async def _console() -> int:
    return await join(load(StackSettings).data)


async def _forge(words: Sequence[str]) -> int:
    """For what runs here; where nothing runs, everything is started for it, and stopped after it."""
    if DataFolder(load(StackSettings).data).is_held():
        return await join(load(StackSettings).data, words)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--base")
    if base := parser.parse_known_args(words)[0].base:
        os.environ[f"{PREFIX}BASE_MODEL"] = base
    return await _up(words)


async def _provision() -> int:
    settings = load(ProvisionSettings)
    await provision(settings)
    print("Streams, consumers and buckets are as this version needs them.")
    return 0


async def _keys(words: Sequence[str]) -> int:
    from chorus.common.local.deployment import keys_command  # here: cryptography is slow to load

    print(*keys_command(words), sep="\n")
    return 0


INIT, FORGE, KEYS = "init", "forge", "keys"
OF_THE_GATEWAY = (INIT, "doctor")  # which knows Discord; before there are settings that could be read
FORGE_USAGE = """chorus forge FILE [more files] [--name main] [--base MODEL] [--question "…"]
chorus forge --mine SERVER [--channel "#general"] [--since 2026-01-31] [the same]
Imports the files, or reads what people who opted in have said in a server on Discord; trains on that, and
talks with what came of it. Options of `chorus train` may follow."""
COMMANDS = {"up": _up, "console": _console, "provision": _provision}


def main() -> int:
    """Entry point of the `chorus` command."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if words else USAGE_ERROR
    if words[0] in COMMANDS and len(words) > 1:
        print(f"`chorus {words[0]}` takes nothing, but there is {words[1]!r}.", file=sys.stderr)
        return USAGE_ERROR
    if words[0] == FORGE and (len(words) == 1 or {"-h", "--help"} & set(words)):
        print(FORGE_USAGE)
        return 0 if len(words) > 1 else USAGE_ERROR
    if words[0] in OF_THE_GATEWAY:
        os.execv(sys.executable, [sys.executable, "-m", "chorus.gateway", *words])  # noqa: S606 - ourselves
    configure("chorus", "warning", "text")
    try:
        return asyncio.run(_chosen(words))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except ChorusError as error:
        print(error.message, file=sys.stderr)
        return 1


def _chosen(words: Sequence[str]) -> Coroutine[Any, Any, int]:
    """One of ours, or the gateway's."""
    if words[0] in COMMANDS:
        return COMMANDS[words[0]]()
    if words[0] == FORGE:
        return _forge(words)
    if words[0] == KEYS:
        return _keys(words[1:])
    if words[0] in operations.COMMANDS:
        return operations.COMMANDS[words[0]](words[1:])
    return join(load(StackSettings).data, words)


if __name__ == "__main__":
    sys.exit(main())
