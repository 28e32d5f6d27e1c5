"""A double of a place on Discord: it keeps each message with all that it ever said, and when."""

import asyncio

from chorus.gateway.commands.replies import Audio
from chorus.gateway.frontends.discord.place import Buttons, Posted
from chorus.gateway.frontends.discord.render import Renderer
from chorus.gateway.frontends.discord.streaming import Pace

EVERY = 0.05  # seconds


class FakePosted:
    def __init__(self, text: str, buttons: Buttons = (), number: int = 0) -> None:
        self.versions = [(asyncio.get_running_loop().time(), text)]
        self.buttons = buttons
        self.id = str(number)

    async def edit(self, text: str, buttons: Buttons = ()) -> None:
        self.buttons = buttons
        self.versions.append((asyncio.get_running_loop().time(), text))

    @property
    def text(self) -> str:
        return self.versions[-1][1]


class FakePlace:
    largest_file = 100  # bytes

    def __init__(self) -> None:
        self.posted: list[FakePosted] = []
        self.files: list[tuple[str, bytes]] = []
        self.private: FakePlace | None = None

    async def send(self, text: str, buttons: Buttons = ()) -> Posted:
        self.posted.append(FakePosted(text, buttons, len(self.posted)))
        return self.posted[-1]

    async def attach(self, name: str, data: bytes, text: str = "", buttons: Buttons = ()) -> None:
        assert len(data) <= self.largest_file or name.endswith(".png")
        if text:
            self.posted.append(FakePosted(text))
        self.files.append((name, data))

    async def speak(self, audio: Audio) -> None:
        self.files.append((audio.name, audio.data))

    def aside(self) -> "FakePlace | None":
        return self.private

    @property
    def texts(self) -> list[str]:
        return [posted.text for posted in self.posted]


def renderer(place: FakePlace, every: float = EVERY) -> Renderer:
    return Renderer(place, a_pace(every))


def a_pace(every: float = EVERY) -> Pace:
    """As on Discord, but faster."""
    return Pace(every, within=every * 4)
