"""How people find answers, by a real discord.py at the wire: thumbs, forms, and who may judge what."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.datasets import DatasetRecord, Example, dataset_key
from chorus.common.contracts.topology import DATASETS
from chorus.common.local.process import Process
from chorus.gateway.app import all_of
from chorus.inference.generation.ports import Piece
from tests.benchmarks.chatting.process import a_gateway
from tests.support.answering import Answering
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import PRIVATE_THREAD, Channel, Message
from tests.support.servers import Servers
from tests.unit.gateway.fakes import World


async def test_a_correction_outlives_a_killed_gateway_and_is_learned_once_it_is_approved(
    servers: Servers, trainer: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering = Answering(Piece("At nine.", 2, "stop"))
    async with (
        running_discord() as discord,
        answering.on(servers),
        servers.connected("gateway") as connection,
        servers.connected("trainer") as bus,
    ):
        place = Place(discord)
        guild, channel, admin, member = place.guild, place.channel, place.admin, place.member
        async with a_gateway(servers, tmp_path, discord) as killed:
            await discord.slash(channel, member, "ask", question="When do you open?")
            answer = await discord.until(
                lambda: next((m for m in discord.said(channel) if m.components), None)
            )
            form = await discord.press(answer, "Correct", member)
            told = await discord.shown(await discord.submit(form, '"At eight, as ever.'))
            killed.child.kill()
            await killed.child.wait()
        assert told.content.startswith('Correction received: "At eight, as ever.')
        for name, value in servers.stack.environment("gateway").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(World, "chorus", await all_of(connection, place.settings()))
        async with place.present():
            refused = await discord.shown(await discord.slash(channel, admin, "review", wish="approve all"))
            listed = await discord.shown(await discord.slash(channel, admin, "review"))
            approved = await discord.shown(await discord.slash(channel, admin, "review", wish="approve all"))
            await discord.until(lambda: "!train data=feedback" in approved.content)
        assert refused.content.endswith("[review_first]")
        assert '"At eight, as ever.' in listed.content
        assert listed.only_for is admin
        assert "Approved: 1 answer." in approved.content
        entry = await (await open_bucket(bus, DATASETS, DatasetRecord)).get(dataset_key(guild.id, "feedback"))
        assert entry is not None
        lines = (await servers.store().get(entry.value.versions[-1].examples)).splitlines()
        learned = [Example.model_validate_json(line) for line in lines]
        assert {(one.messages[-1].content, one.label) for one in learned} == {
            ('"At eight, as ever.', True), ("At nine.", False),
        }  # fmt: skip
        assert {one.messages[0].content for one in learned} == {"When do you open?"}


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


async def answered(place: Place, *words: str, channel: Channel | None = None) -> Message:
    """An answer that is kept; of several messages the last."""
    place.told.tell(*words, None)
    channel = channel or place.channel
    await place.discord.say(channel, place.member, place.mention("Well?"))
    return await place.discord.until(
        lambda: next((m for m in place.discord.said(channel)[::-1] if m.components), None)
    )


async def test_a_thumb_that_is_taken_away_takes_the_vote_back(place: Place) -> None:
    given = place.world.replies.given

    def votes() -> list[str | None]:
        return [one.vote for one in given.values()]

    async with place.present(discord_edit_every=0.1):
        answer = await answered(place, "At eight.")
        await place.discord.until(lambda: place.world.replies.records)
        question = answer.reply_to
        assert question
        await place.discord.react(answer, place.admin, "👍")
        await place.discord.until(lambda: votes() == ["up"])
        await place.discord.react(answer, place.admin, "👎")
        await place.discord.until(lambda: votes() == ["down"])
        await place.discord.take_back(question, place.admin, "👎")
        await place.discord.take_back(answer, place.admin, "🎉")
        await place.discord.take_back(answer, place.admin, "👍")
        await place.discord.take_back(answer, place.admin, "👎")
        await place.discord.until(lambda: votes() == [None])
    assert len(given) == 1
    assert place.discord.said(place.channel) == [answer]


async def test_an_answer_in_several_messages_is_corrected_as_a_whole_from_any_of_them(place: Place) -> None:
    whole = "\n".join(f"{number}. {'word ' * 30}end" for number in range(1, 20))
    async with place.present(discord_edit_every=0.1):
        last = await answered(place, whole)
        first, *_ = posted = place.discord.said(place.channel)
        assert len(posted) > 1
        await place.discord.until(lambda: len(place.world.replies.records) == len(posted))
        by_button = await place.discord.press(last, "Correct", place.member)
        by_menu = await place.discord.menu(first, "Correct this reply", place.member)
        for asked in (by_button, by_menu):
            form = await place.discord.until(lambda asked=asked: asked.form)
            assert form["components"][0]["component"]["value"] == whole
            await place.discord.shown(await place.discord.submit(asked, "Shorter."))
    (one,) = place.world.replies.given.values()
    assert (one.message, one.correction) == (last.id, "Shorter.")


async def test_the_notice_and_a_review_are_done_by_buttons(place: Place) -> None:
    discord, world = place.discord, place.world
    world.guilds.notice = None
    async with place.present(discord_edit_every=0.1):
        answer = await answered(place, "We are here.")
        await discord.until(lambda: world.replies.records)
        await discord.react(answer, place.member, "👍")
        await discord.until(lambda: world.replies.given)
        await place.ask('!train "We meet at eight."', place.admin)
        (refused,) = await discord.until(lambda: discord.said(place.channel)[1:])
        shown = await discord.shown(await discord.press(refused, "Read the notice", place.admin))
        await discord.shown(await discord.press(shown, "Accept", place.admin))
        assert world.guilds.notice
        assert shown.components == [], "it was asked once"
        await place.ask("!review", place.admin)
        told = await discord.answered(place.channel, "Sent to you as a direct message.")
        (listed,) = discord.said(discord.rest.private[place.admin.id])
        assert listed.components == [], "a line there would be about another place"
        await discord.press(told, "Approve all", place.admin)
        last = await discord.until(lambda: discord.said(place.channel)[3:])
        await discord.until(lambda: last[0].components)
    assert [opinion.state for opinion in world.replies.given.values()] == ["approved"]
    assert last[0].components[0]["components"][0]["custom_id"] == "run:!train data=feedback"


async def test_nobody_judges_or_reviews_what_was_said_where_they_may_not_read(place: Place) -> None:
    closed = place.discord.channel(place.guild, "closed")
    thread = place.discord.thread(place.channel, "private", PRIVATE_THREAD)
    closed.closed_to |= {place.member.id, place.admin.id}
    insider = place.discord.person("insider")

    def link(answer: Message) -> str:
        return f"https://discord.com/channels/{place.guild.id}/{answer.channel.id}/{answer.id}"

    async with place.present(discord_edit_every=0.1):
        place.told.tell("Here.", None, "There.", None, "Hidden.", None)
        found: list[Message] = []
        for channel in (place.channel, closed, thread):
            await place.discord.say(channel, insider, place.mention("Well?"))
            found.append(
                await place.discord.until(
                    lambda channel=channel: next(
                        (m for m in place.discord.said(channel) if m.components), None
                    )
                )
            )
        await place.discord.until(lambda: len(place.world.replies.records) == 3)
        other = place.discord.channel(place.guild, "other")
        told: list[str] = []
        for answer in found:
            act = await place.discord.slash(other, place.member, "correct", text=f"{link(answer)} Better.")
            told.append((await place.discord.shown(act)).content)
        assert told[0].startswith("Correction received")
        assert [text.endswith("[unknown_reply]") for text in told] == [False, True, True]
        thread.members.add(place.member.id)
        again = await place.discord.slash(other, place.member, "correct", text=f"{link(found[2])} Better.")
        assert (await place.discord.shown(again)).content.startswith("Correction received")
        theirs = await place.discord.slash(closed, insider, "correct", text=f"{link(found[1])} Secretly.")
        await place.discord.shown(theirs)
        listed = await place.discord.shown(await place.discord.slash(other, place.admin, "review"))
    assert [row.count("Better.") for row in listed.content.splitlines()[1:3]] == [1, 1]
    assert "Secretly." not in listed.content
    assert "1 more wait in channels that you cannot read." in listed.content
