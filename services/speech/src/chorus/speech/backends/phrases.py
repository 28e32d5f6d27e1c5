"""Phrases that have been spoken, so that they need not be made again: files, and a bound for all of them.

A file is named by a hash of who says what: the text itself is nowhere. What nobody has asked for in a day
goes within the next hour, and before that what was asked for the longest ago, where there is no room.
"""

import asyncio
import hashlib
import os
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import structlog

from chorus.speech.voice.ports import Clip

KEPT = 86_400.0  # seconds since it was last asked for
LOOK_EVERY = 3600.0  # seconds between two looks for what is too old

log = structlog.get_logger()


class Phrases:
    """At most so many bytes and files in a folder. For one process: others have folders of their own.

    It saves work, no more: where the disk is full or the folder is gone, nothing is kept.
    """

    def __init__(self, folder: Path, *, most_bytes: int, most: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._most = most
        self._files: OrderedDict[str, Path] = OrderedDict()  # what was asked for last is last
        self._sizes: dict[str, int] = {}
        self._asked: dict[str, float] = {}
        self._keeping = True  # as far as is known
        self.size = 0  # bytes of all
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime):
            if path.suffix == ".ogg":
                self._note(path.stem.partition("-")[0], path, path.stat().st_size, path.stat().st_mtime)
            elif path.stat().st_mtime < time.time() - LOOK_EVERY:
                path.unlink()  # one that was never whole
        self._make_room()

    def __len__(self) -> int:
        return len(self._files)

    async def forget_old(self) -> None:
        """Let go of what nobody has asked for in a day, for as long as the service runs."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self._make_room()

    def get(self, voice: str, text: str) -> Clip | None:
        """What this voice, in its language, has said before."""
        key = _key(voice, text)
        if (path := self._files.get(key)) is None:
            return None
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:  # somebody emptied the folder
            self._forget(key)
            return None
        self._note(key, path, len(data), time.time())
        return Clip(data, int(path.stem.partition("-")[2]) / 1000, voice)

    def put(self, text: str, made: Clip) -> None:
        """Keep it, if there is room for it at all, and the disk takes it."""
        if len(made.data) > self._most_bytes or not self._most:
            return
        key = _key(made.voice, text)
        path = self._folder / f"{key}-{round(made.seconds * 1000)}.ogg"
        try:
            self._write(path, made.data)
        except OSError:
            if self._keeping:  # it is told once, and not with each phrase
                log.exception("phrases cannot be kept", folder=str(self._folder))
            self._keeping = False
            return
        self._keeping = True
        self._note(key, path, len(made.data), time.time())
        self._make_room()

    def _write(self, path: Path, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")  # of this process alone
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            with suppress(OSError):  # it is whole now, and has its name; or the disk takes nothing at all
                part.unlink()

    def _note(self, key: str, path: Path, size: int, asked: float) -> None:
        if (old := self._files.get(key, path)) != path:
            _delete(old)  # it took a little more, or less, time to say
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
        _delete(self._files.pop(key))
        self.size -= self._sizes.pop(key)
        del self._asked[key]


def _delete(path: Path) -> None:
    with suppress(OSError):  # it is gone, or the disk cannot be written to: the next start finds it again
        path.unlink()


def _key(voice: str, text: str) -> str:
    return hashlib.sha256(f"{voice}\0{text}".encode()).hexdigest()
