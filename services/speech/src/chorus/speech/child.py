"""An engine's process: one task after another, from standard input to standard output.

    python -m chorus.speech.child speak | hear

A process of its own, because hearing holds Python's lock for seconds, both engines are C with global
state, and a recording that somebody made up to break a decoder then breaks only this. When its standard
input closes, its parent is gone, and it ends.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO

from chorus.common.errors import ChorusError, InternalError
from chorus.speech.backends import audio
from chorus.speech.backends.espeak import Espeak
from chorus.speech.backends.sphinx import Sphinx
from chorus.speech.voice.tasks import TASK, Done, Failed, Frame, HearTask, Ready, SpeakTask, Task
from chorus.speech.voice.text import nothing_to_say

MEMORY = 2 * 1024**3  # bytes; both engines need a tenth of it

Answer = tuple[Frame, bytes]
Work = Callable[[Task, bytes], Answer]


def main() -> int:
    """Load the engine, say so, work until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the parent to act on
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is for the log
    languages, work = {"speak": speaking, "hear": hearing}[sys.argv[1]]()
    send(answers, Ready(languages=languages))
    while line := sys.stdin.buffer.readline():
        task = TASK.validate_json(line)
        send(answers, *answer(work, task, sys.stdin.buffer.read(task.size)))
    return 0


def answer(work: Work, task: Task, data: bytes) -> Answer:
    """Do it; what is wrong with the input is an answer, too."""
    try:
        return work(task, data)
    except MemoryError:
        error: ChorusError = InternalError("The recording needs too much memory.", code="out_of_memory")
    except ChorusError as raised:
        error = raised
    return Failed(status=error.status, code=error.code, message=error.message, param=error.param), b""


def send(answers: BinaryIO, frame: Frame, data: bytes = b"") -> None:
    """Write a message, and the bytes that belong to it."""
    line = frame.model_copy(update={"size": len(data)}).model_dump_json(exclude_none=True)
    answers.write(line.encode() + b"\n" + data)
    answers.flush()


def speaking() -> tuple[list[str], Work]:
    """The engine that speaks."""
    engine = Espeak()

    def speak(task: Task, _: bytes) -> Answer:
        assert isinstance(task, SpeakTask)
        sound = engine.speak(task.text, task.language, max_seconds=task.max_seconds)
        if sound.silent:
            raise nothing_to_say()
        return Done(seconds=sound.seconds), audio.write(sound)

    return sorted(engine.languages), speak


def hearing() -> tuple[list[str], Work]:
    """The engine that hears."""
    engine = Sphinx()

    def hear(task: Task, data: bytes) -> Answer:
        assert isinstance(task, HearTask)
        sound = audio.read(data, task.filename, rate=engine.rate, max_seconds=task.max_seconds)
        return Done(seconds=sound.seconds, text=engine.hear(sound)), b""

    return [engine.language], hear


if __name__ == "__main__":
    sys.exit(main())
