"""Whole fine-tuned models, each on an engine of its own beside the base's, for as long as somebody asks it.

The first question starts the engine, which takes as long as starting on a base; the others find it there.
There is room for a few. Where another one is needed, the one that was asked least lately ends, if it has
rested for a while; where none has, the new one is refused as `busy`.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Container
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from chorus.common import base_model
from chorus.common.chat import Tokenizer
from chorus.common.contracts.generation import ServedModel, Waiting
from chorus.common.contracts.models import BaseModelId, ModelVersion, refuse_whole
from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput, Misconfigured, Unavailable
from chorus.inference.generation.checks import Served
from chorus.inference.generation.host import Host
from chorus.inference.generation.life import Patience, asleep
from chorus.inference.generation.ports import RunningEngine, Tell
from chorus.inference.generation.shelf import Shelf
from chorus.inference.generation.waiting import told
from chorus.inference.metrics import InferenceMetrics

RESTED = 10.0  # seconds without a question; else two models that are asked in turn would only ever start
START = 20.0  # seconds that a start takes, about: 13 were measured on a toy, and a download comes to it

log = structlog.get_logger()


@dataclass(frozen=True)
class Ready:
    """A whole model that can be asked."""

    host: Host
    served: Served
    remembers: int | None
    keeper: asyncio.Task[None]


@dataclass
class _Whole:
    guild: str
    name: str
    ready: asyncio.Task[Ready] = field(init=False)
    life: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Leaving it ends the engine, and then gives the files back."""
    size: int = 0
    in_use: int = 0
    hits: int = 0
    touched: float = field(default_factory=time.monotonic)
    last_used: datetime | None = None

    def rested(self) -> float:
        """Seconds since it was asked last; none while it answers, or starts."""
        return 0.0 if self.in_use or not self.ready.done() else time.monotonic() - self.touched


