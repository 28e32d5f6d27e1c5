"""A training's card outlives the gateway: real discord.py and NATS; Discord and the job are played."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.cards import JobCard
from chorus.common.contracts.models import Benchmark, ModelRecord
from chorus.common.contracts.topology import CARDS
from chorus.common.contracts.training import JobState
from chorus.common.contracts.wire import now
from chorus.gateway.backends.cards import BusCards
from chorus.gateway.frontends.discord import cards, client
from tests.support.discord import limits
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import Message
from tests.support.servers import Servers
from tests.support.watching import PlayedJobs, Watching
from tests.unit.gateway.fakes import RESULT
from tests.unit.gateway.test_models import version

SOON = {"discord_edit_every": 0.1}
MEASURED = Benchmark(name="base", step=1, epoch=1, loss=1.5, perplexity=4.5, examples=9, held_out=False)
TRAINED = RESULT.model_copy(update={"model": "main@2", "in_use": False})


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


async def test_who_keeps_the_old_one_is_not_asked_again(watching: Watching) -> None:
    async with watching.place.present(**SOON):
        await watching.place.ask('!train "words"', watching.place.admin)
        await watching.card("queued")
        watching.jobs.goes(state=JobState.SUCCEEDED, result=TRAINED)
        ended = await watching.card("✓ main@2 is trained")
        pressed = await watching.place.discord.press(ended, "Keep the old one", watching.place.admin)
        told = await watching.place.discord.shown(pressed)
        await watching.place.discord.until(lambda: not labels(ended))
    assert "goes on answering. To change that: !use main@2" in told.content
    assert [record.declined_by for record in watching.jobs.records.values()] == [watching.place.admin.id]
    assert watching.place.world.models.chosen is None


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


async def test_who_is_killed_while_it_queues_the_job_has_noted_its_card(watching: Watching) -> None:
    watching.jobs.queues.clear()
    async with watching.place.present(**SOON):
        asked = await watching.place.ask('!train "words"', watching.place.admin)
        card = await watching.entry("live")
        await watching.place.discord.until(lambda: watching.jobs.records)
    watching.jobs.steps(3)
    async with watching.place.present(**SOON):
        await watching.place.discord.deliver(asked)
        shown = await watching.card("step 3/9")
    assert (shown.id, [card.job]) == (card.message, list(watching.jobs.records))
    assert watching.said == [shown]


async def test_who_is_killed_before_the_job_is_queued_leaves_no_card_that_waits_for_ever(
    watching: Watching,
) -> None:
    message = await watching.old_card()
    watching.jobs.records.clear()
    async with watching.place.present(**SOON):
        await watching.place.discord.until(lambda: "[not_queued]" in message.content)
        await watching.entry("ended")


@pytest.mark.parametrize("minutes", ["few", "many"])
async def test_what_stands_below_a_card_is_said_once_whenever_one_is_killed(
    watching: Watching, minutes: str
) -> None:
    await watching.old_card()
    watching.jobs.goes(state=JobState.SUCCEEDED, result=TRAINED, benchmarks=[MEASURED])
    async with watching.place.present(**SOON):
        ended = await watching.entry("ended")
    assert ended.below == 1
    if minutes == "many":  # then it is known from the entry
        watching.place.discord.rest.nonces.clear()
    killed = ended.let_go("live").model_copy(update={"below": 0 if minutes == "few" else 1})
    await watching.bucket.change(ended.key, lambda _: killed)
    watching.place.world.cards = BusCards(watching.bucket)  # type: ignore[assignment]
    async with watching.place.present(**SOON):
        await watching.entry("ended")
    assert [m.content.partition("\n")[0] for m in watching.said[1:]] == ["**What was measured**"]


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


async def test_where_discord_takes_no_more_edits_of_an_old_message_the_card_is_posted_anew(
    watching: Watching,
) -> None:
    old = await watching.old_card()
    async with watching.place.present(**SOON):
        watching.place.discord.rest.limits.ahead = timedelta(hours=1)  # its clock is not ours
        for step in range(4, 4 + limits.EDITS_WHEN_OLD + 1):
            watching.jobs.steps(step)
            new = await watching.card(f"step {step}/9")
        assert new is not old
        watching.jobs.steps(8)
        await watching.place.discord.until(lambda: "step 8/9" in new.content)
        assert (await watching.entry("live")).message == new.id
    assert watching.said == [old, new]


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
