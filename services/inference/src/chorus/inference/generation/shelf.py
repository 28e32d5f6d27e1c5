"""Models from S3 to this machine's disk: each fetched once, however many ask for it, and checked.

The manifest is kept beside the files. It hashes to the folder's name and names their hashes, so that a folder
proves by itself that it is whole: what a disk has damaged between two starts is found before an engine sees
it, and fetched again, and what is whole is served while S3 is away.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from chorus.common.contracts.models import MANIFEST, Manifest, ModelVersion
from chorus.common.contracts.storage import MODELS, ObjectRef
from chorus.common.contracts.wire import decode
from chorus.common.errors import ChorusError, InvalidInput, TooLarge, Unavailable
from chorus.common.objects import ObjectStore
from chorus.inference.generation.checks import (
    Served,
    check_files,
    check_manifest,
    has_sizes,
    is_whole,
    other_guild,
)
from chorus.inference.generation.disk import Disk

GIB = 1024**3
MANIFEST_LIMIT = 64 * 1024 * 1024  # bytes; it names everybody whose words were learned from
AT_ONCE = 4  # files of one model

log = structlog.get_logger()


@dataclass(frozen=True)
class Kept:
    """A model on this machine's disk, checked."""

    folder: Path
    manifest: Manifest


async def _no_way() -> bool:
    """Nothing in use can be let go."""
    return False


def _unheard(_: float) -> None:
    """Nobody wants to know."""


