"""Voice channels: where people talk, and we with them; at most one in each server.

We come to whoever calls us, and go when we are sent away or nobody is left. We listen to nobody, and are seen
to be deaf.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from functools import partial

import discord
import structlog
from discord.voice_client import has_nacl
from discord.voice_state import has_dave

from chorus.common.errors import ChorusError, Conflict, InvalidInput, NotPermitted, Unavailable, in_short
from chorus.gateway.frontends.discord.call import Call
from chorus.gateway.frontends.discord.failures import FAILURES, reason
from chorus.gateway.frontends.discord.permissions import HOW_TO_MEND, TO_SPEAK, in_words, lacking
from chorus.gateway.frontends.discord.sounds import Growing, Packets, playable

CONNECT_WITHIN = 15.0  # seconds
GO_WITHIN = 2.0  # seconds
UNHEARD = "answer not said in the voice channel"

Channel = discord.VoiceChannel | discord.StageChannel

log = structlog.get_logger()


class VoiceChannels:
    """Those of all our servers."""

    def __init__(self) -> None:
        self._doors: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def of(self, person: discord.Member) -> "OwnCalls":
        """As this person finds them."""
        return OwnCalls(person, self._doors[person.guild.id])

    async def changed(self, guild: discord.Guild) -> None:
        """Somebody came or went: go where nobody is left."""
        if _is_alone(_call_in(guild)):
            async with self._doors[guild.id]:
                if (call := _call_in(guild)) and _is_alone(call):
                    await call.disconnect(force=True)

    async def leave_ghosts(self, client: discord.Client) -> None:
        """Go where Discord still shows us, since we were stopped without a word."""
        for guild in client.guilds:
            us = guild.get_member(client.user.id) if client.user else None
            if us and us.voice and guild.voice_client is None:
                await guild.change_voice_state(channel=None)

    async def leave_all(self, client: discord.Client) -> None:
        """Go from everywhere."""
        going = [asyncio.create_task(call.disconnect(force=True)) for call in client.voice_clients]
        if going:
            _, late = await asyncio.wait(going, timeout=GO_WITHIN)
            for task in late:
                task.cancel()


class OwnCalls:
    """`calls.Calls` of one person in one server."""

    def __init__(self, person: discord.Member, door: asyncio.Lock) -> None:
        self._person = person
        self._guild = person.guild
        self._door = door

    def are_elsewhere(self) -> bool:
        """Whether we are in a voice channel, and they are not in it."""
        call = _call_in(self._guild)
        return call is not None and call.channel != self._theirs()

    async def join(self) -> str:
        """Come to where they are, also from another channel, and stay."""
        channel = self._theirs()
        if channel is None:
            raise InvalidInput(
                "You are not in a voice channel. Go into one, and ask again.", code="not_in_voice"
            )
        async with self._door:
            call = await self._come(channel)
            call.stays = True
        return channel.name

    async def leave(self) -> str | None:
        """Go, whatever is being said."""
        async with self._door:
            if (call := _call_in(self._guild)) is None:
                return None
            left = call.channel.name
            await call.disconnect(force=True)
            return left

    async def say(self, audio: bytes) -> bool:
        """Have it heard where we are."""
        return await self._heard(Packets(audio))

    async def play(self, name: str, recording: bytes) -> bool:
        """Have a person's recording heard where we are."""
        return await self._heard(await asyncio.to_thread(playable, name, recording))

    async def _heard(self, sound: discord.AudioSource) -> bool:
        async with self._door:
            if call := _call_in(self._guild):
                call.say(sound)
            return call is not None

    async def answer(self, parts: AsyncIterator[bytes]) -> bool:
        """Have them heard where they are, if we are there or can come; the first before the last is there."""
        channel, growing = self._theirs(), Growing()
        if channel is None or self.are_elsewhere() or not self._may_speak_in(channel):
            return False
        growing.add(await anext(parts))  # what cannot be said is nothing to come for
        if not await self._answered(channel, growing):
            return False
        try:
            async for part in parts:
                if growing.over:
                    break
                growing.add(part)
        finally:
            growing.end()
        return True

    def _may_speak_in(self, channel: Channel) -> bool:
        """Whether we are there, or nothing that is known keeps us from it: nothing is spoken in vain."""
        try:
            if _call_in(self._guild) is None:
                _refuse_closed(channel)
        except ChorusError as error:
            log.info(UNHEARD, code=error.code)
            return False
        return True

    async def _answered(self, channel: Channel, sound: Growing) -> bool:
        """Whether it is going to be heard there."""
        async with self._door:
            if (call := _call_in(self._guild)) and call.channel != channel:
                return False
            try:
                (await self._come(channel)).say(sound)
            except ChorusError as error:
                log.info(UNHEARD, code=error.code)
                return False
            return True

    async def skip(self) -> bool:
        """Go on with what waits."""
        if (call := _call_in(self._guild)) is None or not call.talks:
            return False
        call.skip()
        return True

    async def stop(self) -> bool:
        """Be silent; a line that waits is dropped with what is being said."""
        if (call := _call_in(self._guild)) is None or not call.talks:
            return False
        call.stop()
        return True

    def _theirs(self) -> Channel | None:
        return self._person.voice.channel if self._person.voice else None

    async def _come(self, channel: Channel) -> Call:
        """Be there, behind the door. Raises `InvalidInput`, `NotPermitted`, `Conflict`, `Unavailable`."""
        call = _call_in(self._guild)
        if call and call.channel == channel:
            return call
        _refuse_closed(channel)
        try:
            if call:
                await call.disconnect(force=True)  # to be moved, we would have to stop being deaf
            new = partial[Call](Call, door=self._door)
            return await channel.connect(cls=new, timeout=CONNECT_WITHIN, self_deaf=True)
        except FAILURES as error:
            log.warning("no voice connection", guild=str(self._guild.id), error=reason(error))
            raise Unavailable(
                "Discord's voice server does not answer me. Try again in a minute.", code="voice_unavailable"
            ) from None


def _call_in(guild: discord.Guild) -> Call | None:
    return guild.voice_client if isinstance(guild.voice_client, Call) else None


def _is_alone(call: Call | None) -> bool:
    """Whether nobody hears us but other bots. Who is not known is taken for a person."""
    if call is None:
        return False
    there = (call.guild.get_member(person) for person in call.channel.voice_states)
    return all(member is not None and member.bot for member in there)


def _refuse_closed(channel: Channel) -> None:
    """Raises what keeps us from coming."""
    name, ours = in_short(channel.name), channel.permissions_for(channel.guild.me)
    if not (has_nacl and has_dave):
        raise Unavailable(
            "I have no voice: the operator has to install `discord.py[voice]`.", code="voice_missing"
        )
    if isinstance(channel, discord.StageChannel):
        raise InvalidInput(
            f"{name} is a stage, where I cannot speak. Go into a voice channel, and ask again.",
            code="stage_channel",
        )
    if missing := lacking(TO_SPEAK, ours):
        raise NotPermitted(f"I lack {in_words(missing)} in {name}. {HOW_TO_MEND}", code="voice_forbidden")
    if 0 < channel.user_limit <= len(channel.voice_states) and not ours.move_members:
        raise Conflict(f"{name} is full. Make room for one more, and ask again.", code="voice_full")
