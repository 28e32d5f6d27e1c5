"""Which voice speaks: the one that is wished for, or the first that knows the language. Pure."""

import difflib
from collections.abc import Sequence
from typing import NamedTuple

from chorus.common.contracts.speech import Voice
from chorus.common.errors import InvalidInput, in_short
from chorus.speech.voice.checks import fitting, known_language


class Role(NamedTuple):
    """A voice, and the language that it is to speak, as its engine calls it."""

    voice: Voice
    language: str

    @property
    def label(self) -> str:
        """Who spoke, as people are told."""
        return f"{self.voice.name}/{self.language}"


def cast(voices: Sequence[Voice], language: str | None, wished: str | None, *, own: str) -> list[Role]:
    """Who could speak, the best first: of each engine one voice, in the order of `voices`.

    A wished voice goes first where it knows the language; without a language it speaks `own`, or else the
    one that it is made for. Raises `InvalidInput` (`unknown_voice`, `unknown_language`).
    """
    first = _wished(voices, wished) if wished else []
    if language is None:
        language = own if not first or fitting(own, first[0].languages) else first[0].languages[0]
    roles: dict[str, Role] = {}
    for voice in [*first, *voices]:
        if (spoken := fitting(language, voice.languages)) is not None:
            roles.setdefault(voice.engine, Role(voice, spoken))
    if not roles:
        known_language(language, {name for voice in voices for name in voice.languages})
    return list(roles.values())


def _wished(voices: Sequence[Voice], name: str) -> list[Voice]:
    """The voice of this name, or all of an engine of this name."""
    wanted = name.strip().lower()
    found = [voice for voice in voices if wanted in (voice.name.lower(), voice.engine)]
    if not found:
        names = [voice.name for voice in voices]
        near = difflib.get_close_matches(wanted, names, n=3) or names[:6]
        raise InvalidInput(
            f"There is no voice {in_short(name)!r}. Try: {', '.join(near)}.",
            code="unknown_voice",
            param="voice",
        )
    return found
