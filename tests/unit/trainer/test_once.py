"""One job and no more: when the worker that is started for one job stops."""

import asyncio
from typing import cast

import pytest

from chorus.common.bus.jobs import Delivery, Done, HandBack, LeaveAlone, Outcome
from chorus.common.errors import Misconfigured
from chorus.common.service import Service
from chorus.trainer.app import build
from chorus.trainer.settings import TrainerSettings
from chorus.trainer.training.once import OneJob

MESSAGE = cast(Delivery, None)


def one_job(*outcomes: Outcome, patience: float = 60.0) -> tuple[OneJob, asyncio.Event]:
    """One whose messages come to these ends, and whether it has stopped."""
    ends, stopped = iter(outcomes), asyncio.Event()

    async def handle(_: Delivery) -> Outcome:
        return next(ends)

    return OneJob(handle, patience=patience, stop=stopped.set), stopped


@pytest.mark.parametrize("outcome", [Done(), LeaveAlone()])
async def test_a_job_that_has_ended_is_the_only_one(outcome: Outcome) -> None:
    one, stopped = one_job(outcome)
    assert await one.handle(MESSAGE) is outcome
    assert stopped.is_set()


async def test_a_job_that_is_handed_back_is_waited_for() -> None:
    one, stopped = one_job(HandBack(0.5), Done())
    await one.handle(MESSAGE)
    assert not stopped.is_set()
    await one.handle(MESSAGE)
    assert stopped.is_set()


async def test_patience_does_not_end_while_a_job_is_in_hand() -> None:
    stopped, end = asyncio.Event(), asyncio.Event()

    async def handle(_: Delivery) -> Outcome:
        await end.wait()
        return HandBack()

    one = OneJob(handle, patience=0.05, stop=stopped.set)
    for _ in range(2):  # it begins anew with each
        end.clear()
        job = asyncio.create_task(one.handle(MESSAGE))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stopped.wait(), 0.2)
        end.set()
        await job
    await stopped.wait()  # nothing came after it


async def test_patience_ends_where_nothing_comes_at_all() -> None:
    _, stopped = one_job(patience=0.01)
    await stopped.wait()


async def test_a_role_without_jobs_is_refused() -> None:
    with pytest.raises(Misconfigured, match="CHORUS_ROLE=datasets takes no jobs"):
        await build(cast(Service, None), TrainerSettings(role="datasets"), once=True)
