"""What speaking in voice channels needs of the place where a command was given."""

from collections.abc import AsyncIterator
from typing import Protocol


class Calls(Protocol):
    """A server's voice channels, as whoever asks finds them: they are in one of them, or in none."""

    def are_elsewhere(self) -> bool:
        """Whether we are in a voice channel, and they are not in it: what is heard there is not theirs."""
        ...

    async def join(self) -> str:
        """Come to where they are, and stay; returns the channel's name.

        Raises `InvalidInput` where they are in none, `NotPermitted`, `Conflict` where it is full,
        `Unavailable`.
        """
        ...

    async def leave(self) -> str | None:
        """Go; returns the name of the channel where we were, None where we were in none."""
        ...

    async def say(self, audio: bytes) -> bool:
        """Have OGG Opus heard where we are, after what waits to be heard; False where we are in none.

        Raises `Unavailable` where too much waits.
        """
        ...

    async def play(self, name: str, recording: bytes) -> bool:
        """Have a person's recording heard where we are, after what waits; False where we are in none.

        Raises `InvalidInput`, `Unavailable` where it cannot be played.
        """
        ...

    async def answer(self, parts: AsyncIterator[bytes]) -> bool:
        """Have OGG Opus heard where they are, one part after the other, while later ones are being made.

        Where we are in none, we come, and go after it. Returns False where they cannot be reached so: they
        are in none, or we are in another or may not come. Raises what `parts` raise.
        """
        ...

    async def skip(self) -> bool:
        """Go on with what waits; False where nothing was being said."""
        ...

    async def stop(self) -> bool:
        """Be silent, and drop what waits; False where nothing was being said."""
        ...
