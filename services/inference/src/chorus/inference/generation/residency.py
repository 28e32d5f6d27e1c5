"""Which adapters are in the engine: as many as it holds. Each that is wanted has a seat, each seat a life.

    fetched ─► waiting for a place ─► loaded, tried ─► answering ─► leaving ─► unloaded ─► gone

The adapter's folder is borrowed for all that time. So it can go only after the engine has forgotten it, for
vLLM dies of one that it looks for and does not find. Nothing reaches the engine's `generate` that was not
loaded before: there vLLM only refuses what it cannot take.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Any

import structlog

from chorus.common.chat import prompt_tokens
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Sampling, ServedModel
from chorus.common.contracts.models import Manifest, ModelRecord
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError, InternalError, Unavailable
from chorus.inference.generation.catalogue import Found, Known, first_of
from chorus.inference.generation.checks import Served
from chorus.inference.generation.life import DIED
from chorus.inference.generation.ports import Adapter, Engine, Work
from chorus.inference.generation.seats import Key, Seat, Seats, key_of
from chorus.inference.generation.shelf import Shelf
from chorus.inference.generation.weights import UNSUPPORTED, unsupported
from chorus.inference.metrics import InferenceMetrics

CANARY = Sampling(temperature=0, max_tokens=2)
HELLO = [Turn(role="user", content="Hello!")]

REMEMBERED = 30.0  # seconds for which what is wrong with an adapter is not looked into again
QUARANTINE = 3600.0  # the same, where the engine does not take it, or dies of it: its bytes never change

log = structlog.get_logger()


class Residency:
    """The adapters in one engine."""

    def __init__(self, engine: Engine, served: Served, shelf: Shelf, metrics: InferenceMetrics) -> None:
        self._engine = engine
        self._served = served
        self._shelf = shelf
        self._metrics = metrics
        self._seats = Seats(engine)
        self._engines = 1  # so many there have been
        self._tried: dict[str, int] = {}  # hashes, and the number of the engine that took it last
        self._trying = asyncio.Lock()  # one at a time: if the engine dies, it is known of which
        self._failed: dict[Key, tuple[float, ChorusError]] = {}
        self._known: Mapping[str, Known] = {}
        self._hits = Counter[Key]()
        self._last_used: dict[Key, datetime] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        shelf.give_way, shelf.on_fetched = self._give_way, metrics.cold

    # --- for those who ask -----------------------------------------------------------------------
    async def ready(self, guild: str, choices: Sequence[Found]) -> Found:
        """The first of `choices` that is on disk and checked; loaded, too, if there is a place for it.

        It is not kept so. Raises what is wrong with the first where none can be had.
        """

        async def attempt(found: Found) -> Found:
            if self._seats.of(key_of(guild, found)) is None and not self._seats.has_room():
                await self._have_on_disk(guild, found)
                return found
            seat = self._seat(guild, found)
            await seat.settled.wait()
            if seat.error is not None:
                raise seat.error
            return found

        return await first_of(choices, attempt)

    @asynccontextmanager
    async def use(self, guild: str, choices: Sequence[Found]) -> AsyncGenerator[tuple[Found, Adapter]]:
        """The first of `choices` that can be had, in the engine, and not unloaded meanwhile.

        Waits for its turn where all that the engine holds are in use. Raises as `ready` does.
        """
        seat = await first_of(choices, lambda found: self._pinned(guild, found))
        assert seat.adapter is not None, "it is loaded"
        try:
            yield seat.found, seat.adapter
        finally:
            seat.release()

    async def _pinned(self, guild: str, found: Found) -> Seat:
        seat = self._seat(guild, found)
        seat.users += 1
        try:
            await seat.loaded.wait()
            if seat.error is not None:
                raise seat.error
        except BaseException:  # who leaves while it waits, too
            seat.release()
            raise
        seat.touch()
        self._hits[seat.key] += 1
        self._last_used[seat.key] = now()
        return seat

    def is_loaded(self, guild: str, found: Found) -> bool:
        """Whether it is in the engine: then nothing takes long."""
        seat = self._seats.of(key_of(guild, found))
        return seat is not None and seat.answers and seat.error is None

    # --- news ------------------------------------------------------------------------------------
    def prepare(self, record: ModelRecord) -> None:
        """Make ready ahead what will be asked for next: in place of what nobody uses, or else on disk."""
        for alias in ("prod", "latest"):
            version = record.find(alias)
            if version is not None and version.form == "adapter" and not version.is_blocked(now()):
                self._spawn(self._ahead(record.guild, Found(f"{record.name}@{version.tag}", version)))

    async def _ahead(self, guild: str, found: Found) -> None:
        try:
            if self._seats.has_room() or self._seats.idle(guild):
                self._seat(guild, found)
            else:
                await self._have_on_disk(guild, found)
        except ChorusError as error:  # the first question says so
            log.warning("adapter not ready ahead", adapter=f"{guild}/{found.name}", error=str(error))

    def keep_only(self, permitted: Mapping[str, Known]) -> None:
        """Let all go, from the engine and from disk, whose manifests' hashes are not among these.

        Answers that are being written end first.
        """
        self._known = permitted
        for seat in list(self._seats.all):
            if seat.key[1] not in permitted:
                self._seats.leave(seat)
        for key in [key for key in self._hits if key[1] not in permitted]:
            del self._hits[key], self._last_used[key]
        self._tried = {sha256: engine for sha256, engine in self._tried.items() if sha256 in permitted}
        self._spawn(self._shelf.keep_only(permitted.keys()))

    def forget_all(self) -> None:
        """The engine is a new one: nothing is loaded. What is asked for from now on is loaded into it."""
        self._engines += 1
        self._seats.forget()

    # --- for people ------------------------------------------------------------------------------
    @property
    def resident(self) -> int:
        """Adapters in the engine."""
        return sum(seat.loaded.is_set() for seat in self._seats.placed)

    def listing(self, guild: str | None) -> list[ServedModel]:
        """What is at hand of one guild, or of all; the most recently used first."""
        sizes = self._shelf.sizes()
        seats = {seat.key[1]: seat for seat in self._seats.all}
        known = {sha256: each for sha256, each in self._known.items() if sha256 in sizes}
        known |= {sha256: Known(seat.guild, seat.found.name, "adapter") for sha256, seat in seats.items()}
        models = [
            self._described(sha256, each, seats.get(sha256), sizes.get(sha256, 0))
            for sha256, each in known.items()
            if guild in (None, each.guild)
        ]
        return sorted(models, key=lambda model: str(model.last_used or ""), reverse=True)

    def _described(self, sha256: str, known: Known, seat: Seat | None, size: int) -> ServedModel:
        key = (known.guild, sha256)
        return ServedModel(
            guild=known.guild,
            model=known.name,
            form=known.form,
            state="on_disk" if seat is None else "resident" if seat.loaded.is_set() else "loading",
            in_use=seat.users if seat else 0,
            hits=self._hits[key],
            size=size,
            last_used=self._last_used.get(key),
        )

    # --- a seat's life ---------------------------------------------------------------------------
    def _seat(self, guild: str, found: Found) -> Seat:
        """The one that takes requests, or a new one. Raises what is known to be wrong with the adapter."""
        key = key_of(guild, found)
        if (seat := self._seats.of(key)) is None:
            self._raise_if_failed(key)
            self._seats.add(seat := Seat(guild, found))
            self._spawn(self._live(seat))
        return seat

    async def _live(self, seat: Seat) -> None:
        try:
            async with self._shelf.borrow(seat.guild, *seat.found) as kept:
                seat.adapter = Adapter(f"{seat.guild}/{seat.found.name}", seat.key[1], kept.folder)
                self._seats.wait(seat)
                if not seat.placed.is_set():
                    seat.settled.set()
                await seat.placed.wait()
                await self._take(seat, seat.adapter, kept.manifest)
                await seat.free.wait()
                if seat.in_engine and not self._seats.has_twin(seat):
                    await self._unload(seat.adapter)
        except ChorusError as error:
            self._note_failure(seat.key, error)
            seat.fail(error)
        except Exception:  # whatever an engine raises: who waits has to hear of it
            log.exception("adapter not ready", adapter=f"{seat.guild}/{seat.found.name}")
            seat.fail(InternalError("The adapter cannot be made ready.", code="adapter_broken"))
        finally:
            self._seats.remove(seat)
            self._metrics.resident(self.resident)

    async def _take(self, seat: Seat, adapter: Adapter, manifest: Manifest) -> None:
        """Into the engine: from now on it answers."""
        began = time.perf_counter()
        if adapter.sha256 in self._tried:
            await self._load(adapter, manifest)
        else:
            async with self._trying:
                await self._load(adapter, manifest)
        self._metrics.adapter_loaded(time.perf_counter() - began)
        seat.touch()
        seat.loaded.set()
        seat.settled.set()
        self._metrics.resident(self.resident)
        self._seats.arrange()  # there may be others who wait

    async def _load(self, adapter: Adapter, manifest: Manifest) -> None:
        """Have the engine take it, apart from any request, and try it once in each engine."""
        engine = None
        while engine != self._engines:  # else another one was started meanwhile
            engine = self._engines
            await self._engine.load(adapter)
            if engine == self._engines and self._tried.get(adapter.sha256) != engine:
                try:
                    await self._try(adapter, manifest)
                    log.info("adapter ready", adapter=adapter.name, sha256=adapter.sha256[:12])
                except BaseException:
                    await self._unload(adapter)
                    raise
        self._tried[adapter.sha256] = self._engines

    async def _try(self, adapter: Adapter, manifest: Manifest) -> None:
        """A canary: one short answer before anybody depends on it, never asked of the next engine.

        Raises `InvalidInput` (`unsupported_adapter`) if the engine dies of one that none has taken before.
        """
        turns = manifest.probes[0].messages if manifest.probes else HELLO
        prompt = prompt_tokens(self._served.tokenizer, turns)[-self._engine.window // 2 :]
        work = Work(f"canary-{uuid.uuid4().hex}", prompt, turns, CANARY, adapter, manifest.guild, again=False)
        try:
            async with aclosing(self._engine.generate(work)) as pieces:
                async for _ in pieces:
                    pass
        except Unavailable as error:
            if error.code != DIED or adapter.sha256 in self._tried:
                raise
            log.warning("engine died of an adapter", adapter=adapter.name, sha256=adapter.sha256[:12])
            raise unsupported("ends the engine") from error

    async def _unload(self, adapter: Adapter) -> None:
        """Whatever is wrong with it: nobody asks for the adapter before it is loaded anew."""
        self._metrics.adapter_unloaded()
        try:
            await self._engine.unload(adapter)
        except Exception as error:
            log.warning("adapter not unloaded", adapter=adapter.name, error=str(error))

    async def _give_way(self) -> bool:
        """The disk is full of what is loaded: unload what nobody uses now; whether there was one."""
        if (seat := self._seats.idle()) is None:
            return False
        self._seats.leave(seat)
        await seat.gone.wait()
        return True

    # --- what fails ------------------------------------------------------------------------------
    async def _have_on_disk(self, guild: str, found: Found) -> None:
        key = key_of(guild, found)
        self._raise_if_failed(key)
        try:
            async with self._shelf.borrow(guild, *found):
                pass
        except ChorusError as error:
            self._note_failure(key, error)
            raise

    def _note_failure(self, key: Key, error: ChorusError) -> None:
        """What does not come right by itself is not tried again at once: each try may be a long download."""
        if error.retryable:
            return
        at = time.monotonic()
        self._failed = {key: failed for key, failed in self._failed.items() if failed[0] > at}
        for_good = error.code == UNSUPPORTED and key[1] not in self._tried
        self._failed[key] = at + (QUARANTINE if for_good else REMEMBERED), error

    def _raise_if_failed(self, key: Key) -> None:
        until, error = self._failed.get(key, (0.0, None))
        if error is not None and time.monotonic() < until:
            raise error

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # asyncio itself keeps no task alive
        task.add_done_callback(self._tasks.discard)
