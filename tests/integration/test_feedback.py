"""Tests that went wrong, on a real bucket: kept by the gateway, newest first, and not without end."""

from datetime import timedelta

from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.feedback import Prediction, feedback_key
from chorus.common.contracts.feedback import TestRecord as Kept
from chorus.common.contracts.topology import FEEDBACK
from chorus.common.contracts.wire import now
from chorus.gateway.backends.feedback import KEPT, BusFeedback
from tests.support.servers import Servers

AT = now()


def record(guild: str, number: int, person: str = "42") -> Kept:
    wrong = [Prediction(input="Wifi?", prediction="Yes", expected="No")]
    at = AT + timedelta(seconds=number)
    return Kept(
        guild=guild,
        person=person,
        id=f"t{number}",
        model="main@1",
        at=at,
        asked=1,
        judged=1,
        right=0,
        wrong=wrong,
    )


async def test_of_one_person_the_newest_are_kept(servers: Servers, guild: str) -> None:
    async with servers.connected("gateway") as connection:
        bucket: Bucket[Kept] = await open_bucket(connection, FEEDBACK, Kept)
        feedback = BusFeedback(bucket)
        await feedback.keep(record(guild, 0, person="7"))
        for number in range(KEPT + 2):
            await feedback.keep(record(guild, number))
        again = record(guild, KEPT + 1)
        await feedback.keep(again)  # as the same message that arrives twice

        theirs = await feedback.tests(guild, "42")
        assert [one.id for one in theirs] == [f"t{number}" for number in range(KEPT + 1, 1, -1)]
        assert theirs[0] == again
        assert len(await feedback.tests(guild, None)) == KEPT + 1, "another's are another's"
        assert await feedback.tests("1", None) == []
        assert await bucket.get(feedback_key(guild, "42", "t0")) is None

        await feedback.keep(record(guild, KEPT + 3))
        await bucket.delete(feedback_key(guild, "42", f"t{KEPT + 3}"))
        await feedback.keep(record(guild, KEPT + 3))
        assert (await feedback.tests(guild, "42"))[0].id == f"t{KEPT + 3}", "what was deleted may come again"
