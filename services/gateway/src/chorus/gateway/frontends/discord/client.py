"""Our member of Discord: hears messages, answers each once, ends cleanly."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import discord
import structlog
from prometheus_client import CollectorRegistry

from chorus.common.contracts.guild import GuildSettings
from chorus.common.telemetry.logging import bind
from chorus.common.telemetry.tracing import span
from chorus.gateway.commands.context import Chorus, Context, Trust
from chorus.gateway.commands.recent import Recent
from chorus.gateway.commands.replies import THIS, Form, Progress, Reply, Stream
from chorus.gateway.commands.table import run, run_filled_in
from chorus.gateway.frontends.discord.attached import recordings_of
from chorus.gateway.frontends.discord.buttons import Press, on
from chorus.gateway.frontends.discord.cards import Cards
from chorus.gateway.frontends.discord.chosen import Chosen
from chorus.gateway.frontends.discord.failures import FAILURES, reason
from chorus.gateway.frontends.discord.files import AttachedFiles
from chorus.gateway.frontends.discord.followups import AfterPress, AfterSlash, Unanswered
from chorus.gateway.frontends.discord.forms import Words, form_of, line_of
from chorus.gateway.frontends.discord.greeting import greet, has_just_come
from chorus.gateway.frontends.discord.history import GuildHistory
from chorus.gateway.frontends.discord.identify import Lanes, Sharded
from chorus.gateway.frontends.discord.job_card import Shown
from chorus.gateway.frontends.discord.limits import tracing
from chorus.gateway.frontends.discord.messages import Ear, by_a_person, heard, names_of
from chorus.gateway.frontends.discord.missed import missed
from chorus.gateway.frontends.discord.origin import Origin, of_interaction, of_message, of_reaction
from chorus.gateway.frontends.discord.people import GuildPeople
from chorus.gateway.frontends.discord.place import Beneath, Manner, Place
from chorus.gateway.frontends.discord.refused import tell_why
from chorus.gateway.frontends.discord.render import Renderer
from chorus.gateway.frontends.discord.rooms import Room, Rooms
from chorus.gateway.frontends.discord.said import SAY
from chorus.gateway.frontends.discord.talk import Talk
from chorus.gateway.frontends.discord.thumbs import is_on_an_answer, line_of_thumb, person_of
from chorus.gateway.frontends.discord.tree import register, tree_of
from chorus.gateway.frontends.discord.unfinished import Answering
from chorus.gateway.frontends.discord.voice import VoiceChannels
from chorus.gateway.frontends.discord.work import Work
from chorus.gateway.metrics import DiscordMetrics
from chorus.gateway.settings import GatewaySettings

SEEN = 1000  # events; after a broken connection Discord may deliver some of them again
RATE_LIMITED_AT_MOST = 60.0  # seconds that a request waits for its turn at Discord
GUILDS_WITHIN = 1.0  # seconds without one more server until all are known
CLOSE_WITHIN = 5.0  # seconds

log = structlog.get_logger()


class Client(Sharded):
    """Our connections to Discord, from login to close. After a close comes a new client."""

    def __init__(
        self,
        chorus: Chorus,
        settings: GatewaySettings,
        rooms: Rooms,
        lanes: Lanes,
        on_login: Callable[[str], None],
        metrics: DiscordMetrics | None = None,
    ) -> None:
        super().__init__(
            settings,
            lanes,
            on_login,
            allowed_mentions=discord.AllowedMentions.none(),  # whatever a model writes, nobody is pinged
            chunk_guilds_at_startup=False,
            guild_ready_timeout=GUILDS_WITHIN,
            max_messages=None,
            http_trace=tracing(
                rooms, settings.discord_requests, metrics or DiscordMetrics(CollectorRegistry())
            ),
            max_ratelimit_timeout=RATE_LIMITED_AT_MOST,
        )
        logging.getLogger("discord").setLevel(logging.INFO)  # below, it logs what people say, and tokens
        self._chorus = chorus
        self._settings = settings
        self._rooms = rooms
        self._work = Work()
        self._voice = VoiceChannels()
        self._chosen = Chosen(chorus.guilds)
        self._talk = Talk(rooms, settings.discord_cdn)
        self._words = Words(chorus.replies)
        self._cards = Cards(self, chorus, rooms, self._work)
        self._answering = Answering(self, chorus.unfinished, self._work, self.on_message)
        self._seen: Recent[Hashable, bool] = Recent(SEEN)
        self.tree = tree_of(self, self._filled_in)

    async def setup_hook(self) -> None:
        """Before the first connection: what can be pressed, and what Discord lists of us."""
        self.add_dynamic_items(Press)
        await register(self.tree, self._settings.cache)
        self._cards.begin()
        self._answering.begin()

    async def on_message(self, message: discord.Message) -> None:
        """Answer a message that is meant for us, once."""
        if not by_a_person(message):
            return
        origin = of_message(message)
        ear = await self._ear_for(origin)
        if (line := self._talk.line(message, ear)) is not None:
            beneath = Beneath(message, self.http)
            await self._answer(origin, beneath, lambda ctx: self._talk.run(ctx, message, line, ear))

    async def _is_for_us(self, message: discord.Message) -> bool:
        """Whether it would be answered if it came now."""
        return heard(message, await self._ear_for(of_message(message))) is not None

    async def _ear_for(self, origin: Origin) -> Ear:
        assert self.user is not None, "who hears is logged in"
        return _ear(self.user.id, await self._chosen.of(origin.guild), origin)

    async def _filled_in(
        self,
        interaction: discord.Interaction[Any],
        name: str,
        values: Mapping[str, Any],
        options: str,
        files: Sequence[discord.Attachment],
    ) -> None:
        """Answer a slash command."""
        origin = of_interaction(interaction, files)

        async def work(ctx: Context) -> Reply:
            return await run_filled_in(ctx, name, values, options)

        async def said(ctx: Context) -> Reply:
            assert self.user is not None, "who hears is logged in"
            ear = _ear(self.user.id, ctx.settings, origin)
            return await self._talk.say(ctx, interaction, ear, work)

        await self._answer(origin, AfterSlash(interaction), said if name == SAY else work)

    async def pressed(self, interaction: discord.Interaction[Any], line: str, form: Form | None) -> None:
        """Run the line of a button that was pressed, or ask for its form's words first."""
        meant = on(interaction.message.id, line) if interaction.message else line
        if form is None:
            await self._run_for(interaction, meant)
        else:
            await self.asked_for_words(interaction, meant, form, interaction.message)

    async def asked_for_words(
        self, interaction: discord.Interaction[Any], line: str, form: Form, about: discord.Message | None
    ) -> None:
        """Ask for a form's words; where they are to be what a message of ours says, that stands there."""
        words = await self._words.of(interaction, about) if about and form.text == THIS else form.text
        await interaction.response.send_modal(form_of(line, form, words))

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Run the line of a form that was sent in; discord.py itself hands the rest on."""
        if (line := line_of(interaction)) is not None:
            await self._run_for(interaction, line)

    async def _run_for(self, interaction: discord.Interaction[Any], line: str) -> None:
        origin = of_interaction(interaction)
        manner = AfterPress(interaction)
        await self._answer(origin, manner, lambda ctx: self._talk.pressed(ctx, origin, line))

    async def on_raw_reaction_add(self, reaction: discord.RawReactionActionEvent) -> None:
        """A thumb below a message of ours is feedback on it, without a word from us."""
        line = line_of_thumb(reaction, self.user.id if self.user else None)
        if line is None or (person := await person_of(self, reaction)) is None or person.bot:
            return
        origin = of_reaction(reaction, person, self.get_channel(reaction.channel_id))
        await self._answer(origin, Unanswered(), lambda ctx: run(ctx, line), once=False)

    async def on_raw_reaction_remove(self, reaction: discord.RawReactionActionEvent) -> None:
        """A thumb that is taken away is a vote that is taken back, if it was below an answer of ours."""
        if line_of_thumb(reaction, None) and await is_on_an_answer(reaction, self._chorus.replies):
            await self.on_raw_reaction_add(reaction)

    async def on_ready(self) -> None:
        """Logged in: now Discord tells also where we were left behind, and where something was missed."""
        await super().on_ready()
        await self._voice.leave_ghosts(self)
        with self._work.in_hand(lasting=True):
            async for message in missed(self, self._is_for_us):
                self.dispatch("message", message)  # as if it came now

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """We came to a server: say who we are, once each time."""
        if has_just_come(guild) and not self._is_seen((guild.id, guild.me.joined_at)):
            with self._work.in_hand(lasting=False):
                await greet(self, guild, self._settings.train_on_messages)

    async def on_voice_state_update(
        self, member: discord.Member, _before: discord.VoiceState, _after: discord.VoiceState
    ) -> None:
        """Somebody came to a voice channel, or went: where nobody is left, we go."""
        await self._voice.changed(member.guild)

    async def _answer(
        self,
        origin: Origin,
        manner: Manner,
        work: Callable[[Context], Awaitable[Reply]],
        *,
        once: bool = True,
    ) -> None:
        """Answer what was asked, once where it has an id. What Discord refuses is told in the log."""
        if self._work.stopping or (once and self._is_seen(origin.id)):
            return
        room = self._rooms.of(origin.room, origin.guild)
        message = str(origin.id)
        with (
            bind(guild=room.guild, channel=str(origin.room), message=message),
            span("command", guild=room.guild, message=message),
        ):
            try:
                async with manner:
                    with self._work.in_hand(lasting=False):
                        reply = await work(await self._context(origin, room))
                    if not isinstance(reply, Stream):  # all else may have changed them
                        self._chosen.forget(room.guild)
                    with self._work.in_hand(lasting=isinstance(reply, Progress)):
                        if place := await manner.place_for(reply):
                            await self._show(reply, place, room, origin)
                room.silenced = False
            except FAILURES as error:
                await self._refused(error, origin, room)

    async def _refused(self, error: Exception, origin: Origin, room: Room) -> None:
        """Tell it in the log, and, where we may not speak, tell whoever asked, once."""
        is_news = isinstance(error, discord.Forbidden) and not room.silenced
        self._tell_refusal(error, room)
        if is_news:
            with self._work.in_hand(lasting=False):
                await tell_why(origin.person, self.get_channel(origin.room))

    async def _show(self, reply: Reply, place: Place, room: Room, origin: Origin) -> None:
        if isinstance(reply, Progress):
            shown = Shown(origin.guild, origin.room, str(origin.person.id))
            pressed_on = origin.reply_to if origin.via == "form" else None
            await self._cards.show(reply, place, room.pace, shown, key=str(origin.id), on=pressed_on)
        elif isinstance(reply, Stream):
            async with self._answering.noted(place, origin) as noted:
                await Renderer(noted, room.pace).show(reply)
        else:
            await Renderer(place, room.pace).show(reply)

    def _is_seen(self, event: Hashable) -> bool:
        seen = bool(self._seen.get(event))
        self._seen.put(event, True)
        return seen

    async def _context(self, origin: Origin, room: Room) -> Context:
        settings, person = self._settings, origin.person
        chosen = await self._chosen.of(origin.guild)
        recordings = recordings_of(origin.attachments) if _ear(0, chosen, origin).hears else []
        files = AttachedFiles(origin.attachments, settings.discord_cdn, settings.max_upload, origin.answered)
        return Context(
            chorus=self._chorus,
            guild=origin.guild,
            user=str(person.id),
            session=room.session,
            forget_conversations=partial(self._rooms.forget, origin.guild, origin.id),
            files=files,
            key=str(origin.id),
            admin=origin.admin,
            names=names_of(person),
            trust=Trust(settings.train_on_messages, settings.train_permission or None, origin.via),
            channel=origin.channel,
            room=str(origin.room),
            reply_to=origin.reply_to,
            recordings=files.names(recordings),
            answered_files=files.names(origin.answered),
            told=self._talk.told(origin, recordings),
            roles=origin.roles,
            settings=chosen,
            overhears=settings.discord_intents == "messages",
            people=GuildPeople(person) if isinstance(person, discord.Member) else None,
            history=GuildHistory(self, person) if isinstance(person, discord.Member) else None,
            calls=self._voice.of(person) if isinstance(person, discord.Member) else None,
        )

    async def tell(self, text: str, rooms: Mapping[int, Room]) -> None:
        """Say what nobody asked for, in these channels."""
        for channel, room in rooms.items():
            with bind(guild=room.guild, channel=str(channel)):
                try:
                    await self.get_partial_messageable(channel).send(text, suppress_embeds=True)
                except FAILURES as error:
                    self._tell_refusal(error, room)

    def _tell_refusal(self, error: Exception, room: Room) -> None:
        """One line in the log; where we may not speak, one line until we may again."""
        if isinstance(error, discord.Forbidden):
            if not room.silenced:
                log.warning("Discord does not let us speak in this channel", error=str(error))
            room.silenced = True
        elif isinstance(error, discord.NotFound):
            log.info("message is gone; its reply was left", error=str(error))
        else:
            log.warning("Discord did not take a reply", error=reason(error))

    async def on_error(self, event_method: str, /, *_args: object, **_kwargs: object) -> None:
        """Whatever a handler raises: a line in the log, and we go on."""
        log.exception("event failed", handler=event_method)  # noqa: LOG004 - called while it is handled

    async def leave(self, grace: float) -> None:
        """Finish what is in hand within `grace` seconds, say good-bye, close."""
        await self._work.stop(grace)
        await self._voice.leave_all(self)
        with suppress(*FAILURES):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self.close()


def _ear(me: int, chosen: GuildSettings | None, origin: Origin) -> Ear:
    """How to listen there; in direct messages there is nothing to choose."""
    if chosen is None:
        return Ear(me)
    here = chosen.in_channel(origin.channel)
    return Ear(me, chosen.prefix, here.listen, here.hear)
