"""The same without asyncio, also where a loop runs already, as in a notebook: a thread has its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from chorus.client.client import Client
from chorus.client.handed_over import Pairs
from chorus.client.job import Job
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.training import JobRecord, JobResult
from chorus.gateway.commands.context import Session
from chorus.gateway.commands.replies import Moment
from chorus.gateway.settings import GatewaySettings

T = TypeVar("T")


class Loop:
    """An event loop in a thread that ends with the program."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chorus-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work there, and wait for it; who is interrupted cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def each(self, items: AsyncIterator[T]) -> Iterator[T]:
        """One item after the other; who leaves closes what they come from."""

        async def following() -> list[T]:
            try:
                return [await anext(items)]
            except StopAsyncIteration:
                return []

        async def closed() -> None:
            if close := getattr(items, "aclose", None):
                await close()

        try:
            while found := self.run(following()):
                yield from found
        finally:
            self.run(closed())

    def end(self) -> None:
        """End the loop and its thread."""
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SyncJob:
    """`client.Job`: go through its moments, or wait for its result."""

    def __init__(self, job: Job, loop: Loop) -> None:
        self._job = job
        self._loop = loop

    @property
    def id(self) -> str | None:
        """The job's id, once it is in the queue."""
        return self._job.id

    def __iter__(self) -> Iterator[Moment]:
        """How far it is, until its end."""
        return self._loop.each(aiter(self._job))

    def wait(self) -> JobResult | None:
        """As `Job.done`."""
        return self._loop.run(self._job.done())

    def cancel(self) -> JobRecord:
        """As `Job.cancel`."""
        return self._loop.run(self._job.cancel())


class SyncClient:
    """`Client`, each method of which returns when it is done. It joins at once."""

    def __init__(
        self, data: str | Path | None = None, *, guild: str = LOCAL, settings: GatewaySettings | None = None
    ) -> None:
        self._client = Client(data, guild=guild, settings=settings)
        self._loop = Loop()
        try:
            self._loop.run(self._client.open())
        except BaseException:
            self._loop.end()
            raise

    def close(self) -> None:
        """Leave. Trainings go on."""
        self._loop.run(self._client.close())
        self._loop.end()

    def __enter__(self) -> "SyncClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def session(self) -> Session:
        """The conversation; `session.forget()` begins anew."""
        return self._client.session

    def chat(self, text: str, *, model: str | None = None, session: Session | None = None) -> str:
        """As `Client.chat`."""
        return self._loop.run(self._client.chat(text, model=model, session=session))

    def stream(self, text: str, *, model: str | None = None, session: Session | None = None) -> Iterator[str]:
        """As `Client.stream`."""
        return self._loop.each(self._client.stream(text, model=model, session=session))

    def ask(self, question: str, *, model: str | None = None, **sampling: Any) -> str:
        """As `Client.ask`."""
        return self._loop.run(self._client.ask(question, model=model, **sampling))

    def load_model(self, name: str) -> str:
        """As `Client.load_model`."""
        return self._loop.run(self._client.load_model(name))

    def add_examples(self, pairs: Pairs) -> None:
        """As `Client.add_examples`."""
        self._loop.run(self._client.add_examples(pairs))

    def train(
        self, data: Pairs | Path | str | None = None, /, *, model: str | None = None, **options: Any
    ) -> SyncJob:
        """As `Client.train`: it goes on until `wait` returns."""

        async def begun() -> Job:  # in the loop that it is watched by
            return self._client.train(data, model=model, **options)

        return SyncJob(self._loop.run(begun()), self._loop)

    def jobs(self) -> list[JobRecord]:
        """As `Client.jobs`."""
        return self._loop.run(self._client.jobs())

    def models(self) -> list[ModelRecord]:
        """As `Client.models`."""
        return self._loop.run(self._client.models())
