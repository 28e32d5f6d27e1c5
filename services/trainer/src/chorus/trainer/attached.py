"""A child's end: how a program that does one heavy thing is attached to the process that started it.

    python -m chorus.trainer.<program> ORDER.json     does that order, and ends
    python -m chorus.trainer.<program>                does each order that is named on its standard input

The second one imports once what takes most of a small order's time (a second of a core for curation, five
for training) and forks itself for each order. What people hand over is read in the fork alone, and nothing
of it is left for the next.

Standard input is the lifeline: its end is the parent's, however it died. A line in it names an order or,
while one is done, asks for a pause.
"""

import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from chorus.common.contracts.wire import now

PAUSE = b"pause"
ENDED = b"ended "
"""Begins the line after the last one of an order, on both outputs; the fork's exit code follows."""


def run(main: Callable[[Path], int]) -> int:
    """The program itself: one order, or one after the other. Returns the exit code."""
    if len(sys.argv) > 1:
        return main(Path(sys.argv[1]))
    gc.collect()
    gc.freeze()  # what is imported stays: a collection in a fork would only copy its pages
    while line := _line():
        if line != PAUSE:  # it came after the end of what it was meant for
            _tell_end(_forked(main, Path(os.fsdecode(line))))
    return 0


def attached() -> tuple[Callable[[BaseModel], None], threading.Event]:
    """In a child: end when the parent does, keep what libraries print for the log.

    Returns how to tell, and an event that is set when the parent asks for a pause. Of several ranks only
    the first one tells; and only one of them, any, sees that a pause is asked for.
    """
    asked = threading.Event()
    threading.Thread(target=_obey, args=(asked,), daemon=True).start()
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    one_at_a_time = threading.Lock()
    tells = os.environ.get("RANK", "0") == "0"  # as torchrun numbers them

    def tell(report: BaseModel) -> None:
        if tells:
            with one_at_a_time:
                print(report.model_dump_json(exclude_none=True), file=reports, flush=True)

    return tell, asked


def end_at(until: datetime) -> None:
    """In a child: end then, in whatever it does, and whether the parent is awake or not."""
    ending = threading.Timer((until - now()).total_seconds(), os._exit, (1,))
    ending.daemon = True
    ending.start()


def _forked(main: Callable[[Path], int], order: Path) -> int:
    """Do it in a fork; its exit code, negative for a signal."""
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        code = main(order)
    except BaseException as error:  # the fork must end here, with the traceback among its last words
        traceback.print_exception(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell_end(code: int) -> None:
    """On both outputs, so that whoever reads them knows that nothing more of this order comes.

    On a line of its own, wherever the fork was when it died.
    """
    for output in (sys.stdout, sys.stderr):
        os.write(output.fileno(), b"\n%s%d\n" % (ENDED, code))


def _line() -> bytes:
    """The next line of standard input, byte by byte: what follows it is the fork's. Empty at its end."""
    line = b""
    while byte := os.read(0, 1):
        if byte == b"\n":
            return line
        line += byte
    return b""


def _obey(asked: threading.Event) -> None:
    """A line asks for a pause, the end is the parent's."""
    while os.read(0, len(PAUSE) + 1):
        asked.set()
    os._exit(1)
