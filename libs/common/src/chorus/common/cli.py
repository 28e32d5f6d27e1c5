"""The `chorus` command: `up` for one machine, `provision` for servers of one's own.

chorus up          start everything here, attach the console, stop everything when it ends
chorus console     one more console for what runs here: to cancel a training that the first one watches, say
chorus provision   make the streams, consumers and buckets that the services need
"""

import argparse
import asyncio
import signal
import sys

from chorus.common.errors import ChorusError
from chorus.common.local.console import join
from chorus.common.local.screen import Screen
from chorus.common.local.stack import StackSettings, running
from chorus.common.provision import ProvisionSettings, provision
from chorus.common.settings import load
from chorus.common.telemetry.logging import configure

INTERRUPTED = 130  # what shells report for Ctrl-C


async def _up() -> int:
    """Bring the stack up, run the console, take the stack down."""
    screen = Screen()
    _stop_on_signals(screen)
    try:
        settings = load(StackSettings)
        async with running(settings, screen) as stack:
            screen.table(stack.summary(), stack.notes())
            return await stack.console()
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


async def _provision() -> int:
    settings = load(ProvisionSettings)
    await provision(settings)
    print("Streams, consumers and buckets are as this version needs them.")
    return 0


COMMANDS = {"up": _up, "console": _console, "provision": _provision}


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
