"""When a reader counts as gone: the bus says that nobody listens, and has not just come back itself."""

import asyncio
from typing import Any

import pytest
from nats.errors import ConnectionClosedError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from chorus.common.bus import replies
from chorus.common.bus.replies import ReaderGone, replying


class Bus:
    """A connection on which nobody, or somebody silent, is asked whether there is anybody."""

    def __init__(self, *answers: type[Exception]) -> None:
        self.answers = list(answers)
        self.stats = {"reconnects": 0}
        self.reconnects_at: int | None = None

    async def request(self, *_: object, **__: object) -> None:
        if len(self.answers) == self.reconnects_at:
            self.stats["reconnects"] += 1
        raise self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def publish(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "LOOK_EVERY", 0)
    monkeypatch.setattr(replies, "BACK_WITHIN", 0)


async def written_to(bus: Bus) -> None:
    connection: Any = bus
    async with replying(connection, "_INBOX.x", credit=True):
        await asyncio.Event().wait()


@pytest.mark.parametrize("before", [[], [NatsTimeout] * 3, [ConnectionClosedError]])
async def test_work_for_nobody_is_cut_off(before: list[type[Exception]]) -> None:
    bus = Bus(*before, NoRespondersError)
    with pytest.raises(ReaderGone):
        await written_to(bus)
    assert bus.answers == [NoRespondersError]


async def test_readers_may_come_back_after_an_outage_of_the_bus() -> None:
    """Its answer at the moment in which we are back ourselves says nothing of theirs."""
    bus = Bus(NatsTimeout, NoRespondersError, NatsTimeout, NoRespondersError)
    bus.reconnects_at = 3
    with pytest.raises(ReaderGone):
        await written_to(bus)
    assert bus.answers == [NoRespondersError], "the first one did not count"


async def test_a_cancel_from_elsewhere_stays_one() -> None:
    work = asyncio.create_task(written_to(Bus(NatsTimeout)))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
