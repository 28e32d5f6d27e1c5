"""Which voice speaks: the one that is wished for, or the first that knows the language. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from chorus.common.contracts.speech import Voice
from chorus.common.errors import InvalidInput
from chorus.speech.voice.languages import fitting, unknown_language
from chorus.speech.voice.text import loses_letters

ONLY_ASCII = ("flite",)  # engines that leave out all other letters


class Role(NamedTuple):
    """A voice, and the language that it is to speak, as its engine calls it."""

    voice: Voice
    language: str

    @property
    def label(self) -> str:
        """Who spoke, as people are told."""
        return f"{self.voice.name}/{self.language}"


def cast(
    voices: Sequence[Voice], language: str | None, wished: str | None, *, own: str, text: str = ""
) -> list[Role]:
    """Who could speak a text, the best first: of each engine one voice, in the order of `voices`.

    A wished voice goes first where there is one and it knows the language; without a language it speaks
    `own`, or else the one that it is made for. Who would leave out letters of the text is passed over.
    Raises `InvalidInput` (`unknown_language`, `foreign_letters`).
    """
    first = _wished(voices, wished) if wished else []
    if language is None:
        language = own if not first or fitting(own, first[0].languages) else first[0].languages[0]
    roles: dict[str, Role] = {}
    for voice in [*first, *voices]:
        if (spoken := fitting(language, voice.languages)) is not None:
            roles.setdefault(voice.engine, Role(voice, spoken))
    if not roles:
        known = [name for voice in voices for name in voice.languages]
        raise unknown_language(language, known, does="speaks", setting="CHORUS_TTS_ENGINES")
    able = [role for role in roles.values() if role.voice.engine not in ONLY_ASCII or not loses_letters(text)]
    if not able:
        raise InvalidInput(
            "No voice here has all letters of this text. Write it in Latin ones, or have the operator add "
            "`espeak` (CHORUS_TTS_ENGINES).",
            code="foreign_letters",
            param="text",
        )
    return able


def _wished(voices: Sequence[Voice], name: str) -> list[Voice]:
    """The voice of this name, or all of an engine of this name; none where it is no longer there."""
    wanted = name.strip().lower()
    return [voice for voice in voices if wanted in (voice.name.lower(), voice.engine)]
