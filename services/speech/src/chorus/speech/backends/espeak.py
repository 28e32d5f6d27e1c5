"""espeak-ng, as a library: small, at once, a hundred languages, and audibly a machine."""

import ctypes
from collections.abc import Iterator
from typing import Any

import espeakng_loader

from chorus.common.errors import Misconfigured
from chorus.speech.voice.mouths import Who
from chorus.speech.voice.sound import SAMPLE_BYTES, Sound

# speak_lib.h
SYNCHRONOUS = 2
DONT_EXIT = 0x8000
RATE = 1
UTF8 = 1
BY_CHARACTER = 1
GO_ON, STOP = 0, 1

FIRST = "en-us"
WORDS_PER_MINUTE = 150  # a calm speaker; its own default is 175

_Heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class Espeak:
    """`voice.mouths.Mouth`. The library's state is global, so there is one in a process, for one thread."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        data = espeakng_loader.get_data_path().encode()
        self._rate: int = self._library.espeak_Initialize(SYNCHRONOUS, 0, data, DONT_EXIT)
        if self._rate <= 0:
            raise Misconfigured("espeak-ng finds no voices. Install the package espeakng-loader again.")
        self._samples = bytearray()
        self._most = 0
        self._callback = _Heard(self._take)  # kept: the library calls it for as long as it lives
        self._library.espeak_SetSynthCallback(self._callback)
        self._voices = self._best_voices()
        languages = sorted(self._voices, key=lambda language: (language != FIRST, language))
        self.voices = {"espeak": languages}

    def speak(self, text: str, who: Who, *, max_seconds: float) -> Sound:
        """Say it: each language has its voice. It stops when that lasts longer than it may."""
        self._samples.clear()
        self._most = int(max_seconds * self._rate) * SAMPLE_BYTES
        self._library.espeak_SetVoiceByName(self._voices[who.language].encode())
        self._library.espeak_SetParameter(RATE, WORDS_PER_MINUTE, 0)
        encoded = text.encode() + b"\0"
        self._library.espeak_Synth(encoded, len(encoded), 0, BY_CHARACTER, 0, UTF8, None, None)
        return Sound(bytes(self._samples), self._rate)

    def _take(self, samples: Any, count: int, _: object) -> int:
        """The library's next samples; none at the end."""
        if samples and count > 0:
            self._samples += ctypes.string_at(samples, count * SAMPLE_BYTES)
        return STOP if len(self._samples) > self._most else GO_ON

    def _best_voices(self) -> dict[str, str]:
        """For each language the voice that suits it best (the lowest priority number)."""
        best: dict[str, tuple[int, str]] = {}
        listed = self._library.espeak_ListVoices(None)
        at = 0
        while listed[at]:
            voice = listed[at].contents
            for priority, language in _languages(voice.languages):
                best[language] = min(best.get(language, (256, "")), (priority, voice.identifier.decode()))
            at += 1
        return {language: identifier for language, (_, identifier) in best.items()}


def _languages(address: int) -> Iterator[tuple[int, str]]:
    """Pairs of a priority byte and a text, one after another, up to a zero byte."""
    while priority := ctypes.string_at(address, 1)[0]:
        language = ctypes.string_at(address + 1)
        yield priority, language.decode()
        address += len(language) + 2
