"""Phrases that have been spoken, so that they need not be made again: files, and a bound for all of them.

A file is named by a hash of who says what: the text itself is nowhere. What nobody has asked for in a day
goes when the next one comes, and before that what was asked for the longest ago, where there is no room.
"""

import hashlib
import time
from collections import OrderedDict
from pathlib import Path

from chorus.speech.voice.ports import Recording

KEPT = 86_400.0  # seconds since it was last asked for


class Phrases:
    """At most so many bytes and files in a folder. For one process: others have folders of their own."""

    def __init__(self, folder: Path, *, most_bytes: int, most: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._most = most
        self._files: OrderedDict[str, Path] = OrderedDict()  # what was asked for last is last
        self._sizes: dict[str, int] = {}
        self._asked: dict[str, float] = {}
        self.size = 0  # bytes of all
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime):
            if path.suffix == ".ogg":
                self._note(path.stem.partition("-")[0], path, path.stat().st_size, path.stat().st_mtime)
            else:
                path.unlink()  # one that was never whole
        self._make_room()

    def __len__(self) -> int:
        return len(self._files)

    def get(self, voice: str, text: str) -> Recording | None:
        """What this voice, in its language, has said before."""
        key = _key(voice, text)
        if (path := self._files.get(key)) is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:  # somebody emptied the folder
            self._forget(key)
            return None
        self._note(key, path, len(data), time.time())
        path.touch()
        return Recording(data, int(path.stem.partition("-")[2]) / 1000, voice)

    def put(self, text: str, made: Recording) -> None:
        """Keep it, if there is room for it at all."""
        if len(made.data) > self._most_bytes or not self._most:
            return
        key = _key(made.voice, text)
        path = self._folder / f"{key}-{round(made.seconds * 1000)}.ogg"
        part = path.with_suffix(".part")
        part.write_bytes(made.data)
        part.replace(path)
        self._note(key, path, len(made.data), time.time())
        self._make_room()

    def _note(self, key: str, path: Path, size: int, asked: float) -> None:
        self.size += size - self._sizes.get(key, 0)
        self._files[key], self._sizes[key], self._asked[key] = path, size, asked
        self._files.move_to_end(key)

    def _make_room(self) -> None:
        oldest = time.time() - KEPT
        for key in list(self._files):
            if len(self) <= self._most and self.size <= self._most_bytes and self._asked[key] > oldest:
                return
            self._forget(key)

    def _forget(self, key: str) -> None:
        self._files.pop(key).unlink(missing_ok=True)
        self.size -= self._sizes.pop(key)
        del self._asked[key]


def _key(voice: str, text: str) -> str:
    return hashlib.sha256(f"{voice}\0{text}".encode()).hexdigest()
