"""PocketSphinx with the English model that comes with it: the floor for a machine without a network.

Clear, slow English in a quiet room is mostly understood; much else is misheard. Nothing but words of its
dictionary is ever heard.
"""

from collections.abc import Iterator

from pocketsphinx import Decoder, Endpointer

from chorus.speech.voice.sound import SAMPLE_BYTES, Sound

LONGEST = 15.0  # seconds in one piece; the search's memory grows with it


class Sphinx:
    """One decoder, made once and kept. For one thread at a time."""

    language = "en-us"
    rate = 16_000

    def __init__(self) -> None:
        self._decoder = Decoder(samprate=self.rate, loglevel="FATAL")

    def hear(self, sound: Sound) -> str:
        """The words in it, as far as they can be made out."""
        words = (self._words(piece) for piece in _utterances(sound))
        return " ".join(filter(None, words))

    def _words(self, samples: bytes) -> str:
        self._decoder.start_utt()
        self._decoder.process_raw(samples, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""


def _utterances(sound: Sound) -> Iterator[bytes]:
    """What is speech in it, cut at pauses."""
    endpointer = Endpointer(sample_rate=sound.rate)
    step, most = endpointer.frame_bytes, int(LONGEST * sound.rate) * SAMPLE_BYTES
    piece = bytearray()
    for at in range(0, len(sound.samples), step):
        frame = sound.samples[at : at + step]
        ends = at + step >= len(sound.samples)
        speech = endpointer.end_stream(frame) if ends else endpointer.process(frame)
        piece += speech or b""
        if piece and (not endpointer.in_speech or len(piece) >= most):
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)
