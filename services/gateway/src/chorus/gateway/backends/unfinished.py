"""Answers that are being written: entries in the bucket `unfinished`."""

from collections.abc import Callable
from contextlib import suppress

from chorus.common.bus.state import Bucket
from chorus.common.contracts.unfinished import Unfinished
from chorus.common.contracts.wire import now
from chorus.common.errors import Conflict, NotFound


class BusUnfinished:
    """`trainings.UnfinishedAnswers`."""

    def __init__(self, answers: Bucket[Unfinished]) -> None:
        self._answers = answers

    async def note(self, answer: Unfinished) -> None:
        """Write it over whatever is there."""
        await self._answers.change(answer.key, lambda _: answer, initial=answer)

    async def renew(self, answer: Unfinished) -> None:
        """Hold it a while longer, if it is there and ours: an answer may end at any moment."""

        def renewed(old: Unfinished) -> Unfinished:
            if old.holder != answer.holder:
                raise Conflict(f"Another process has {answer.key}.", code="answer_held")
            return old.held(answer.holder, now())

        with suppress(Conflict, NotFound):
            await self._answers.change(answer.key, renewed)

    async def done(self, answer: Unfinished) -> None:
        """The entry goes."""
        await self._answers.delete(answer.key)

    async def left(self, holder: str, is_ours: Callable[[str], bool]) -> list[Unfinished]:
        """Compare and set, each: of several processes one gets it."""
        at = now()
        found = [entry.value for entry in await self._answers.entries()]
        others = [answer for answer in found if answer.holder != holder and is_ours(answer.guild)]
        left = [answer for answer in others if answer.held_until < at]
        return [answer for answer in left if await self._take(answer, holder)]

    async def _take(self, answer: Unfinished, holder: str) -> bool:
        def taken(old: Unfinished) -> Unfinished:
            if old != answer:
                raise Conflict(f"Another process has {answer.key}.", code="answer_held")
            return old.held(holder, now())

        try:
            await self._answers.change(answer.key, taken)
        except (Conflict, NotFound):
            return False
        return True
