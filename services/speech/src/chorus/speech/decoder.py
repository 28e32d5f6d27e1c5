"""A process that makes samples of one audio file, and ends.

    python -m chorus.speech.decoder        told and telling as `voice.tasks` has it

The file comes from a stranger, and decoders are large and written in C. So the process has no keys, little
memory and little time, and before it sees the file it takes from itself the means to open anything: no other
file, no connection. Whatever breaks in it is over when it ends.
"""

import os
import resource
import signal
import sys
from contextlib import suppress

from chorus.common.errors import ChorusError
from chorus.speech.backends import audio
from chorus.speech.voice.sound import SAMPLE_BYTES, Sound
from chorus.speech.voice.tasks import DecodeTask, Done, Failed

MEMORY = 512 * 1024**2  # bytes: an hour of samples is 115 million
CPU_SECONDS = 20  # an hour of Opus takes about ten


def main() -> int:
    """Get ready, wait for the file, answer with its samples or with what is wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the parent to act on
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is for the log
    _load()
    shut_in()
    if not (line := sys.stdin.buffer.readline()):
        return 0  # there was nothing to do before the parent went
    task = DecodeTask.model_validate_json(line)
    data = sys.stdin.buffer.read(task.size)
    try:
        sound = audio.read(data, task.filename, rate=task.rate, max_seconds=task.max_seconds)
        answers.write(Done(seconds=sound.seconds).packed(sound.samples))
    except ChorusError as error:
        answers.write(Failed.of(error).packed())
    answers.flush()
    return 0


def shut_in() -> None:
    """From now on: little memory, little time, and nothing can be opened any more."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    next_number = os.dup(sys.stdin.fileno())
    os.close(next_number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_number, next_number))  # what is opened gets no number


def _load() -> None:
    """Decode something, so that all that is loaded at the first use is there."""
    with suppress(ChorusError):  # it is silent
        audio.read(audio.write(Sound(bytes(4800 * SAMPLE_BYTES), 48_000)), "x", rate=16_000, max_seconds=1)


if __name__ == "__main__":
    sys.exit(main())
