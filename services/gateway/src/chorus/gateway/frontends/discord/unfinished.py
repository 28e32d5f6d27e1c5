"""No answer is left half: what a process was writing when it was killed is put right by the next one.

Each answer is noted from its first words to its end (`contracts.unfinished`). One whose process is gone says
that it was cut off, and the message that asked for it is answered anew, once. What was asked in another way,
by a slash command or a button, cannot be answered again without whoever asked: they are told.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import discord
import structlog

from chorus.common.contracts.cards import LOOK_EVERY
from chorus.common.contracts.names import is_server, person_of
from chorus.common.contracts.unfinished import Unfinished
from chorus.common.contracts.wire import now
from chorus.common.telemetry.logging import bind
from chorus.gateway.commands.replies import Audio
from chorus.gateway.commands.trainings import UnfinishedAnswers
from chorus.gateway.frontends.discord.failures import FAILURES, reason
from chorus.gateway.frontends.discord.origin import Origin
from chorus.gateway.frontends.discord.people import by_member
from chorus.gateway.frontends.discord.place import Buttons, Place, Posted, Sent
from chorus.gateway.frontends.discord.splitting import LIMIT, closed
from chorus.gateway.frontends.discord.work import Work, tried

CUT_OFF = "\n-# Cut off: I was restarted in the middle of this answer. "
ANEW = "It is answered anew below."
ASK_AGAIN = "Ask again."

log = structlog.get_logger()


class Answering:
    """The answers that this process writes, and those that it finds half. `answer` answers a message."""

    def __init__(
        self,
        client: discord.Client,
        store: UnfinishedAnswers,
        work: Work,
        answer: Callable[[discord.Message], Awaitable[None]],
    ) -> None:
        self._client = client
        self._store = store
        self._work = work
        self._answer = answer
        self._holder = uuid.uuid4().hex
        self._written: dict[str, Unfinished] = {}
        self._anew: set[str] = set()
        self._mending: set[asyncio.Task[None]] = set()

    # --- what is written now ---------------------------------------------------------------------
    @asynccontextmanager
    async def noted(self, place: Place, origin: Origin) -> AsyncGenerator[Place]:
        """The place, for one answer: it is noted as unfinished until this is left.

        Who is cancelled has to go, and leaves the note to who comes next.
        """
        noting = _Noting(place, lambda message: self._note(origin, message))
        try:
            yield noting
        except asyncio.CancelledError:
            raise
        except BaseException:
            await self._forget(origin, noting)
            raise
        await self._forget(origin, noting)

    async def _note(self, origin: Origin, message: str) -> None:
        answer = Unfinished(
            guild=origin.guild,
            asked=str(origin.id),
            room=str(origin.room),
            message=message,
            is_message=origin.message is not None and origin.message.id == origin.id,
            is_second=str(origin.id) in self._anew,
            holder=self._holder,
            held_until=now(),
        ).held(self._holder, now())
        self._written[answer.key] = answer
        await tried(self._store.note(answer))

    async def _forget(self, origin: Origin, noting: "_Noting") -> None:
        await noting.ended()
        if answer := self._written.pop(f"{origin.guild}.{origin.id}", None):
            await tried(self._store.done(answer))

    # --- what others have left -------------------------------------------------------------------
    def begin(self) -> None:
        """Look for it from now on; once, when we are logged in."""
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Put right what others have left, and keep hold of what is ours, until cancelled."""
        with self._work.in_hand(lasting=True):
            await self._client.wait_until_ready()
            while not self._work.stopping:
                for answer in list(self._written.values()):
                    if answer.key in self._written:  # it may have ended while we wrote another one
                        await tried(self._store.renew(answer))
                for answer in await tried(self._store.left(self._holder, self._is_ours)) or ():
                    mending = asyncio.create_task(self._mended(answer))
                    self._mending.add(mending)
                    mending.add_done_callback(self._mending.discard)
                await asyncio.sleep(LOOK_EVERY)

    def _is_ours(self, guild: str) -> bool:
        """Whether our shards serve it; another process knows the other servers better."""
        return not is_server(guild) or self._client.get_guild(int(guild)) is not None

    async def _mended(self, answer: Unfinished) -> None:
        where = bind(guild=answer.guild, channel=answer.room, message=answer.message)
        with where, self._work.in_hand(lasting=False):
            try:
                await self._put_right(answer)
            except FAILURES as error:
                log.warning("a half answer was left as it is", error=reason(error))
            except Exception:  # one answer's fault must not end the others
                log.exception("a half answer could not be put right")
            await tried(self._store.done(answer))

    async def _put_right(self, answer: Unfinished) -> None:
        """Say that it was cut off, and answer the question if it is still there."""
        room = await self._room(answer)
        half = await room.fetch_message(int(answer.message))
        question = None
        if answer.is_message and not answer.is_second:
            question = await _found(room, int(answer.asked))
        note = CUT_OFF + (ANEW if question else ASK_AGAIN)
        await Sent(half).edit(closed(half.content[: LIMIT - len(note) - len("\n```")]) + note)
        if question:
            self._anew.add(answer.asked)
            try:
                await self._answer(question)
            finally:
                self._anew.discard(answer.asked)

    async def _room(self, answer: Unfinished) -> discord.abc.Messageable:
        """Where it was asked. Raises `DiscordException` where that is closed to us."""
        if person := person_of(answer.guild):
            return await (await self._client.fetch_user(int(person))).create_dm()
        room = self._client.get_channel(int(answer.room)) or await self._client.fetch_channel(
            int(answer.room)
        )
        assert isinstance(room, discord.abc.Messageable)
        return room


class _Noting:
    """`Place` that tells of each message, without anybody waiting for that."""

    def __init__(self, place: Place, note: Callable[[str], Awaitable[None]]) -> None:
        self._place = place
        self._note = note
        self._noted: asyncio.Future[None] | None = None

    @property
    def largest_file(self) -> int:
        """As there."""
        return self._place.largest_file

    async def send(self, text: str, buttons: Buttons = ()) -> Posted:
        """As there."""
        posted = await self._place.send(text, buttons)
        await self.ended()
        self._noted = asyncio.ensure_future(self._note(posted.id))
        return posted

    async def attach(self, name: str, data: bytes, text: str = "", buttons: Buttons = ()) -> None:
        """As there."""
        await self._place.attach(name, data, text, buttons)

    async def speak(self, audio: Audio) -> None:
        """As there."""
        await self._place.speak(audio)

    def aside(self) -> Place | None:
        """As there."""
        return self._place.aside()

    async def ended(self) -> None:
        """Wait until what was sent is noted."""
        if self._noted:
            await self._noted


async def _found(room: discord.abc.Messageable, message: int) -> discord.Message | None:
    """The message, its author as a member where it is a server's; None if it is gone."""
    try:
        return await by_member(await room.fetch_message(message))
    except discord.NotFound:
        return None
