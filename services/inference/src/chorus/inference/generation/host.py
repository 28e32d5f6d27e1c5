"""`ports.Engine` over whatever engine lives now: what one dies of asking, the next one is asked."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from chorus.common.errors import ChorusError, Unavailable
from chorus.inference.generation.life import DIED, Life
from chorus.inference.generation.ports import Adapter, Piece, RunningEngine, Work

Result = TypeVar("Result")


class Host(Life):
    """An engine that outlives its engines.

    All its methods raise `Unavailable`: `engine_starting` where none came in time, `engine_asleep` while a
    training has the GPU, `engine_died` when it was asked twice, or had begun to answer.
    """

    async def load(self, adapter: Adapter) -> None:
        """As `ports.Engine.load`."""
        await self._ask(lambda engine: engine.load(adapter))

    async def unload(self, adapter: Adapter) -> None:
        """As `ports.Engine.unload`; what is dead has forgotten it already."""
        if (engine := self._engine) is None:
            return
        try:
            await engine.unload(adapter)
        except Exception as error:
            if not self._is_death(engine, error):
                raise

    async def score(self, tokens: list[int], start: int, adapter: Adapter | None) -> list[float]:
        """As `ports.Engine.score`."""
        return await self._ask(lambda engine: engine.score(tokens, start, adapter), adapter)

    async def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        """As `ports.Engine.generate`; leaving the iterator stops the writing."""
        with self._working():
            for again in (False, True):
                engine, begun = await self._available(), False
                try:
                    if again and work.adapter:
                        await engine.load(work.adapter)  # it is a new one
                    async with aclosing(engine.generate(work)) as pieces:
                        async for piece in pieces:
                            begun = True
                            yield piece
                    return
                except Exception as error:
                    self._raise_unless_death(engine, error, final=begun or again)

    async def _ask(
        self, call: Callable[[RunningEngine], Awaitable[Result]], adapter: Adapter | None = None
    ) -> Result:
        """Ask it of the engine, and of the next one where this one dies meanwhile."""
        with self._working():
            engine = await self._available()
            try:
                return await call(engine)
            except Exception as error:
                self._raise_unless_death(engine, error, final=False)
            engine = await self._available()
            try:
                if adapter:
                    await engine.load(adapter)  # it is a new one
                return await call(engine)
            except Exception as error:
                self._raise_unless_death(engine, error, final=True)
                raise

    def _raise_unless_death(self, engine: RunningEngine, error: Exception, *, final: bool) -> None:
        """Pass on what is wrong with the question; raise `engine_died` where nothing more is tried."""
        if not self._is_death(engine, error):
            raise error
        if final:
            raise Unavailable(
                "The engine died while it answered, and is started again. "
                f"Ask again in about {self._took:.0f} s.",
                code=DIED,
                retry_after=self._took,
            ) from error

    def _is_death(self, engine: RunningEngine, error: Exception) -> bool:
        """Whether the call failed because the engine died; if it is the one in use, the next is begun."""
        says_so = isinstance(error, ChorusError) and error.code == DIED
        if not says_so and engine.wrong() is None:
            return False
        if engine is self._engine:
            self._lose()
        return True
