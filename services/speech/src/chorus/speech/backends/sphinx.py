"""PocketSphinx with the English model that comes with it: the floor for a machine without a network.

Clear, slow English in a quiet room is mostly understood; much else is misheard. Nothing but words of its
dictionary is ever heard. SpeechRecognition would make a decoder for each call, which takes longer than many
a recording does; so it is asked itself.
"""

from collections.abc import Iterator

from pocketsphinx import Decoder, Endpointer

from chorus.speech.voice.ears import Said
from chorus.speech.voice.pieces import heard
from chorus.speech.voice.sound import Sound

RATE = 16_000
LONGEST = 15.0  # seconds in one piece; the search's memory grows with it
LANGUAGE = "en-US"


class Sphinx:
    """`voice.ears.Ear`: one decoder, made once and kept."""

    def __init__(self) -> None:
        self.languages = [LANGUAGE]
        self._decoder = Decoder(samprate=RATE, loglevel="FATAL")

    def hear(self, sound: Sound, language: str) -> Iterator[Said]:
        """The words in it, as far as they can be made out."""
        for text in heard(_utterances(sound), self._words, most=LONGEST):
            yield Said(text, language)

    def _words(self, piece: Sound) -> str:
        self._decoder.start_utt()
        self._decoder.process_raw(piece.samples, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""


def _utterances(sound: Sound) -> Iterator[Sound]:
    """What is speech in it, cut at pauses."""
    endpointer = Endpointer(sample_rate=sound.rate)
    step = endpointer.frame_bytes
    speech = bytearray()
    for at in range(0, len(sound.samples), step):
        frame = sound.samples[at : at + step]
        ends = at + step >= len(sound.samples)
        speech += (endpointer.end_stream(frame) if ends else endpointer.process(frame)) or b""
        if speech and not endpointer.in_speech:
            yield Sound(bytes(speech), sound.rate)
            speech.clear()
    if speech:
        yield Sound(bytes(speech), sound.rate)
