"""Answers and opinions of them on real servers: kept, judged by several at once, learned from, forgotten."""

import asyncio
import io
import zipfile
from datetime import timedelta

from chorus.common.bus.connection import Connection
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.consent import ConsentRecord
from chorus.common.contracts.datasets import Basis, BuildOptions, Turn
from chorus.common.contracts.feedback import Opinion, ReplyRecord
from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.topology import CONSENT, REPLIES
from chorus.common.contracts.wire import now
from chorus.gateway.backends.privacy import BusPrivacy
from chorus.gateway.backends.replies import BusReplies
from chorus.gateway.commands.ports import NewDataset, Upload
from chorus.gateway.commands.preferences import examples
from tests.support.leftovers import places_of
from tests.support.servers import Servers
from tests.support.training import Gateway, built

AT = now()


async def replies_of(connection: Connection) -> BusReplies:
    records = await open_bucket(connection, REPLIES, ReplyRecord)
    return BusReplies(records, await open_bucket(connection, REPLIES, Opinion))


def reply(guild: str, message: str, person: str = "42", **changes: object) -> ReplyRecord:
    return ReplyRecord(
        guild=guild, person=person, people=[person], message=message, via="message", model="main@1",
        messages=[Turn(role="user", content="When do you open?")], text="At nine.", sampling=Sampling(),
        at=AT,
    ).model_copy(update=changes)  # fmt: skip


def opinion(of: ReplyRecord, by: str, **said: object) -> Opinion:
    given = Opinion(guild=of.guild, person=of.person, message=of.message, by=by, via="message", at=AT)
    return given.model_copy(update=said)


async def give(replies: BusReplies, given: Opinion) -> None:
    await replies.judge(given, lambda _: given)


async def test_answers_are_found_by_their_message_alone(servers: Servers, guild: str) -> None:
    async with servers.connected("gateway") as connection:
        replies = await replies_of(connection)
        for message in ("100", "99", "101"):
            await replies.keep(reply(guild, message))
        await replies.keep(reply(guild, "200", "7"))
        await replies.keep(reply(guild, "100"))  # as the same message that is told twice

        assert await replies.find(guild, "200") == reply(guild, "200", "7")
        assert await replies.find(guild, "300") is None
        assert await replies.find("1", "100") is None, "another guild's is another's"
        assert await replies.latest(guild, "42") == reply(guild, "101")
        assert await replies.latest(guild, "8") is None


async def test_many_judge_one_answer_at_once_and_each_has_one_opinion(servers: Servers, guild: str) -> None:
    async with servers.connected("gateway") as connection:
        replies, of = await replies_of(connection), reply(guild, "100")
        await replies.keep(of)
        await asyncio.gather(*(give(replies, opinion(of, str(by), vote="up")) for by in range(1, 9)))
        later = opinion(of, "3", vote="down", at=AT + timedelta(seconds=1))
        await give(replies, later)
        given = await replies.opinions(guild)
        assert [(one.by, one.vote) for one in given if one.vote == "down"] == [("3", "down")]
        assert len(given) == 8
        assert await replies.find(guild, "100") == of, "an opinion is no answer"

        await replies.decide(opinion(of, "3"), "approved")  # as it was before it changed
        await replies.decide(opinion(of, "9"), "approved")  # as one that is gone
        await replies.decide(later, "rejected")
        assert {one.by: one.state for one in await replies.opinions(guild) if one.state != "waiting"} == {
            "3": "rejected"
        }
        assert len(await replies.opinions(guild)) == 8


async def test_a_persons_words_and_opinions_are_forgotten(
    gateway: Gateway, servers: Servers, operator: Connection
) -> None:
    guild, replies = gateway.guild, await replies_of(gateway.connection)
    theirs, better = f"petrel lagoon of {guild}", f"seven brass bells of {guild}"
    own = reply(guild, "1", "77", messages=[Turn(role="user", content=theirs)])
    among_others = reply(
        guild,
        "2",
        people=["42", "77"],
        messages=[Turn(role="user", name="u2", content=theirs), *own.messages],
    )
    judged, others = reply(guild, "3"), reply(guild, "4")
    given = [
        opinion(judged, "77", correction=better), opinion(among_others, "5", words="Hm."),
        opinion(others, "5", correction="At ten."),
    ]  # fmt: skip
    for one in (own, among_others, judged, others):
        await replies.keep(one)
    for one in given:
        await give(replies, one)
    made = [*examples(judged, given[:1]), *examples(others, given[2:])]
    file = Upload("feedback.jsonl", "".join(f"{one.model_dump_json()}\n" for one in made).encode())
    basis = Basis(way="submitted")
    new = NewDataset("feedback", [file], True, "1", basis, BuildOptions())
    dataset = await built(gateway.datasets.add(guild, new))
    assert (dataset.card.examples, dataset.card.positive, dataset.card.dropped) == (
        3,
        2,
        {"exact duplicate": 1},
    )
    people = BusPrivacy(gateway.connection, await open_bucket(gateway.connection, CONSENT, ConsentRecord))
    exported = await people.export(guild, "77", names=[])
    with zipfile.ZipFile(io.BytesIO(await servers.store().get(exported.archive))) as packed:
        assert packed.read("replies.jsonl").decode().count("petrel") == 1, "of others' questions nothing"
        assert better in packed.read("opinions.jsonl").decode()
        assert better in packed.read("feedback-1.jsonl").decode()

    told = await people.forget(guild, "77", names=[], said_by="77")

    assert await places_of([theirs, better], servers.store(), operator) == []
    assert (told.feedback, told.datasets) == (4, ["feedback@1"])
    assert [one.by for one in await replies.opinions(guild)] == ["5"]
    assert await replies.find(guild, "3") == judged
    assert await replies.find(guild, "2") is None
    (left,) = (await gateway.datasets.list(guild)).datasets
    kept = (await servers.store().get(left.examples)).decode()
    assert "At ten." in kept
    assert '"contributors":["42","5"]' in kept.replace(" ", "")
