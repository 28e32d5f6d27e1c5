"""A training's card outlives the gateway: real discord.py and NATS; Discord and the job are played."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.cards import CardState, JobCard
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.topology import CARDS
from chorus.common.contracts.training import JobEvent, JobRecord, JobState, Progress
from chorus.common.contracts.wire import now
from chorus.gateway.backends.cards import BusCards
from chorus.gateway.frontends.discord import cards, client
from tests.support.discord import limits
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import Message
from tests.support.servers import Servers
from tests.unit.gateway.fake_data import dataset
from tests.unit.gateway.fakes import RESULT, FakeJobs
from tests.unit.gateway.test_models import version

SOON = {"discord_edit_every": 0.1}
TRAINED = RESULT.model_copy(update={"model": "main@2", "in_use": False})


class PlayedJobs(FakeJobs):
    """Jobs that go on as a test says, for whoever follows them."""

    def __init__(self) -> None:
        super().__init__()
        self._stirred = asyncio.Event()

    def goes(self, **changes: object) -> None:
        """The one job there is goes on."""
        (job,) = self.records
        self.records[job] = self.records[job].model_copy(update=changes)
        self._stirred.set()

    def steps(self, step: int) -> None:
        self.goes(state=JobState.RUNNING, progress=Progress(step=step, steps=9, loss=1.5))

    async def _set(self, guild: str, job: str, state: JobState) -> JobRecord:
        record = await super()._set(guild, job, state)
        self._stirred.set()
        return record

    async def follow(self, guild: str, job: str) -> AsyncGenerator[JobRecord | JobEvent]:
        while True:
            self._stirred.clear()
            record = self.records[job]
            yield record
            if record.state.final:
                return
            await self._stirred.wait()


@dataclass
class Watching:
    """A server of the double where a training is watched, and where its cards are kept."""

    place: Place
    jobs: PlayedJobs
    bucket: Bucket[JobCard]

    async def card(self, words: str) -> Message:
        """Wait until the newest message says this."""
        said = self.place.discord.said
        return await self.place.discord.until(
            lambda: next((m for m in said(self.place.channel)[-1:] if words in m.content), None)
        )

    async def entry(self, *states: CardState) -> JobCard:
        """The one that is kept, or soon will be, in one of these states."""
        async with asyncio.timeout(20):
            while not (entries := await self.bucket.entries()) or entries[0].value.state not in states:
                await asyncio.sleep(0.02)
        return entries[0].value

    async def old_card(self, **changes: object) -> Message:
        """A card of a training that runs, as a process left it that is gone."""
        record = await self.jobs.submit(
            [dataset(guild=self.place.guild.id)], "main", Hyperparameters(), submitted_by="42", key="k"
        )
        message = self.place.discord.once(self.place.channel, self.place.discord.bot, "▰▱ learning")
        card = JobCard(
            guild=record.job.guild, job=record.job.job, channel=self.place.channel.id, message=message.id,
            posted_at=now(), who="42", said=f"Job ID: {record.job.job}",
        )  # fmt: skip
        await self.bucket.create(card.key, card.model_copy(update=changes))
        self.jobs.steps(3)
        return message

    @property
    def said(self) -> list[Message]:
        return self.place.discord.said(self.place.channel)


@pytest.fixture
async def watching(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watching]:
    monkeypatch.setattr(client, "GUILDS_WITHIN", 0.1)
    monkeypatch.setattr(cards, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(limits, "REQUESTS", 1000)  # in five seconds: nothing is to be held back here
    async with (
        servers.connected("provisioner") as provisioner,
        servers.connected("gateway") as connection,
        running_discord() as discord,
    ):
        await provisioner.jetstream().purge_stream(f"KV_{CARDS}")
        place, bucket = Place(discord), await open_bucket(connection, CARDS, JobCard)
        jobs = place.world.jobs = PlayedJobs()
        place.world.models.records = [
            ModelRecord(guild=place.guild.id, name="main", versions=[version(1), version(2)], aliases={})
        ]
        place.world.cards = BusCards(bucket)  # type: ignore[assignment]
        yield Watching(place, jobs, bucket)


def labels(message: Message) -> list[str]:
    return [button["label"] for row in message.components for button in row["components"]]


async def test_a_card_goes_on_in_its_message_when_the_gateway_is_restarted(watching: Watching) -> None:
    async with watching.place.present(**SOON):
        await watching.place.ask('!train "words"', watching.place.admin)
        await watching.card("Model training started. Job ID: ")
        watching.jobs.steps(3)
        before = await watching.card("step 3/9 · loss 1.500")
        assert labels(before) == ["Pause", "Cancel"]
    async with watching.place.present(**SOON):
        watching.jobs.steps(6)
        after = await watching.card("step 6/9 · loss 1.500")
        assert after.content.startswith("Dataset typed@1: ")
        watching.jobs.goes(state=JobState.SUCCEEDED, result=TRAINED)
        ended = await watching.card("✓ main@2 is trained")
        assert before is after is ended
        assert labels(ended) == ["Use it", "Keep the old one"]
        await watching.place.discord.press(ended, "Use it", watching.place.admin)
        await watching.place.discord.until(lambda: not labels(ended))
        await watching.entry("ended")
    assert watching.place.world.models.chosen == "main"
    assert watching.said == [ended]


async def test_the_same_message_again_is_no_second_job_and_no_second_card(watching: Watching) -> None:
    async with watching.place.present(**SOON):
        asked = await watching.place.ask('!train "words"', watching.place.admin)
        await watching.card("queued")
        await watching.entry("live")
    async with watching.place.present(**SOON):
        await watching.place.discord.deliver(asked)
        await watching.place.ask("!jobs")
        await watching.place.discord.until(lambda: len(watching.said) == 2)
    assert len(watching.jobs.records) == len(watching.place.world.datasets.added) == 1
    assert [m.content.count("Job ID") for m in watching.said] == [1, 0]


async def test_who_died_before_the_card_was_kept_has_begun_one_job(watching: Watching) -> None:
    async with watching.place.present(**SOON):
        asked = await watching.place.ask('!train "words"', watching.place.admin)
        await watching.card("queued")
        card = await watching.entry("live")
    await watching.bucket.delete(card.key)
    async with watching.place.present(**SOON):
        await watching.place.discord.deliver(asked)
        await watching.place.discord.until(lambda: len(watching.said) == 2)
        watching.jobs.steps(3)
        await watching.card("step 3/9")
    assert len(watching.jobs.records) == 1


async def test_a_killed_process_loses_its_card_once_its_lease_is_over(watching: Watching) -> None:
    until = now() + timedelta(seconds=1)
    message = await watching.old_card(holder="another", held_until=until)
    async with watching.place.present(**SOON):
        await watching.place.discord.until(lambda: "step 3/9" in message.content)
        assert now() > until
        assert (await watching.entry("live")).holder not in (None, "another")


async def test_who_lost_a_card_does_not_touch_it_any_more(watching: Watching) -> None:
    message = await watching.old_card()
    async with watching.place.present(**SOON):
        await watching.place.discord.until(lambda: "step 3/9" in message.content)
        taken = (await watching.entry("live")).held("another", now())
        await watching.bucket.change(taken.key, lambda _: taken)
        watching.jobs.steps(4)
        watching.jobs.goes(state=JobState.SUCCEEDED, result=TRAINED)
        await watching.place.ask("!jobs")
        await watching.place.discord.until(lambda: len(watching.said) == 2)
    assert (await watching.entry("live")).holder == "another"


async def test_before_an_hour_is_over_a_card_is_posted_anew(watching: Watching) -> None:
    old = await watching.old_card(posted_at=now() - timedelta(minutes=56))
    async with watching.place.present(**SOON):
        new = await watching.card("step 3/9")
        await watching.place.discord.until(lambda: new.id in old.content)
        watching.jobs.steps(4)
        assert await watching.card("step 4/9") is new
    channel = watching.place.channel
    link = f"https://discord.com/channels/{watching.place.guild.id}/{channel.id}/{new.id}"
    assert old.content.splitlines()[1:] == [f"-# This goes on here: {link}"]
    assert not labels(old)
    assert (await watching.entry("live")).message == new.id


async def test_pressing_resume_lets_the_same_card_go_on(watching: Watching) -> None:
    async with watching.place.present(**SOON):
        await watching.place.ask('!train "words"', watching.place.admin)
        card = await watching.card("queued")
        await watching.place.discord.until(lambda: labels(card))
        await watching.place.discord.press(card, "Pause", watching.place.admin)
        await watching.place.discord.until(lambda: labels(card) == ["Resume", "Cancel"])
        assert "is paused" in card.content
        await watching.place.discord.press(card, "Resume", watching.place.admin)
        await watching.place.discord.until(lambda: labels(card) == ["Pause", "Cancel"])
        watching.jobs.steps(5)
        await watching.place.discord.until(lambda: "step 5/9" in card.content)
    assert [m for m in watching.said if not m.only_for] == [card]


async def test_resuming_elsewhere_moves_the_card_there(watching: Watching) -> None:
    elsewhere = watching.place.discord.channel(watching.place.guild)
    async with watching.place.present(**SOON):
        await watching.place.ask('!train "words"', watching.place.admin)
        old = await watching.card("queued")
        (job,) = watching.jobs.records
        await watching.place.ask(f"!pause {job}", watching.place.admin)
        await watching.place.discord.until(lambda: "is paused" in old.content)
        await watching.place.discord.say(elsewhere, watching.place.admin, f"!resume {job}")
        (new,) = await watching.place.discord.until(lambda: watching.place.discord.said(elsewhere))
        await watching.place.discord.until(lambda: f"/{elsewhere.id}/{new.id}" in old.content)
        assert not labels(old)


async def test_a_job_that_is_resumed_before_its_card_knew_of_the_pause_has_one_card(
    watching: Watching,
) -> None:
    async with watching.place.present(**SOON):
        await watching.place.ask('!train "words"', watching.place.admin)
        old = await watching.card("queued")
        (job,) = watching.jobs.records
        watching.jobs.records[job] = watching.jobs.records[job].model_copy(update={"state": JobState.PAUSED})
        await watching.place.ask(f"!resume {job}", watching.place.admin)
        new = await watching.card("goes on.")
        await watching.place.discord.until(lambda: new.id in old.content)
        watching.jobs.steps(3)
        await watching.card("step 3/9")
        watching.jobs.goes(state=JobState.SUCCEEDED, result=TRAINED)
        await watching.card("✓ main@2 is trained")
    assert new.id in old.content, "nothing has written over it"
