"""Adapters on disk and in the engine: each is fetched, checked and tried once, however many ask for it.

A folder is named by the manifest's hash and appears when it is whole. It stays: vLLM goes back to it
when it has put an adapter out of its memory, and dies if it is gone. What a disk has damaged between two
starts is found before the engine sees it, and fetched again.
"""

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from chorus.common.chat import prompt_tokens
from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.models import MANIFEST, Manifest, ModelRecord, ModelVersion
from chorus.common.contracts.storage import MODELS, ObjectRef
from chorus.common.contracts.wire import decode, now
from chorus.common.errors import ChorusError, InternalError
from chorus.common.objects import ObjectStore
from chorus.inference.generation.checks import Served, check_files, check_manifest, is_whole
from chorus.inference.generation.ports import Adapter, Engine, Piece, Work

CANARY = Sampling(temperature=0, max_tokens=2)

log = structlog.get_logger()


class Shelf:
    """Makes adapters ready to answer."""

    def __init__(self, store: ObjectStore, engine: Engine, served: Served, folder: Path) -> None:
        self._store = store
        self._engine = engine
        self._served = served
        self._folder = folder
        self._ready: dict[str, asyncio.Task[Adapter]] = {}

    async def ready(self, guild: str, name: str, version: ModelVersion) -> Adapter:
        """The adapter, in the engine. Raises what is wrong with it; the next request tries anew."""
        # Shielded: a reader who leaves must not stop what others wait for.
        return await asyncio.shield(self._begin(guild, name, version))

    def prepare(self, record: ModelRecord) -> None:
        """Make ready ahead what will be asked for next; if that fails, the first question says why."""
        for alias in ("prod", "latest"):
            version = record.find(alias)
            if version is not None and version.form == "adapter" and not version.is_blocked(now()):
                self._begin(record.guild, f"{record.name}@{version.tag}", version)

    def _begin(self, guild: str, name: str, version: ModelVersion) -> asyncio.Task[Adapter]:
        key = version.manifest.sha256
        if key not in self._ready:
            self._ready[key] = asyncio.create_task(
                self._make_ready(guild, name, version), name=f"fetch {name}"
            )
            self._ready[key].add_done_callback(lambda task: self._ended(key, task))
        return self._ready[key]

    def _ended(self, key: str, task: asyncio.Task[Adapter]) -> None:
        """Forget a failure, so that the next request tries anew."""
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            self._ready.pop(key, None)
            log.warning("adapter not ready", task=task.get_name(), error=str(error))

    async def _make_ready(self, guild: str, name: str, version: ModelVersion) -> Adapter:
        adapter = Adapter(
            name=f"{guild}/{name}",
            sha256=version.manifest.sha256,
            folder=self._folder / version.manifest.sha256,
        )
        manifest = decode(Manifest, await self._store.get(version.manifest))
        check_manifest(manifest, guild, self._served)
        await self._provide(manifest, version.manifest, adapter.folder)
        check_files(adapter.folder, manifest)
        await self._engine.load(adapter)
        await self._try(adapter, manifest)
        log.info("adapter ready", adapter=adapter.name, sha256=adapter.sha256[:12])
        return adapter

    async def _provide(self, manifest: Manifest, ref: ObjectRef, folder: Path) -> None:
        """Have the files on disk as they were stored. Raises `CorruptObject` if S3 has lost them too."""
        if not await asyncio.to_thread(_kept_whole, folder, manifest):
            await self._fetch(manifest, ref, folder)

    async def _fetch(self, manifest: Manifest, ref: ObjectRef, folder: Path) -> None:
        """All files beside each other under another name, then one rename."""
        place = ref.key.removesuffix(MANIFEST)
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=self._folder, prefix=".fetching-"))
        try:
            for file in manifest.files:
                if "/" in file.name or file.name.startswith("."):
                    raise InternalError(
                        f"{file.name!r} is no file of an adapter.", code="unsupported_adapter"
                    )
                key = f"{place}{file.name}"
                source = ObjectRef(bucket=MODELS, key=key, size=file.size, sha256=file.sha256)
                await self._store.get_file(source, partial / file.name)
            partial.rename(folder)  # noqa: ASYNC240 - one system call
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    async def _try(self, adapter: Adapter, manifest: Manifest) -> None:
        """A canary: one short answer before anybody depends on it."""
        prompt = prompt_tokens(self._served.tokenizer, manifest.probes[0].messages)[
            -self._engine.window // 2 :
        ]
        turns = manifest.probes[0].messages
        pieces = self._engine.generate(Work(f"canary-{uuid.uuid4().hex}", prompt, turns, CANARY, adapter))
        await _drain(pieces)


async def _drain(pieces: AsyncIterator[Piece]) -> None:
    try:
        async for _ in pieces:
            pass
    except ChorusError:
        raise
    except Exception as error:
        raise InternalError(f"The adapter does not answer: {error}.", code="adapter_broken") from error


def _kept_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether the files are there already; what is there but damaged is removed."""
    if not folder.exists():
        return False
    if is_whole(folder, manifest):
        return True
    log.warning("adapter damaged in the cache", sha256=folder.name[:12])
    shutil.rmtree(folder)
    return False
