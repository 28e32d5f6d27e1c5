"""The `chorus` command: `up` for one machine, `provision` for servers of one's own.

chorus up          start everything here, attach the console, stop everything when it ends
chorus provision   make the streams, consumers and buckets that the services need
"""

import argparse
import asyncio
import signal
import sys

from chorus.common.errors import ChorusError
from chorus.common.local.screen import Screen
from chorus.common.local.stack import StackSettings, running
from chorus.common.provision import ProvisionSettings, provision
from chorus.common.settings import load
from chorus.common.telemetry.logging import configure

INTERRUPTED = 130  # what shells report for Ctrl-C


async def _up() -> int:
    """Bring the stack up, run the console, take the stack down."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _cancel_all)
    screen = Screen()
    try:
        settings = load(StackSettings)
        async with running(settings, screen) as stack:
            screen.table(stack.summary(), stack.notes())
            return await stack.console()
    except ChorusError as error:
        screen.failed(error.message)
        return error.status if error.status < 256 else 1
    finally:
        screen.stopped()


def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


async def _provision() -> int:
    settings = load(ProvisionSettings)
    await provision(settings)
    print("Streams, consumers and buckets are as this version needs them.")
    return 0


COMMANDS = {"up": _up, "provision": _provision}


def main() -> int:
    """Entry point of the `chorus` command."""
    parser = argparse.ArgumentParser(
        prog="chorus", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    command = COMMANDS[parser.parse_args().command]
    configure("chorus", "warning", "text")
    try:
        return asyncio.run(command())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except ChorusError as error:
        print(error.message, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