class WholeModels:
    """At most `most` of them at a time; each ends after `idle` seconds without a question."""

    def __init__(
        self,
        shelf: Shelf,
        start: Callable[[Path], RunningEngine],
        tokenizer: Callable[[Path], Tokenizer],
        metrics: InferenceMetrics,
        *,
        most: int,
        idle: float,
        patience: Patience,
    ) -> None:
        """`start` begins an engine on a folder, and blocks meanwhile. `patience` is with each of them."""
        self._shelf = shelf
        self._start = start
        self._tokenizer = tokenizer
        self._metrics = metrics
        self._most = most
        self._idle = idle
        self._patience = patience
        self._all: dict[tuple[str, str], _Whole] = {}  # by guild and the manifest's hash
        self._ending = set[asyncio.Task[None]]()
        self._until: datetime | None = None

    # --- asked -----------------------------------------------------------------------------------
    async def ready(self, guild: str, name: str, version: ModelVersion, tell: Tell) -> None:
        """Have its engine started, and wait for it. Raises what `use` raises."""
        whole = self._begun(guild, name, version)
        text = f"{name} is a whole model: its engine starts, which takes about {START:.0f} s."
        ready = await told(self._started(whole), tell, Waiting(code="loading", text=text))
        whole.touched = time.monotonic()
        await ready.host.ready(tell)

    @asynccontextmanager
    async def use(self, guild: str, name: str, version: ModelVersion) -> AsyncGenerator[Ready]:
        """The model, which does not end meanwhile.

        Raises `InvalidInput` (`whole_model`) where none are served, `Unavailable` (`busy`, `engine_asleep`),
        and what is wrong with its files.
        """
        whole = self._begun(guild, name, version)
        whole.in_use += 1
        whole.hits += 1
        try:
            yield await self._started(whole)
        finally:
            whole.in_use -= 1
            whole.touched, whole.last_used = time.monotonic(), now()

    def listing(self, guild: str | None) -> list[ServedModel]:
        """Those that run or are being started; of all guilds for None."""
        return [
            ServedModel(
                guild=whole.guild,
                model=whole.name,
                form="whole",
                state="resident" if whole.ready.done() else "loading",
                in_use=whole.in_use,
                hits=whole.hits,
                size=whole.size,
                last_used=whole.last_used,
            )
            for whole in self._all.values()
            if guild in (None, whole.guild)
        ]

    # --- begun -----------------------------------------------------------------------------------
    def _begun(self, guild: str, name: str, version: ModelVersion) -> _Whole:
        if self._most == 0:
            raise refuse_whole(name)
        if self._until is not None:
            raise asleep(self._until)
        key = guild, version.manifest.sha256
        if key not in self._all:
            self._make_room(name)
            whole = self._all[key] = _Whole(guild, name)
            whole.ready = asyncio.create_task(self._begin(whole, version), name=f"start {name}")
        return self._all[key]

    def _make_room(self, name: str) -> None:
        """Take the one away that has rested longest, if there has to be room."""
        if len(self._all) < self._most:
            return
        longest = max(self._all.values(), key=_Whole.rested)
        if longest.rested() < RESTED:
            raise Unavailable(
                f"{name} is a whole model and needs an engine of its own; none is free while others are "
                f"asked. Try again in {RESTED:.0f} s.",
                code="busy",
                retry_after=RESTED,
            )
        self._take_away(longest)

    async def _begin(self, whole: _Whole, version: ModelVersion) -> Ready:
        """Fetch the files, and start the engine in the memory that others have left."""
        called = f"{whole.guild}/{whole.name}"
        try:
            if self._ending:
                await asyncio.wait(self._ending)
            kept = await whole.life.enter_async_context(self._shelf.borrow(whole.guild, whole.name, version))
            whole.size = sum(file.size for file in kept.manifest.files)
            served, remembers = await asyncio.to_thread(self._read, kept.folder, whole.name)
            host = Host(lambda: self._start(kept.folder), self._metrics, patience=self._patience)
            whole.life.push_async_callback(host.close)
            await _open(host, whole.name)
        except BaseException:  # its start may be cancelled, too
            self._forget(whole)  # the next question tries anew
            await whole.life.aclose()
            raise
        log.info("whole model ready", model=called)
        keeper = asyncio.create_task(self._keep(whole, host), name=f"keep {called}")
        return Ready(host, served, remembers, keeper)

    def _read(self, folder: Path, name: str) -> tuple[Served, int | None]:
        """What it is, and how much it remembers. Raises `InvalidInput` where it is none that writes text."""
        try:
            found, tokenizer = base_model.find(str(folder)), self._tokenizer(folder)
        except (Misconfigured, OSError, ValueError) as error:
            log.warning("whole model not readable", model=name, error=str(error))
            raise InvalidInput(
                f"{name} is no model that can be asked: its configuration or tokenizer cannot be read. "
                "Train it again.",
                code="unsupported_model",
            ) from error
        its_id = BaseModelId(name=name, fingerprint=found.id.fingerprint)
        return Served(its_id, tokenizer, max_rank=0), found.facts.remembers

    async def _keep(self, whole: _Whole, host: Host) -> None:
        """Keep its engine alive; once that is given up, the next question begins anew."""
        try:
            await host.keep()
        except Unavailable as error:
            log.warning("whole model given up", model=f"{whole.guild}/{whole.name}", reason=error.message)
            self._take_away(whole)

    async def _started(self, whole: _Whole) -> Ready:
        """Wait for it; who leaves stops nothing that others wait for."""
        await asyncio.wait({whole.ready})
        if not whole.ready.cancelled():
            return whole.ready.result()
        if self._until is not None:
            raise asleep(self._until)
        raise Unavailable(
            f"The engine of {whole.name} was ended while it started. Ask again.",
            code="engine_starting",
            retry_after=RESTED,
        )

    def _forget(self, whole: _Whole) -> None:
        self._all = {key: other for key, other in self._all.items() if other is not whole}

    # --- ended -----------------------------------------------------------------------------------
    async def end_idle(self) -> None:
        """End those that nobody asks any more, for ever."""
        while True:
            await asyncio.sleep(min(self._idle, RESTED))
            for whole in [whole for whole in self._all.values() if whole.rested() >= self._idle]:
                self._take_away(whole)

    def keep_only(self, keys: Container[str]) -> None:
        """All that may stay, by their manifests' hashes; the others end once they have answered."""
        for (_, key), whole in self._all.items():
            if key not in keys:
                whole.touched = -math.inf

    async def sleep(self, until: datetime) -> None:
        """As `Host.sleep`: they end, once they have answered; those that are being started, at once."""
        self._until = until
        ready = [whole.ready.result() for whole in self._all.values() if whole.ready.done()]
        await asyncio.gather(*(each.host.sleep(until) for each in ready))
        await self.close()

    def wake(self) -> None:
        """Serve them again, each with its next question."""
        self._until = None

    async def close(self) -> None:
        """End them all."""
        for whole in list(self._all.values()):
            self._take_away(whole)
        await asyncio.gather(*self._ending)

    def _take_away(self, whole: _Whole) -> None:
        """Nobody finds it from now on; its end needs nobody who waits for it."""
        self._forget(whole)
        ending = asyncio.create_task(_end(whole), name=f"end {whole.name}")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


async def _open(host: Host, name: str) -> None:
    try:
        await host.open()
    except Exception as error:  # whatever a backend raises
        log.exception("engine not started", model=name)
        raise Unavailable(
            f"The engine of {name} did not start; there may be no memory for it beside the base's. "
            "The log has the details.",
            code="engine_failed",
        ) from error


async def _end(whole: _Whole) -> None:
    """End its engine; one that is being started ends as soon as it can."""
    log.info("whole model ends", model=f"{whole.guild}/{whole.name}")
    whole.ready.cancel()
    await asyncio.wait({whole.ready})
    if not whole.ready.cancelled() and whole.ready.exception() is None:
        whole.ready.result().keeper.cancel()
    await whole.life.aclose()
