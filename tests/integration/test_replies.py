"""Answers and opinions of them on real servers: kept, judged by several at once, learned from, forgotten."""

import asyncio
import io
import zipfile
from datetime import timedelta

from chorus.common.bus.connection import Connection
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.consent import ConsentRecord
from chorus.common.contracts.datasets import Basis, BuildOptions, Dataset, Example, Turn
from chorus.common.contracts.feedback import Opinion, ReplyRecord
from chorus.common.contracts.feedback import TestRecord as Tested
from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.topology import CONSENT, FEEDBACK, OPINIONS, REPLIES, SETTINGS
from chorus.common.contracts.wire import now
from chorus.gateway.backends.objects import S3Objects
from chorus.gateway.backends.privacy import BusPrivacy
from chorus.gateway.backends.replies import BusReplies
from chorus.gateway.commands.adding import added, addition
from chorus.gateway.commands.ports import NewDataset, Upload
from chorus.gateway.commands.preferences import examples
from chorus.trainer.datasets.feedback import Feedback
from tests.support.leftovers import places_of
from tests.support.servers import Servers
from tests.support.training import Gateway, built
from tests.unit.gateway.fakes import World

AT = now()


async def replies_of(connection: Connection) -> BusReplies:
    records = await open_bucket(connection, REPLIES, ReplyRecord)
    return BusReplies(records, await open_bucket(connection, OPINIONS, Opinion))


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
        assert await replies.latest(guild, "42", None) == reply(guild, "101")
        assert await replies.latest(guild, "8", None) is None
        elsewhere = reply(guild, "300", channel="7")
        await replies.keep(elsewhere)
        assert await replies.latest(guild, "42", None) == reply(guild, "101")
        assert await replies.latest(guild, "42", "7") == elsewhere

        long = reply(guild, "403", "8", before=["401", "402"])
        await replies.keep(long)
        assert [await replies.find(guild, message) for message in ("401", "402", "403")] == [long] * 3
        assert await replies.latest(guild, "8", None) == long


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

        assert not await replies.decide(opinion(of, "3"), "approved"), "as it was before it changed"
        assert not await replies.decide(opinion(of, "9"), "approved"), "as one that is gone"
        assert await replies.decide(later, "rejected")
        assert {one.by: one.state for one in await replies.opinions(guild) if one.state != "waiting"} == {
            "3": "rejected"
        }
        assert len(await replies.opinions(guild)) == 8


async def test_answers_go_when_the_guild_keeps_them_no_longer(servers: Servers, guild: str) -> None:
    async with servers.connected("trainer") as connection:
        replies = await replies_of(connection)
        records = await open_bucket(connection, REPLIES, ReplyRecord)
        settings = await open_bucket(connection, SETTINGS, GuildSettings)
        feedback = Feedback(
            await open_bucket(connection, FEEDBACK, Tested),
            records,
            await open_bucket(connection, OPINIONS, Opinion),
            settings,
        )
        old = reply(guild, "12", before=["11"], at=AT - timedelta(days=3))
        for one in (old, reply(guild, "13", at=AT - timedelta(days=1))):
            await replies.keep(one)
        await give(replies, opinion(old, "7", words="Hm."))
        assert await feedback.clear() == 0, "by default they are kept for as long as the bucket keeps them"

        await settings.create(guild, GuildSettings(keep_replies_days=2))
        assert await feedback.clear() == 1
        assert [await replies.find(guild, message) is None for message in ("11", "12", "13")] == [
            True, True, False,
        ]  # fmt: skip
        assert len(await replies.opinions(guild)) == 1
        await settings.change(guild, lambda old: old.model_copy(update={"keep_replies_days": 0}))
        assert await feedback.clear() == 1
        assert await records.entries(f"{guild}.") == []


async def test_of_two_who_approve_at_once_neither_loses_anything(gateway: Gateway, servers: Servers) -> None:
    world = World()
    world.datasets = gateway.datasets  # type: ignore[assignment]
    world.objects = S3Objects(servers.store())  # type: ignore[assignment]
    learned = [f"Answer number {number} of many." for number in range(3)]

    async def approve(text: str) -> Dataset:
        ctx = world.context(guild=gateway.guild)
        turns = [Turn(role="user", content=f"What about {text}?"), Turn(role="assistant", content=text)]
        made = Example(messages=turns, contributors=["1"], source="feedback")
        return await built(added(ctx, await addition(ctx, "feedback", [made], typed=False)))

    await asyncio.gather(*map(approve, learned))
    newest, *_ = (await gateway.datasets.list(gateway.guild)).datasets
    kept = (await servers.store().get(newest.examples)).decode()
    assert newest.version == len(learned)
    assert all(text in kept for text in learned)


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
    records = await open_bucket(gateway.connection, CONSENT, ConsentRecord)
    people = BusPrivacy(gateway.connection, records)
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
