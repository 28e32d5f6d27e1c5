"""Whose recording, and how large. Pure."""

from chorus.common.contracts.storage import FILES, ObjectRef
from chorus.common.contracts.wire import MIB
from chorus.common.errors import NotPermitted, TooLarge


def check_recording(audio: ObjectRef, guild: str, *, most: int) -> None:
    """Raises `NotPermitted` unless it is a file of this guild, `TooLarge` beyond `most` bytes."""
    if not audio.belongs_to(guild, FILES):
        raise NotPermitted("This recording belongs to another guild.", code="other_guild")
    if audio.size > most:
        raise TooLarge(
            f"The recording has {audio.size / MIB:.1f} MiB; at most {most / MIB:.0f} MiB are taken. "
            "Send a shorter one.",
            code="audio_too_large",
            param="audio",
        )
