"""What we say in one voice channel, one thing after the other.

discord.py has the connection, its encryption, and the thread that keeps the time.
"""

import asyncio
from collections import deque

import discord
import structlog

from chorus.common.errors import Unavailable
from chorus.gateway.frontends.discord.failures import FAILURES, reason

MOST_WAITING = 16  # of what is to be said in one channel
BACK_WITHIN = 30.0  # seconds that a broken connection is waited for

log = structlog.get_logger()


class Call(discord.VoiceClient):
    """Our part in one voice channel: what we say waits in line, and is said in turn.

    Behind the `door`, which is the server's, nobody comes, goes or begins to speak at the same time.
    """

    def __init__(self, client: discord.Client, channel: discord.abc.Connectable, door: asyncio.Lock) -> None:
        super().__init__(client, channel)
        self.stays = False
        """Whether we are to be here when all is said."""
        self._door = door
        self._waiting: deque[discord.AudioSource] = deque()
        self._talking: asyncio.Task[None] | None = None

    @property
    def talks(self) -> bool:
        """Whether something is being said, or waits to be."""
        return self._talking is not None and not self._talking.done()

    def say(self, sound: discord.AudioSource) -> None:
        """Have it said after what waits, and cleaned up then; behind the door. Raises `Unavailable`."""
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable(
                f"{MOST_WAITING} things wait to be said in the voice channel. Wait for them, or `!stop` me.",
                code="voice_busy",
            )
        self._waiting.append(sound)
        if not self.talks:
            self._talking = asyncio.create_task(self._talk())

    def skip(self) -> None:
        """End what is being said."""
        super().stop()

    def stop(self) -> None:
        """End all of it. discord.py does so when the connection ends, whoever ended it."""
        while self._waiting:
            self._waiting.popleft().cleanup()
        super().stop()

    async def _talk(self) -> None:
        while not await self._is_done():
            await self._play(self._waiting.popleft())

    async def _is_done(self) -> bool:
        """Whether nothing is left to say; then we go, unless we are to stay, or are gone already."""
        async with self._door:
            if self._waiting:
                return False
            if not self.stays and self.guild.voice_client is self:
                await self.disconnect(force=True)
            self._talking = None
            return True

    async def _play(self, sound: discord.AudioSource) -> None:
        """Say it to its end. What cannot be said is passed over: the next may do better."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def after(error: Exception | None) -> None:
            if error:
                log.warning("what was being said broke off", error=repr(error))
            loop.call_soon_threadsafe(ended.set)

        try:
            if not self.is_connected():
                await asyncio.to_thread(self.wait_until_connected, BACK_WITHIN)
            self.play(sound, after=after)
        except FAILURES as error:
            sound.cleanup()
            log.warning("not said in the voice channel", error=reason(error))
        else:
            await ended.wait()
