"""`ports.Engine` over whatever engine lives now: what one dies of asking, the next one is asked."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from chorus.common.errors import ChorusError, InvalidInput, Unavailable
from chorus.inference.generation.life import DIED, Life, asleep
from chorus.inference.generation.ports import Adapter, Piece, RunningEngine, Work, unheard


class Host(Life):
    """An engine that outlives its engines.

    All its methods raise `Unavailable`: `engine_starting` where none came in time, `engine_asleep` while a
    training has the GPU, `engine_died` when it was asked twice, or had begun to answer.
    """

    async def load(self, adapter: Adapter) -> None:
        """As `ports.Engine.load`.

        What an engine dies of loading is not given to the next one: `InvalidInput` (`unsupported_adapter`).
        """
        with self._in_hand.one():
            engine = await self._living()
            try:
                await self._in_hand.wait(engine.load(adapter))
            except Exception as error:
                if not self._is_death(engine, error) or self._until is not None:
                    raise
                raise InvalidInput(
                    f"The engine died while it loaded {adapter.name}. Train it again.",
                    code="unsupported_adapter",
                ) from error

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
        is_next = False
        with self._in_hand.one():
            while True:
                engine = await self._available(unheard)
                try:
                    if is_next and adapter:
                        await self._in_hand.wait(engine.load(adapter))
                    return await self._in_hand.wait(engine.score(tokens, start, adapter))
                except Exception as error:
                    self._raise_unless_death(engine, error, final=is_next)
                is_next = True

    async def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        """As `ports.Engine.generate`; leaving the iterator stops the writing."""
        with self._in_hand.one():
            for is_next in (False, True):
                engine, begun = await self._available(work.tell), False
                try:
                    if is_next and work.adapter:
                        await self._in_hand.wait(engine.load(work.adapter))
                    async with aclosing(engine.generate(work)) as pieces:
                        while piece := await self._in_hand.wait(anext(pieces, None)):
                            begun = True
                            yield piece
                    return
                except Exception as error:
                    self._raise_unless_death(engine, error, final=begun or is_next or not work.again)

    async def _living(self) -> RunningEngine:
        """One of whose death nothing is known: so that nobody is blamed who came after it."""
        while (engine := await self._available(unheard)).wrong() is not None:
            self._lose()
        return engine

    def _raise_unless_death(self, engine: RunningEngine, error: Exception, *, final: bool) -> None:
        """Pass on what is wrong with the question; raise `engine_died` where nothing more is tried."""
        if not self._is_death(engine, error):
            raise error
        if self._until is not None:
            raise asleep(self._until) from error
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
