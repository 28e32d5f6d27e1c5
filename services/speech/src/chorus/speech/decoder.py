"""A process that stands by, and forks itself for each audio file, to make samples of it.

    python -m chorus.speech.decoder        told and telling as `voice.tasks` has it

The file comes from a stranger, and decoders are large and written in C. So the fork has no keys, little
memory and little time, and before it looks into the file it takes from itself the means to open anything: no
other file, no connection, no process. It answers into a pipe of its own, and what it said is passed on when
it has ended: nothing of one file can pass for another's answer. What stands by has seen no file, and saves
each of them a quarter of a second of a core, for imports.
"""

import gc
import io
import os
import resource
import signal
import sys
import traceback
from contextlib import suppress
from typing import BinaryIO

from chorus.common.errors import ChorusError
from chorus.common.local.process import die_with_parent
from chorus.speech.backends import audio
from chorus.speech.voice.sound import SAMPLE_BYTES, Sound
from chorus.speech.voice.tasks import LINE_BYTES, TOLD, DecodeTask, Done, Failed

MEMORY = 512 * 1024**2  # bytes: an hour of samples is 115 million
CPU_SECONDS = 20  # an hour of Opus takes about ten


def main() -> int:
    """Get ready, and fork for one file after another. One over which a fork breaks is the last."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the parent to act on
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is for the log
    _load()
    gc.freeze()  # what is imported stays: a collection in a fork would only copy its pages
    orders = io.FileIO(
        sys.stdin.fileno(), closefd=False
    )  # reads no further: what follows a line is the fork's
    while line := orders.readline():
        if status := forked(DecodeTask.model_validate_json(line), answers):
            return abs(status)
    return 0


def forked(task: DecodeTask, answers: BinaryIO) -> int:
    """Read the file in a fork, and answer what that says. Its exit status, negative for a signal."""
    end_with_us = die_with_parent(os.getpid())
    ours, theirs = os.pipe()
    if pid := os.fork():
        os.close(theirs)
        with os.fdopen(ours, "rb") as said:
            line, samples = said.readline(LINE_BYTES), said.read(task.most_bytes)
        if not (status := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])):
            answers.write(TOLD.validate_json(line).packed(samples))
            answers.flush()
        return status
    status = 1
    try:
        if end_with_us:
            end_with_us()
        os.close(ours)
        answers.close()  # of which it has nothing to say any more
        data = sys.stdin.buffer.read(task.size)
        os.dup2(sys.stderr.fileno(), sys.stdin.fileno())  # the files to come are none of its business
        with os.fdopen(theirs, "wb") as own:
            shut_in()
            answer(task, data, own)
        status = 0
    except BaseException as error:  # the fork must end here, with the traceback among its last words
        traceback.print_exception(error)
    finally:
        os._exit(status)


def answer(task: DecodeTask, data: bytes, answers: BinaryIO) -> None:
    """Tell the file's samples, or what is wrong with it."""
    try:
        sound = audio.read(data, task.filename, rate=task.rate, max_seconds=task.max_seconds)
        answers.write(Done(seconds=sound.seconds).packed(sound.samples))
    except ChorusError as error:
        answers.write(Failed.of(error).packed())


def shut_in() -> None:
    """From now on: little memory, little time, and nothing can be opened or started any more."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))  # dies of SIGXCPU, not SIGKILL
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # neither processes nor threads; root is not held by it
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # what is opened gets no number, also not a freed one


def _load() -> None:
    """Decode something, so that all that is loaded at the first use is there."""
    with suppress(ChorusError):  # it is silent
        audio.read(audio.write(Sound(bytes(4800 * SAMPLE_BYTES), 48_000)), "x", rate=16_000, max_seconds=1)


if __name__ == "__main__":
    sys.exit(main())
