"""Everything dies once under one training; the stack starts it again, and the console tells the tale."""

import asyncio
import json
import os
import signal
from pathlib import Path

from nats.aio.subscription import Subscription
from nats.errors import NoRespondersError

from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.contracts.generation import GENERATE
from tests.support.chorus import RunningChorus
from tests.support.training import ENDLESS

HELLO = b'{"messages":[{"role":"user","content":"hello"}]}'


async def learning(steps: Subscription) -> None:
    """Wait until the training makes a step from now on."""
    while steps.pending_msgs:
        await steps.next_msg()
    await steps.next_msg(timeout=60)


async def asked(operator: Connection) -> str:
    """A question's first reply: its type, or the code of its refusal."""
    try:
        reply = await operator.request(GENERATE, HELLO, timeout=60)
    except NoRespondersError:
        return "no_responders"
    error = h.error_in(reply.headers)
    return error.code if error else json.loads(reply.data)["type"]


async def test_everything_dies_once_under_one_training(chorus: RunningChorus, tmp_path: Path) -> None:
    path = tmp_path / "endless.json"
    path.write_text(ENDLESS)
    async with chorus.connected("operator") as operator:
        steps = await operator.listen("evt.trainer.local.*.metrics")
        said = asyncio.create_task(
            asyncio.to_thread(chorus.say, f"!train file={path} epochs=200 model=phoenix")
        )
        for name, words in {
            "nats": ("--config",),
            "s3": ("mini",),
            "inference": ("chorus.inference",),
            "trainer": ("chorus.trainer",),
        }.items():
            await learning(steps)
            os.kill(chorus.pid(*words), signal.SIGKILL)
            await asyncio.to_thread(chorus.until_told, f"{name} was ended by SIGKILL. It is started again")
            if name == "inference":
                assert await asked(operator) == "no_responders"
            else:
                await asyncio.to_thread(chorus.until_told, f"{name} is ready again")
        await learning(steps)
        os.kill(chorus.pid("chorus.trainer.child"), signal.SIGKILL)
        shown = "\n".join(await said)
        assert "✓ phoenix@1 is trained" in shown
        assert "trying again, because: The training process died" in shown
        await asyncio.to_thread(chorus.until_told, "inference is ready again")
        assert await asked(operator) == "delta"
    (models,) = [line for line in chorus.say("!models") if "phoenix@1" in line]
    assert "phoenix@1" in models
