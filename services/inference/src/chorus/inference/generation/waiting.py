"""What takes long, told again and again to whoever waits for it: a silent request looks like a dead one."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from chorus.common.contracts.generation import Waiting
from chorus.inference.generation.ports import Tell

SOON = 0.3  # seconds; what is done by then needs no words
EVERY = 10.0  # seconds; who asks gives up after 30 without a word (`bus.calls.NEXT_REPLY_WITHIN`)

Result = TypeVar("Result")


async def told(work: Coroutine[Any, Any, Result], tell: Tell, why: Waiting) -> Result:
    """The work's result; if it is not there soon, whoever asked is told why, again and again.

    Raises what the work raises. Who leaves ends the work: shield what others wait for, too.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=SOON)
        while not done:
            await tell(why)
            done, _ = await asyncio.wait({task}, timeout=EVERY)
        return task.result()
    finally:
        task.cancel()
