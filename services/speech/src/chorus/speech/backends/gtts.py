"""Google's voices, as gTTS asks for them: many languages, no account, and the text leaves the machine.

So they speak only where the operator has named them (`CHORUS_TTS_ENGINES`). gTTS cuts the text and writes the
questions; they are sent from here, because gTTS itself does not check who answers (`verify=False`), and
reads answers of any size.
"""

import base64
import binascii
import re
from http import HTTPStatus
from io import BytesIO

import httpx2
from gtts import gTTS
from gtts.lang import tts_langs
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

from chorus.common.contracts.wire import MIB
from chorus.common.errors import ChorusError, InvalidInput, TimedOut, TooLarge, Unavailable
from chorus.speech.backends import audio
from chorus.speech.backends.network import check_reach, stay_away
from chorus.speech.voice.mouths import Who
from chorus.speech.voice.sound import SAMPLE_BYTES, Sound

PATH = "/_/TranslateWebserverUi/data/batchexecute"
RATE = 24_000  # of its MP3s
MOST = 4 * MIB  # of one answer, which says at most a hundred characters
LONGEST = 60.0  # seconds of its sound
SHARE = 0.8  # of the time for a sentence: the rest is for telling what is wrong

_SOUND = re.compile(rb'jQ1olc","\[\\"([A-Za-z0-9+/=]+)\\"')

REASONS = {
    403: ("engine_refused", "Google refuses us"),
    429: ("engine_busy", "Google has had too many requests from here"),
}


class Gtts:
    """`voice.mouths.Mouth`, over the network."""

    def __init__(self, endpoint: str, within: float) -> None:
        self.voices = {"gtts": sorted(tts_langs(), key=lambda name: name != "en")}
        self._endpoint = endpoint
        self._patience = within * SHARE
        self._reached = False
        self._client = httpx2.Client(
            base_url=endpoint, timeout=self._patience, headers=dict(gTTS.GOOGLE_TTS_HEADERS)
        )

    def speak(self, text: str, who: Who, *, max_seconds: float) -> Sound:
        """Say a sentence. It stops when that lasts longer than it may.

        Raises `Unavailable` and `TimedOut` with what Google makes of it.
        """
        try:
            questions = gTTS(text, lang=who.language, lang_check=False).get_bodies()
        except AssertionError:  # how gTTS says that there is nothing but signs
            return Sound(b"", RATE)
        if not self._reached:
            check_reach(
                self._endpoint, "CHORUS_TTS_ENGINES", code="engine_unreachable", within=self._patience
            )
        self._reached = False  # until it has answered
        samples = bytearray()
        for question in questions:
            samples += self._said(question).samples
            if len(samples) > max_seconds * RATE * SAMPLE_BYTES:
                break
        self._reached = True
        return Sound(bytes(samples), RATE)

    def _said(self, question: str) -> Sound:
        try:
            return audio.read(self._asked(question), "What Google says", rate=RATE, max_seconds=LONGEST)
        except TooLarge as error:
            raise _failed("engine_failed", "Google's answer has no end") from error
        except InvalidInput as error:
            raise _failed("engine_failed", "Google answered with no sound") from error

    def _asked(self, question: str) -> bytes:
        """The sound of one question; what is cut off on the way is asked for once more."""
        again = Retrying(
            retry=retry_if_exception_type((httpx2.RemoteProtocolError, httpx2.ReadError)),
            stop=stop_after_attempt(2),
            wait=wait_random(0.05, 0.2),
            reraise=True,
        )
        try:
            return again(self._asked_once, question)
        except httpx2.TimeoutException as error:
            raise TimedOut("Google takes too long to answer.", code="engine_too_slow") from error
        except httpx2.HTTPError as error:
            raise _failed("engine_unreachable", "Google cannot be reached") from error

    def _asked_once(self, question: str) -> bytes:
        answer = BytesIO()
        with self._client.stream("POST", PATH, content=question) as reply:
            if reply.status_code != HTTPStatus.OK:
                other = ("engine_failed", f"Google answered with the status {reply.status_code}")
                wait = stay_away(reply.headers.get("Retry-After"))
                raise _failed(*REASONS.get(reply.status_code, other), retry_after=wait)
            for piece in reply.iter_bytes():
                answer.write(piece)
                if answer.tell() > MOST:
                    raise _failed("engine_failed", "Google's answer has no end")
        if (found := _SOUND.search(answer.getvalue())) is None:
            raise _failed("engine_failed", "Google answered with no sound")
        try:
            return base64.b64decode(found.group(1))
        except binascii.Error as error:
            raise _failed("engine_failed", "Google answered with no sound") from error


def _failed(code: str, reason: str, *, retry_after: float | None = None) -> ChorusError:
    return Unavailable(f"{reason}. Try again in a moment.", code=code, retry_after=retry_after)
