"""Whose recording, how large, which language. Pure."""

import difflib
from collections.abc import Collection

from chorus.common.contracts.storage import FILES, ObjectRef
from chorus.common.contracts.wire import MIB
from chorus.common.errors import InvalidInput, NotPermitted, TooLarge


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


def known_language(asked: str, languages: Collection[str]) -> str:
    """The language as the engine calls it. Raises `InvalidInput` with the nearest ones."""
    if (found := fitting(asked, languages)) is not None:
        return found
    by_lower = {language.lower(): language for language in languages}
    wanted = _as_written(asked)
    family = [name for name in sorted(by_lower) if name.split("-")[0] == wanted.split("-")[0]]
    near = family or difflib.get_close_matches(wanted, by_lower, n=3) or ["en-us", "de", "fr", "es"]
    raise InvalidInput(
        f"There is no voice for the language {asked!r}. Of {len(by_lower)} there are, try: "
        f"{', '.join(near[:6])}.",
        code="unknown_language",
        param="language",
    )


def fitting(asked: str, languages: Collection[str]) -> str | None:
    """The language as the engine calls it, or the one that it is a kind of: `de` for `de-AT`. Else None."""
    by_lower = {language.lower(): language for language in languages}
    wanted = _as_written(asked)
    while wanted not in by_lower and "-" in wanted:
        wanted = wanted.rpartition("-")[0]
    return by_lower.get(wanted)


def _as_written(asked: str) -> str:
    return asked.strip().lower().replace("_", "-")
