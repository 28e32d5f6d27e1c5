"""What people are told of a GPU that trainings and answers share."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import cast

from chorus.common.bus.state import Bucket, Entry
from chorus.common.contracts.leases import Lease
from chorus.gateway.backends.gpu import BACK, gpu_news
from tests.unit.trainer.made import AT  # 03:04 UTC


class Followed:
    """A bucket that changes so."""

    def __init__(self, *leases: Lease) -> None:
        self._leases = leases

    async def follow(self) -> AsyncIterator[Entry[Lease]]:
        for revision, lease in enumerate(self._leases, 1):
            yield Entry("gpu", lease, revision)


async def told(*leases: Lease) -> list[tuple[str, bool]]:
    followed = cast(Bucket[Lease], Followed(*leases))
    return [news async for news in gpu_news(followed, clock=lambda: AT + timedelta(seconds=5))]


GONE = ("A training has the GPU until 03:34 UTC. Questions are answered again after that.", False)
FREE = Lease(at=AT)
ASKED = Lease(state="asked", at=AT)
GRANTED = Lease(state="granted", at=AT, until=AT + timedelta(minutes=30))
TAKEN = GRANTED.model_copy(update={"state": "taken"})


async def test_each_window_is_told_once_and_so_is_its_end() -> None:
    later = TAKEN.model_copy(update={"until": AT + timedelta(minutes=60, seconds=1)})
    news = await told(FREE, ASKED, GRANTED, TAKEN, TAKEN, FREE, ASKED, later, FREE, FREE)
    after = ("A training has the GPU until 04:05 UTC. Questions are answered again after that.", False)
    assert news == [GONE, (BACK, True), after, (BACK, True)], "and no minute is promised too early"


async def test_what_a_dead_trainer_left_behind_is_not_told() -> None:
    assert await told(TAKEN.model_copy(update={"until": AT - timedelta(minutes=1)}), FREE) == []
