"""Google's recogniser, as SpeechRecognition asks it: many languages, no account, and the recording leaves.

So it hears only where the operator has named it (`CHORUS_STT_ENGINES`). The address is a setting.
"""

from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from io import BytesIO
from urllib.error import HTTPError

import av
import speech_recognition
from av.audio.frame import AudioFrame

from chorus.common.errors import ChorusError, InvalidInput, TimedOut, Unavailable
from chorus.speech.backends.network import check_reach, stay_away
from chorus.speech.voice.ears import Said
from chorus.speech.voice.languages import ANY
from chorus.speech.voice.pieces import heard
from chorus.speech.voice.sound import SAMPLE_BYTES, Sound

LONGEST = 30.0  # seconds in one piece; it refuses what is much longer than a minute
GIVES_UP = 0.8  # of its time

REASONS = {
    403: ("google_refused", "Google refuses us: its key may have been revoked"),
    429: ("google_busy", "Google has had too many requests from here"),
}


class Google:
    """`voice.ears.Ear`, over the network."""

    def __init__(self, endpoint: str, within: float) -> None:
        self.languages = [ANY]
        self._endpoint = endpoint
        self._recogniser = speech_recognition.Recognizer()
        # Before it is given up, so that it can say why. Its own default, and so its type, is None.
        self._recogniser.operation_timeout = GIVES_UP * within  # type: ignore[assignment]

    def hear(self, sound: Sound, language: str) -> Iterator[Said]:
        """What Google makes of it, piece by piece. Raises `InvalidInput`, `Unavailable`, `TimedOut`."""
        check_reach(self._endpoint, "CHORUS_STT_ENGINES", code="google_unreachable")
        for text in heard([sound], lambda piece: self._words(piece, language), most=LONGEST):
            yield Said(text, language)

    def _words(self, piece: Sound, language: str) -> str:
        audio = _Flac(piece.samples, piece.rate, SAMPLE_BYTES)
        try:
            return self._recogniser.recognize_google(  # type: ignore[attr-defined]  # set from outside
                audio, language=language, endpoint=self._endpoint
            )
        except speech_recognition.UnknownValueError:  # no words in it
            return ""
        except speech_recognition.RequestError as error:
            raise _explained(error.__context__ or error) from error
        except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
            raise _explained(error) from error


class _Flac(speech_recognition.AudioData):
    """Samples as FLAC, by FFmpeg's library: the programs in SpeechRecognition are for some machines alone."""

    def get_flac_data(self, convert_rate: int | None = None, convert_width: int | None = None) -> bytes:
        """The file; its rate and width are as Google takes them."""
        assert convert_rate is None
        assert convert_width == SAMPLE_BYTES
        file = BytesIO()
        frame = AudioFrame("s16", "mono", samples=len(self.frame_data) // SAMPLE_BYTES)
        frame.planes[0].update(self.frame_data)
        frame.sample_rate = self.sample_rate
        with av.open(file, "w", format="flac") as container:
            stream = container.add_stream("flac", rate=self.sample_rate, layout="mono")
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return file.getvalue()


def _explained(error: BaseException) -> ChorusError:
    """What went wrong, in one sentence. What Google itself wrote is for the log."""
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return TimedOut("Google takes too long to answer. Try again in a moment.", code="google_too_slow")
    status, wait = None, None
    if isinstance(error, HTTPError):
        status, wait = error.code, stay_away(error.headers.get("Retry-After"))
    if status == HTTPStatus.BAD_REQUEST:  # the question's fault: another one will be answered
        return InvalidInput(
            "Google refuses the recording or its language. Choose another language, or send it as OGG.",
            code="google_refused",
            param="language",
        )
    code, reason = REASONS.get(status or 0, ("google_failed", "Google did not answer as it should"))
    return Unavailable(
        f"{reason}. Try again in a while, or have another engine listen.", code=code, retry_after=wait
    )
