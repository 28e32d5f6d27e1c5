"""Voice messages: what Discord shows as something said. discord.py reads them; here is how they are sent.

Such a message has one file, its length, how loud it is in the course of it, and no words.
"""

import base64
import io
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import discord
from discord.http import HTTPClient, MultipartParameters, handle_message_parameters
from discord.webhook.async_ import async_context

from chorus.gateway.commands.replies import Audio
from chorus.gateway.frontends.discord.sounds import Packets

POINTS = 256  # of a waveform, at most
A_POINT = 5  # packets: one for each tenth of a second
LOUDEST = 255


class Recording(discord.File):
    """The file of a voice message. Raises `OggError` for what is no OGG."""

    def __init__(self, audio: Audio) -> None:
        super().__init__(io.BytesIO(audio.data), PurePath(audio.name).name)
        self._about = {"duration_secs": round(audio.seconds, 3), "waveform": waveform(audio.data)}

    def to_dict(self, index: int) -> dict[str, Any]:
        """As Discord wants to be told of it."""
        return {**super().to_dict(index), **self._about}


async def post(
    http: HTTPClient, channel: int, audio: Audio, reference: discord.MessageReference | None
) -> None:
    """Say it in a channel, in reply to a message. Raises what Discord refuses."""
    with _parameters(audio, discord.MessageFlags(voice=True), reference) as parameters:
        await http.send_message(channel, params=parameters)


async def follow_up(hook: discord.Webhook, audio: Audio, *, hidden: bool) -> None:
    """Say it after an interaction. Raises what Discord refuses."""
    flags = discord.MessageFlags(voice=True, ephemeral=hidden)
    with _parameters(audio, flags) as parameters:
        await async_context.get().execute_webhook(
            hook.id,
            hook.token or "",
            session=hook.session,
            multipart=parameters.multipart,
            files=parameters.files,
            wait=True,
        )


def waveform(ogg: bytes) -> str:
    """How loud it is, in base64, a byte for each tenth of a second as far as there is room for it.

    It is told by how many bytes Opus needs: for silence few, and the more, the more there is to hear.
    """
    sizes = [len(packet) for packet in iter(Packets(ogg).read, b"")] or [0]
    points = max(1, min(POINTS, len(sizes) // A_POINT))
    edges = [point * len(sizes) // points for point in range(points + 1)]
    loud = [max(sizes[begin:end]) for begin, end in pairwise(edges)]
    most = max(*loud, 1)
    return base64.b64encode(bytes(LOUDEST * size // most for size in loud)).decode()


def _parameters(
    audio: Audio, flags: discord.MessageFlags, reference: discord.MessageReference | None = None
) -> MultipartParameters:
    parameters = handle_message_parameters(
        file=Recording(audio),
        flags=flags,
        allowed_mentions=discord.AllowedMentions.none(),
        message_reference=reference.to_message_reference_dict() if reference else discord.utils.MISSING,
    )
    for part in (parameters.multipart or [])[1:]:  # the first is the message
        part["content_type"] = "audio/ogg"
    return parameters