class Shelf:
    """Has models at hand, as long as they are borrowed, and longer while there is room."""

    def __init__(self, store: ObjectStore, served: Served, disk: Disk) -> None:
        self._store = store
        self._served = served
        self._disk = disk
        self._fetching: dict[tuple[str, str], asyncio.Task[Manifest]] = {}
        self._checked: dict[str, Manifest] = {}
        self._wanted: Set[str] = frozenset()
        self._unwanted: set[str] = set()
        self._room = asyncio.Lock()
        self.give_way: Callable[[], Awaitable[bool]] = _no_way
        """Asked to let go of something when all that is on disk is in use; whether it did."""
        self.on_fetched: Callable[[float], None] = _unheard
        """Told how many seconds an adapter took, that was not on disk."""

    @asynccontextmanager
    async def borrow(self, guild: str, name: str, version: ModelVersion) -> AsyncGenerator[Kept]:
        """An adapter, or a whole model: on disk, checked, and there meanwhile.

        `name` is `model@version`, for logs. Raises what is wrong with it: `no_object`, `object_corrupt`, what
        `checks` finds, `TooLarge` and `Unavailable` where there is no room on disk, or S3 does not answer.
        """
        ref = version.manifest
        if not ref.belongs_to(guild, MODELS):
            raise other_guild()
        self._unwanted.discard(ref.sha256)
        try:
            with self._disk.hold(ref.sha256):
                manifest = await self._provided(guild, name, ref)
                while not self._disk.lock(ref.sha256):  # another process has dropped it in this moment
                    manifest = await self._provided(guild, name, ref)
                yield Kept(self._disk.at(ref.sha256), manifest)
        finally:
            if ref.sha256 in self._unwanted:
                await asyncio.to_thread(self._disk.drop, ref.sha256)

    async def keep_only(self, wanted: Set[str]) -> None:
        """Remove all whose manifests' hashes are not among these: at once, or when nobody borrows them."""
        self._wanted = wanted
        there = await asyncio.to_thread(self._disk.sizes)
        self._unwanted = there.keys() - self._wanted  # there may have been other news meanwhile
        for sha256 in list(self._unwanted):
            await asyncio.to_thread(self._disk.drop, sha256)

    def sizes(self) -> dict[str, int]:
        """Bytes on disk of each model, by its manifest's hash."""
        return self._disk.sizes()

    # --- once, however many ask ------------------------------------------------------------------
    async def _provided(self, guild: str, name: str, ref: ObjectRef) -> Manifest:
        key = (guild, ref.sha256)
        if key not in self._fetching:
            task = asyncio.create_task(self._provide(guild, ref), name=f"fetch {guild}/{name}")
            self._fetching[key] = task
            task.add_done_callback(lambda task: self._ended(key, task))
        # Shielded: a reader who leaves must not stop what others wait for.
        return await asyncio.shield(self._fetching[key])

    def _ended(self, key: tuple[str, str], task: asyncio.Task[Manifest]) -> None:
        del self._fetching[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("model not fetched", task=task.get_name(), error=str(error))

    async def _provide(self, guild: str, ref: ObjectRef) -> Manifest:
        try:
            manifest = await asyncio.to_thread(self._look, ref.sha256)
            if manifest is None:
                return await self._fetch(guild, ref)
            if manifest.guild != guild:
                raise other_guild()
            if ref.sha256 not in self._checked:
                check_manifest(manifest, guild, self._served)
                folder = self._disk.at(ref.sha256)
                await asyncio.to_thread(check_files, folder, manifest, self._served)
                self._checked[ref.sha256] = manifest
            return manifest
        except OSError as error:
            log.warning("disk", error=str(error))
            raise Unavailable(
                f"This machine's disk does not take the model ({error.strerror}). Tell the operator.",
                code="disk_failed",
            ) from None

    def _look(self, sha256: str) -> Manifest | None:
        """The manifest of what is on disk already. Reads all of it once.

        What is damaged is removed; or replaced in one moment later, where an engine may look for it.
        """
        folder = self._disk.at(sha256)
        if not folder.is_dir():
            return None
        checked = self._checked.get(sha256)
        try:
            manifest = checked or _manifest(folder / MANIFEST, sha256)
            if manifest is not None and (has_sizes if checked else is_whole)(folder, manifest):
                return manifest
        except FileNotFoundError:
            pass
        log.warning("model damaged in the cache", sha256=sha256[:12])
        self._checked.pop(sha256, None)
        self._disk.drop(sha256, held=1)  # by who wants it now
        return None

    # --- from S3 ---------------------------------------------------------------------------------
    async def _fetch(self, guild: str, ref: ObjectRef) -> Manifest:
        """All files beside each other under another name, checked, then one rename."""
        began, damaged = time.perf_counter(), self._disk.at(ref.sha256).is_dir()
        if ref.size > MANIFEST_LIMIT:
            raise InvalidInput("This model's manifest is far too long.", code="unsupported_adapter")
        data = await self._store.get(ref)
        manifest = decode(Manifest, data)
        check_manifest(manifest, guild, self._served)
        size = len(data) + sum(file.size for file in manifest.files)
        await self._reserve(size)
        try:
            with self._disk.partial() as partial:
                (partial / MANIFEST).write_bytes(data)
                await self._download(manifest, ref.key.removesuffix(MANIFEST), partial)
                await asyncio.to_thread(check_files, partial, manifest, self._served)
                self._disk.finish(partial, ref.sha256, instead=damaged)
        finally:
            self._disk.give_back(size)
        self._checked[ref.sha256] = manifest
        if manifest.form == "adapter":
            self.on_fetched(time.perf_counter() - began)
        return manifest

    async def _download(self, manifest: Manifest, place: str, folder: Path) -> None:
        few = asyncio.Semaphore(AT_ONCE)

        async def download(name: str, size: int, sha256: str) -> None:
            async with few:
                source = ObjectRef(bucket=MODELS, key=f"{place}{name}", size=size, sha256=sha256)
                await self._store.get_file(source, folder / name)

        # All of them end before the folder goes: a thread cannot be stopped, and would write on.
        ended = await asyncio.gather(
            *(download(file.name, file.size, file.sha256) for file in manifest.files), return_exceptions=True
        )
        if error := next((each for each in ended if each is not None), None):
            raise error

    async def _reserve(self, size: int) -> None:
        """Have room on disk. Raises `TooLarge` where there never is, `Unavailable` where all is in use."""
        if size > self._disk.limit:
            raise TooLarge(
                f"This model takes {size / GIB:.1f} GiB, and {self._disk.limit / GIB:.1f} GiB are allowed on "
                "disk. Raise CHORUS_ADAPTERS_ON_DISK.",
                code="no_room_on_disk",
            )
        async with self._room:
            while not await asyncio.to_thread(self._disk.reserve, size):
                if not await self.give_way():
                    raise Unavailable(
                        f"All {self._disk.limit / GIB:.1f} GiB for models on disk are in use. Try again, or "
                        "raise CHORUS_ADAPTERS_ON_DISK.",
                        code="no_room_on_disk",
                    )


def _manifest(path: Path, sha256: str) -> Manifest | None:
    """The manifest in a folder, if it is the one that the folder is named by."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        return None
    try:
        return decode(Manifest, data)
    except ChorusError:
        return None
