"""A second opinion: our client inside of somebody else's model of Discord, which knows nothing of our double.

Who may do what is computed by it, and time is its own. Sockets, limits and reconnection are the double's.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import discord
import pytest
import simcord

from chorus.gateway.commands import quotas
from chorus.gateway.frontends.discord.client import Client
from chorus.gateway.frontends.discord.identify import OwnLanes
from chorus.gateway.frontends.discord.rooms import Rooms
from chorus.gateway.settings import GatewaySettings
from tests.support.discord.forms import code
from tests.unit.gateway.fakes import World


@dataclass
class Place:
    """A server with one channel, somebody who runs it, and somebody who does not."""

    env: simcord.Env
    world: World
    cache: Path

    def __post_init__(self) -> None:
        self.guild = self.env.create_guild()
        self.channel = self.guild.create_text_channel("general")
        role = self.guild.create_role("admins", permissions=discord.Permissions(manage_guild=True))
        self.member = self.guild.add_member(self.env.create_user("member"))
        self.admin = self.guild.add_member(self.env.create_user("admin"), roles=[role])

    @property
    def said(self) -> str:
        """What was said last."""
        message = self.channel.last_message
        assert message
        return message.content

    async def restart(self) -> None:
        """Another process takes the bot's place."""
        await self.env.restart_bot(a_client(self.world, self.cache))


def a_client(world: World, cache: Path) -> Client:
    settings = GatewaySettings.model_validate(
        {"discord_token": "t", "discord_shards": "0/1", "discord_edit_every": 0.1, "cache": cache}
    )
    return Client(world.chorus, settings, Rooms(0.1), OwnLanes(), lambda name: None)


@asynccontextmanager
async def a_place(cache: Path) -> AsyncIterator[Place]:
    """Entered in the test itself, which then has simcord's clock."""
    world = World()
    async with simcord.run(a_client(world, cache)) as env:
        yield Place(env, world, cache)


async def test_who_may_not_is_refused_in_both_forms_and_who_may_is_not(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        await place.member.send(place.channel, "!use base")
        assert code(place.said) == "not_permitted"
        refused = (await place.member.slash(place.channel, "use", model="base")).response
        assert refused
        assert (code(refused.content), refused.ephemeral) == ("not_permitted", True)
        await place.admin.send(place.channel, "!use base")
        assert place.said == "The base model answers now."
        done = (await place.admin.slash(place.channel, "use", model="base")).response
        assert done
        assert (done.content, done.ephemeral) == ("The base model answers now.", False)


async def test_a_role_may_what_the_server_lets_it_and_who_is_denied_may_nothing(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        teachers = place.guild.create_role("Teachers")
        teacher = place.guild.add_member(place.env.create_user("teacher"), roles=[teachers])
        await place.admin.send(place.channel, f"!settings manage {teachers.mention}")
        await teacher.send(place.channel, "!use base")
        assert place.said == "The base model answers now."
        await place.admin.send(place.channel, f"!settings deny {teacher.mention}")
        await teacher.send(place.channel, "!use base")
        assert code(place.said) == "denied"
        refused = (await teacher.slash(place.channel, "hi")).response
        assert refused
        assert code(refused.content) == "denied"


async def test_buttons_and_menus_work_after_a_restart(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        await place.member.send(place.channel, "!send_message hello")
        answer = place.channel.last_message
        assert answer
        await place.restart()
        (told,) = (await place.admin.click(answer, label="👍")).followups
        assert (told.content, told.ephemeral) == ("Noted: 👍. Thank you.", True)
        form = await place.member.context_menu(place.channel, "Correct this reply", answer)
        assert form.modal
        (judged,) = place.world.replies.given.values()
        assert (judged.vote, judged.message) == ("up", str(answer.id))


async def test_a_quota_is_free_again_when_its_hour_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_place(tmp_path) as place:
        monkeypatch.setattr(quotas, "now", place.env.now)
        await place.admin.send(place.channel, "!settings quota questions 1")
        await place.member.send(place.channel, "!ask one")
        assert code(place.said) is None
        await place.member.send(place.channel, "!ask two")
        assert code(place.said) == "quota_used"
        await place.env.advance_time(3601)
        await place.member.send(place.channel, "!ask three")
        assert code(place.said) is None
