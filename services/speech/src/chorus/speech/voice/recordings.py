"""Recordings that people hand over, from where they lie to samples."""

from chorus.common.contracts.speech import Transcribe
from chorus.common.errors import InvalidInput
from chorus.common.objects import ObjectStore
from chorus.speech.voice.checks import check_recording
from chorus.speech.voice.ports import Cdn, Decoder
from chorus.speech.voice.sound import Sound


class Recordings:
    """Those of all guilds, each for its own. `most` are the bytes of one of them."""

    def __init__(self, store: ObjectStore, cdn: Cdn, decoder: Decoder, *, most: int) -> None:
        self._store = store
        self._cdn = cdn
        self._decoder = decoder
        self._most = most

    def check(self, asked: Transcribe) -> None:
        """Raises what is wrong with it as far as that is known without a look at it."""
        if (asked.audio is None) == (asked.url is None):
            raise InvalidInput(
                "Name one recording: by `audio`, or by `url`.", code="one_recording", param="audio"
            )
        if asked.audio:
            check_recording(asked.audio, asked.guild, most=self._most)

    async def sound(self, asked: Transcribe) -> Sound:
        """What is in it, once it has been checked. Raises what is wrong with it."""
        if asked.audio:
            data = await self._store.get(asked.audio)
        else:
            data = await self._cdn.fetch(asked.url or "", asked.filename)
        return await self._decoder.decode(data, asked.filename)
