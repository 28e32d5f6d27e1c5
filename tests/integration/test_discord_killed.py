"""A gateway that is killed in the middle of an answer: the next one puts right what it left."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.cards import HELD_FOR
from chorus.common.contracts.topology import UNFINISHED
from chorus.common.contracts.unfinished import Unfinished
from chorus.common.contracts.wire import now
from chorus.gateway.frontends.discord.unfinished import ANEW, ASK_AGAIN, CUT_OFF
from chorus.inference.generation.ports import Piece
from tests.benchmarks.chatting.process import a_gateway
from tests.support.answering import Answering
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import Message
from tests.support.servers import Servers


async def test_an_answer_whose_gateway_is_killed_is_answered_anew(servers: Servers, tmp_path: Path) -> None:
    answering = Answering(Piece("Half ", 1), None, Piece("and whole.", 1, "stop"))
    async with running_discord() as discord, answering.on(servers), servers.connected("gateway") as bus:
        kept = await open_bucket(bus, UNFINISHED, Unfinished)
        guild, channel, admin = discord.guild()
        async with a_gateway(servers, tmp_path, discord) as killed:
            question = await discord.say(channel, admin, f"<@{discord.bot.id}> What is left?")
            half = await discord.answered(channel, "Half")
            await noted(kept, f"{guild.id}.{question.id}", True)
            killed.child.kill()
            await killed.child.wait()
        await kept.change(f"{guild.id}.{question.id}", long_ago)
        answering.engine.go_on.set()
        async with a_gateway(servers, tmp_path, discord):
            whole = await discord.until(
                lambda: next((m for m in discord.said(channel) if m.components), None)
            )
            await noted(kept, f"{guild.id}.{question.id}", False)
        assert half.content == f"Half{CUT_OFF}{ANEW}"
        assert (whole.content, whole.reply_to) == ("Half and whole.", question)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


def left_half(place: Place, question: Message, **more: object) -> Message:
    """An answer that a process left that is gone."""
    half = place.discord.once(place.channel, place.discord.bot, "```py\nx = 1", reply_to=question)
    one = Unfinished.model_validate(
        {"guild": place.guild.id, "asked": question.id, "room": place.channel.id, "message": half.id, **more}
        | {"holder": "gone", "held_until": now() - HELD_FOR}
    )
    place.world.unfinished.all[one.key] = one
    return half


@pytest.mark.parametrize("lost", ["a press", "a second time", "the question"])
async def test_what_cannot_be_answered_anew_says_that_it_was_cut_off(place: Place, lost: str) -> None:
    question = place.discord.once(place.channel, place.member, place.mention("What?"))
    if lost == "the question":
        place.discord.delete(question)
    half = left_half(place, question, is_message=lost != "a press", is_second=lost == "a second time")
    async with place.present():
        await place.discord.until(lambda: half.content == f"```py\nx = 1\n```{CUT_OFF}{ASK_AGAIN}")
    assert place.world.unfinished.all == {}
    assert place.told.asked == []


async def test_who_leaves_in_the_middle_leaves_a_note_and_who_ends_leaves_none(place: Place) -> None:
    async with place.present(grace=0.1):
        place.told.tell("Whole.", None)
        await place.ask(place.mention("First?"))
        await place.discord.until(lambda: [m for m in place.discord.said(place.channel) if m.components])
        question = await place.ask(place.mention("Second?"))
        place.told.tell("Half")
        await place.discord.answered(place.channel, "Half")
    (one,) = place.world.unfinished.all.values()
    assert (one.asked, one.message) == (question.id, place.discord.said(place.channel)[1].id)


async def noted(kept: Bucket[Unfinished], key: str, is_noted: bool) -> None:
    """Wait until an answer is noted, or is no more."""
    async with asyncio.timeout(10):
        while (await kept.get(key) is not None) is not is_noted:
            await asyncio.sleep(0.02)


def long_ago(one: Unfinished) -> Unfinished:
    """As if its process had been gone for a while."""
    return one.model_copy(update={"held_until": now() - timedelta(minutes=1)})
