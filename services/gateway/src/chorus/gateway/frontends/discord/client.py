"""Our member of Discord: hears messages, answers each once, ends cleanly."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import aiohttp
import discord
import structlog

from chorus.common.contracts.guild import PREFIX
from chorus.common.telemetry.logging import bind
from chorus.gateway.commands.context import Chorus, Context, Trust
from chorus.gateway.commands.replies import Form, Progress, Reply, Stream
from chorus.gateway.commands.table import run, run_filled_in
from chorus.gateway.frontends.discord.buttons import Press, on
from chorus.gateway.frontends.discord.cards import Cards
from chorus.gateway.frontends.discord.files import AttachedFiles
from chorus.gateway.frontends.discord.followups import AfterPress, AfterSlash, Unanswered
from chorus.gateway.frontends.discord.forms import form_of, line_of
from chorus.gateway.frontends.discord.history import GuildHistory
from chorus.gateway.frontends.discord.identify import Lanes, Sharded
from chorus.gateway.frontends.discord.job_card import Shown
from chorus.gateway.frontends.discord.limits import observing
from chorus.gateway.frontends.discord.messages import names_of
from chorus.gateway.frontends.discord.origin import Origin, of_interaction, of_message, of_reaction
from chorus.gateway.frontends.discord.people import GuildPeople
from chorus.gateway.frontends.discord.place import Beneath, Manner, Place
from chorus.gateway.frontends.discord.refused import tell_why
from chorus.gateway.frontends.discord.render import Renderer
from chorus.gateway.frontends.discord.rooms import Room, Rooms
from chorus.gateway.frontends.discord.talk import Talk
from chorus.gateway.frontends.discord.tree import register, tree_of
from chorus.gateway.frontends.discord.work import Work
from chorus.gateway.settings import GatewaySettings

THUMBS = {"👍": "up", "👎": "down"}
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
    ) -> None:
        super().__init__(
            settings,
            lanes,
            on_login,
            allowed_mentions=discord.AllowedMentions.none(),  # whatever a model writes, nobody is pinged
            chunk_guilds_at_startup=False,
            guild_ready_timeout=GUILDS_WITHIN,
            max_messages=None,
            http_trace=observing(rooms),
            max_ratelimit_timeout=RATE_LIMITED_AT_MOST,
        )
        logging.getLogger("discord").setLevel(logging.INFO)  # below, it logs what people say, and tokens
        self._chorus = chorus
        self._settings = settings
        self._rooms = rooms
        self._work = Work()
        self._talk = Talk(chorus.guilds, rooms, settings.discord_cdn)
        self._cards = Cards(self, chorus, rooms, self._work)
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._tree = tree_of(self, self._filled_in)

    async def setup_hook(self) -> None:
        """Before the first connection: what can be pressed, and what Discord lists of us."""
        self.add_dynamic_items(Press)
        await register(self._tree, self._settings.cache)
        self._cards.begin()

    async def on_message(self, message: discord.Message) -> None:
        """Answer a message that is meant for us, once."""
        if (us := self.user) is None or (line := await self._talk.line(message, us.id)) is None:
            return
        await self._answer(
            of_message(message), Beneath(message), lambda ctx: self._talk.run(ctx, message, line, us.id)
        )

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
        await self._answer(
            origin, AfterSlash(interaction), lambda ctx: run_filled_in(ctx, name, values, options)
        )

    async def pressed(self, interaction: discord.Interaction[Any], line: str, form: Form | None) -> None:
        """Run the line of a button that was pressed, or ask for its form's words first."""
        meant = on(interaction.message.id, line) if interaction.message else line
        if form is None:
            await self._run_for(interaction, meant)
        else:
            await interaction.response.send_modal(form_of(meant, form, interaction.message))

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Run the line of a form that was sent in; discord.py itself hands the rest on."""
        if (line := line_of(interaction)) is not None:
            await self._run_for(interaction, line)

    async def _run_for(self, interaction: discord.Interaction[Any], line: str) -> None:
        await self._answer(of_interaction(interaction), AfterPress(interaction), lambda ctx: run(ctx, line))

    async def on_raw_reaction_add(self, reaction: discord.RawReactionActionEvent) -> None:
        """A thumb below a message of ours is feedback on it, without a word from us."""
        opinion = THUMBS.get((reaction.emoji.name or "")[:1])  # what follows is the thumb's colour
        us = self.user.id if self.user else None
        if opinion is None or reaction.message_author_id != us or reaction.user_id == us:
            return
        person = reaction.member or await self.fetch_user(reaction.user_id)
        line = f"{PREFIX}feedback {opinion} reply={reaction.message_id}"
        if not person.bot:
            await self._answer(of_reaction(reaction, person), Unanswered(), lambda ctx: run(ctx, line))

    async def _answer(
        self, origin: Origin, manner: Manner, work: Callable[[Context], Awaitable[Reply]]
    ) -> None:
        """Answer what was asked, once. What Discord refuses is told in the log."""
        if self._work.stopping or self._is_seen(origin.id):
            return
        room = self._rooms.of(origin.room, origin.guild)
        with bind(guild=room.guild, channel=str(origin.room), message=str(origin.id)):
            try:
                async with manner:
                    with self._work.in_hand(lasting=False):
                        reply = await work(self._context(origin, room))
                    if not isinstance(reply, Stream):
                        self._talk.changed(room.guild)
                    with self._work.in_hand(lasting=isinstance(reply, Progress)):
                        if place := await manner.place_for(reply):
                            await self._show(reply, place, room, origin)
                room.silenced = False
            except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
                if isinstance(error, discord.Forbidden) and not room.silenced:
                    await tell_why(origin.person, self.get_channel(origin.room))
                self._tell_refusal(error, room)

    async def _show(self, reply: Reply, place: Place, room: Room, origin: Origin) -> None:
        if isinstance(reply, Progress):
            shown = Shown(origin.guild, origin.room, str(origin.person.id))
            pressed_on = origin.reply_to if origin.via == "form" else None
            await self._cards.show(reply, place, room.pace, shown, key=str(origin.id), on=pressed_on)
        else:
            await Renderer(place, room.pace).show(reply)

    def _is_seen(self, event: int) -> bool:
        seen = event in self._seen
        self._seen[event] = None
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)
        return seen

    def _context(self, origin: Origin, room: Room) -> Context:
        settings, person = self._settings, origin.person
        return Context(
            chorus=self._chorus,
            guild=origin.guild,
            user=str(person.id),
            session=room.session,
            forget_conversations=partial(self._rooms.forget, origin.guild, origin.id),
            files=AttachedFiles(origin.attachments, settings.discord_cdn, settings.max_upload),
            key=str(origin.id),
            admin=origin.admin,
            names=names_of(person),
            trust=Trust(settings.train_on_messages, settings.train_permission or None, origin.via),
            channel=origin.channel,
            reply_to=origin.reply_to,
            roles=origin.roles,
            overhears=settings.discord_intents == "messages",
            people=GuildPeople(person.guild) if isinstance(person, discord.Member) else None,
            history=GuildHistory(self, person) if isinstance(person, discord.Member) else None,
        )

    async def tell(self, text: str, rooms: Mapping[int, Room]) -> None:
        """Say what nobody asked for, in these channels."""
        for channel, room in rooms.items():
            with bind(guild=room.guild, channel=str(channel)):
                try:
                    await self.get_partial_messageable(channel).send(text, suppress_embeds=True)
                except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
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
            log.warning("Discord did not take a reply", error=str(error) or repr(error))

    async def on_error(self, event_method: str, /, *_args: object, **_kwargs: object) -> None:
        """Whatever a handler raises: a line in the log, and we go on."""
        log.exception("event failed", handler=event_method)  # noqa: LOG004 - called while it is handled

    async def leave(self, grace: float) -> None:
        """Finish what is in hand within `grace` seconds, say good-bye, close."""
        await self._work.stop(grace)
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self.close()
