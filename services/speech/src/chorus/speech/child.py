"""An engine's process: one task after another, from standard input to standard output.

    python -m chorus.speech.child speak '{"engine":"espeak","within":30}'
    python -m chorus.speech.child hear '{"engine":"sphinx","within":60}'

A process of its own, because hearing holds Python's lock for seconds, both engines are C with global
state, and a recording that somebody made up to break a decoder then breaks only this. When its standard
input closes, its parent is gone, and it ends.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

from chorus.common.contracts.speech import MAX_PART_SECONDS
from chorus.common.errors import ChorusError, InternalError
from chorus.speech.backends.ears import open_ear
from chorus.speech.backends.mouths import open_mouth
from chorus.speech.backends.opus import OggOpus
from chorus.speech.voice.ears import EarOptions, Said
from chorus.speech.voice.mouths import MouthOptions, Who
from chorus.speech.voice.sentences import sentences
from chorus.speech.voice.sound import Sound
from chorus.speech.voice.tasks import TASK, Done, Failed, Frame, HearTask, Partly, Ready, SpeakTask, Task
from chorus.speech.voice.text import nothing_to_say, too_long_to_say

GIB = 1024**3
MEMORY = 2 * GIB  # what most engines need a tenth of
MODELS = {"vosk": 16 * GIB, "whisper": 24 * GIB, "piper": 8 * GIB}
"""Bytes for those whose models are large: how large, the operator chooses."""

Answer = tuple[Frame, bytes]
Work = Callable[[Task, bytes], Iterator[Answer]]


def main() -> int:
    """Load the engine, say so, work until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the parent to act on
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is for the log
    try:
        ready, work = {"speak": speaking, "hear": hearing}[sys.argv[1]](sys.argv[2])
    except ChorusError as error:  # something is missing, and it is the operator's to know what
        send(answers, Failed.of(error))
        return error.status
    send(answers, ready)
    while line := sys.stdin.buffer.readline():
        task = TASK.validate_json(line)
        for frame, data in answer(work, task, sys.stdin.buffer.read(task.size)):
            send(answers, frame, data)
    return 0


def answer(work: Work, task: Task, data: bytes) -> Iterator[Answer]:
    """Do it; what is wrong with the input is an answer, too."""
    try:
        yield from work(task, data)
    except MemoryError:
        yield Failed.of(InternalError("The recording needs too much memory.", code="out_of_memory")), b""
    except ChorusError as error:
        yield Failed.of(error), b""


def send(answers: BinaryIO, frame: Frame, data: bytes = b"") -> None:
    """Write a message, and the bytes that belong to it."""
    answers.write(frame.packed(data))
    answers.flush()


def hold_memory(most: int) -> None:
    """Set what this process may take, in bytes."""
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def speaking(options: str) -> tuple[Ready, Work]:
    """The engine that speaks: the one that is asked for."""
    asked = MouthOptions.model_validate_json(options)
    hold_memory(MODELS.get(asked.engine, MEMORY))
    mouth = open_mouth(asked)

    def speak(task: Task, _: bytes) -> Iterator[Answer]:
        assert isinstance(task, SpeakTask)
        made, silent, whole, who = OggOpus(), True, True, Who(task.voice, task.language)
        for number, sentence in enumerate(sentences(task.text)):
            left = task.max_seconds - made.seconds
            sound = mouth.speak(sentence, who, max_seconds=left)
            if not (whole := sound.seconds <= left):
                break
            silent = silent and sound.silent
            made.add(sound)
            if task.partly and not sound.silent:
                yield from _parts(number, sound)
            yield Partly(sentence=number), b""
        if not whole and not (task.cut and made.seconds):
            raise too_long_to_say(task.max_seconds)
        if silent:
            raise nothing_to_say()
        yield Done(seconds=made.seconds, whole=whole), made.whole()

    return Ready(voices=mouth.voices), speak


def _parts(number: int, sound: Sound) -> Iterator[Answer]:
    """A sentence's sound, as it is told before all is spoken."""
    for stretch in sound.cut(MAX_PART_SECONDS):
        file = OggOpus()
        file.add(stretch)
        yield Partly(sentence=number, seconds=stretch.seconds), file.whole()


def hearing(options: str) -> tuple[Ready, Work]:
    """The engine that hears: the one that is asked for."""
    asked = EarOptions.model_validate_json(options)
    hold_memory(MODELS.get(asked.engine, MEMORY))
    ear = open_ear(asked)

    def hear(task: Task, data: bytes) -> Iterator[Answer]:
        assert isinstance(task, HearTask)
        sound = Sound(data, task.rate)
        said = Said("", task.language)
        for said in ear.hear(sound, task.language):
            yield Partly(text=said.text), b""
        yield Done(seconds=sound.seconds, text=said.text, language=said.language), b""

    return Ready(languages=ear.languages), hear


if __name__ == "__main__":
    sys.exit(main())
