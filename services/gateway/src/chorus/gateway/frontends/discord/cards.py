"""Trainings that are watched on Discord: each is shown in one card, by one process of ours.

A card goes on in its message when we are restarted, and where a process was killed another one takes its
cards over (`contracts.cards`). Who shows a job somewhere else moves its card there.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import discord
import structlog

from chorus.common.contracts.cards import LOOK_EVERY, CardState, JobCard
from chorus.common.contracts.names import job_id
from chorus.common.contracts.training import JobState
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError, NotFound
from chorus.common.telemetry.logging import bind
from chorus.gateway.commands.context import Chorus
from chorus.gateway.commands.replies import Moment, Problem, Progress
from chorus.gateway.commands.telling import course, ended_in_words
from chorus.gateway.frontends.discord.failures import FAILURES, reason
from chorus.gateway.frontends.discord.job_card import CardPlace, InRoom, Shown, goes_on, to_its_end
from chorus.gateway.frontends.discord.place import Place
from chorus.gateway.frontends.discord.render import Renderer
from chorus.gateway.frontends.discord.rooms import Rooms
from chorus.gateway.frontends.discord.streaming import Pace
from chorus.gateway.frontends.discord.work import Work, tried

NOT_QUEUED = "I was restarted before this training was in the queue. Ask for it again."

log = structlog.get_logger()


class Cards:
    """The cards that this process follows, and those that it takes up."""

    def __init__(self, client: discord.Client, chorus: Chorus, rooms: Rooms, work: Work) -> None:
        self._client = client
        self._chorus = chorus
        self._store = chorus.cards
        self._rooms = rooms
        self._work = work
        self._holder = uuid.uuid4().hex
        self._followed: dict[str, CardPlace] = {}
        self._changing = asyncio.Lock()  # of what is stored and what we believe of it, together

    # --- what somebody has asked for just now ----------------------------------------------------
    async def show(
        self, progress: Progress, place: Place, pace: Pace, shown: Shown, *, key: str, on: str | None
    ) -> None:
        """Show what takes a while; where it is a job, in its card.

        `key` is what the command was given with: what it has begun before is shown already, and not again.
        `on` is the message that it was pressed on: a card goes on where it is.
        """
        if await tried(self._store.get(shown.guild, job_id(shown.guild, key))):
            return
        known = await tried(self._store.get(shown.guild, progress.job)) if progress.job else None
        if known and known.message == on:
            await tried(self._store.put(known.let_go("live")))
            await self._go_on(known)
            return
        room = self._room(shown.room, place.largest_file)
        await self._follow(CardPlace(shown, place, room, self._keep), progress, pace)

    # --- what was shown before -------------------------------------------------------------------
    def begin(self) -> None:
        """Take them up from now on; once, when we are logged in."""
        self._looking = asyncio.create_task(self._take_up())

    async def _take_up(self) -> None:
        """Follow what nobody follows, and keep hold of what we follow, until cancelled."""
        with self._work.in_hand(lasting=True):
            async with asyncio.TaskGroup() as following:
                while not self._work.stopping:
                    for card in await tried(self._free()) or ():
                        following.create_task(self._taken_up(card))
                    await asyncio.sleep(LOOK_EVERY)

    async def _free(self) -> list[JobCard]:
        """Renew what we hold, and find what nobody follows."""
        async with self._changing:
            for key, place in self._followed.items():
                if place.card and not await self._store.hold(place.card, self._holder):
                    log.info("another process shows this job", card=key)
                    place.lose()
            free = await self._store.free(self._holder)
            return [card for card in free if card.key not in self._followed]

    async def _taken_up(self, card: JobCard) -> None:
        with bind(guild=card.guild, channel=card.channel, message=card.message):
            try:
                await self._go_on(card)
            except FAILURES as error:
                log.warning("a job's card could not be shown", error=reason(error))
            except Exception:  # one card's fault must not end the others
                log.exception("a job's card failed")

    async def _go_on(self, card: JobCard) -> None:
        """Show a job in the message where it was shown before, unless somebody does."""
        shown = Shown(card.guild, int(card.channel), card.who)
        room = self._room(shown.room, discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES)
        moments = ended_in_words(self._course(card))
        place = CardPlace(shown, room, room, self._keep, card)
        async with self._changing:
            if card.key in self._followed or not await tried(self._store.hold(card, self._holder)):
                return
            self._followed[card.key] = place
        await self._follow(place, Progress(card.said, moments), self._rooms.of(shown.room, card.guild).pace)

    async def _course(self, card: JobCard) -> AsyncIterator[Moment]:
        """The job as it goes on; one that we were about to queue when we were killed is not there."""
        try:
            async for moment in course(self._chorus, card.guild, card.job):
                yield moment
        except NotFound:
            yield Moment(outcome=Problem("not_queued", NOT_QUEUED))

    # --- either ----------------------------------------------------------------------------------
    async def _follow(self, place: CardPlace, progress: Progress, pace: Pace) -> None:
        """Show it to its end, or as long as it is ours; then let go of it."""
        state: CardState = "live"
        watched = replace(progress, moments=place.noticed(progress.opening, progress.moments))
        try:
            await Renderer(place, pace).show(watched)
            state = await self._state(place)
        except (discord.NotFound, discord.Forbidden):
            state = "ended"  # somebody has deleted it, or nobody may see it any more
            raise
        finally:
            if place.card:
                await to_its_end(self._let_go(place, place.card, state))

    async def _let_go(self, place: CardPlace, card: JobCard, state: CardState) -> None:
        async with self._changing:
            await tried(self._store.let_go(card, self._holder, state))
            if self._followed.get(card.key) is place:
                del self._followed[card.key]

    async def _state(self, place: CardPlace) -> CardState:
        """What is to become of a card that was shown to its end: it may be that only our news broke off."""
        if place.card is None:
            return "ended"
        try:
            record = await self._chorus.jobs.get(place.card.guild, place.card.job)
        except NotFound:
            return "ended"
        except ChorusError:
            return "live"
        if record.state is JobState.PAUSED:
            return "paused"
        return "ended" if record.state.final else "live"

    async def _keep(self, place: CardPlace, card: JobCard) -> None:
        """Note where a job is shown from now on; the message that showed it before says so."""
        async with self._changing:
            if (elsewhere := self._followed.get(card.key, place)) is not place:
                elsewhere.lose()
            self._followed[card.key] = place
            before = await tried(self._store.get(card.guild, card.job))
            await tried(self._store.put(card.held(self._holder, now())))
        if before and before.message != card.message:
            room = self._room(int(before.channel), discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES)
            try:
                await room.close(before.message, goes_on(before, card))
            except (discord.HTTPException, discord.RateLimited) as error:  # it may be gone, or too old
                log.info("a card's old message was left as it is", error=str(error))

    def _room(self, room: int, largest_file: int) -> InRoom:
        return InRoom(self._client.get_partial_messageable(room), largest_file)
