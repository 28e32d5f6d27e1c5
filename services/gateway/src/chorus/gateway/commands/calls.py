"""What speaking in voice channels needs of the place where a command was given."""

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

    async def answer(self, audio: bytes) -> bool:
        """Have it heard where they are. Where we are in none, we come, and go after it.

        Returns False where they cannot be reached so: they are in none, or we are in another or may not come.
        """
        ...

    async def skip(self) -> bool:
        """Go on with what waits; False where nothing was being said."""
        ...

    async def stop(self) -> bool:
        """Be silent, and drop what waits; False where nothing was being said."""
        ...
