"""What is asked of the speech service over the bus, as the gateway asks it."""

from itertools import count

from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.speech import STT, TTS, Speak, Spoken, Transcribe, Transcript
from chorus.common.contracts.storage import ObjectRef
from tests.support.spoken import SENTENCES

WITHIN = 60.0  # seconds

_numbers = count(1)


async def say(connection: Connection, sentence: str = SENTENCES[0], guild: str = LOCAL) -> Spoken:
    """Have it said."""
    return await ask(connection, TTS, Speak(guild=guild, text=sentence), Spoken, within=WITHIN)


async def say_something_new(connection: Connection, guild: str = LOCAL) -> Spoken:
    """Have something said that nobody has said before, so that it is not among the kept phrases."""
    number = next(_numbers)
    return await say(connection, f"{SENTENCES[number % len(SENTENCES)]} {number}", guild)


async def hear(connection: Connection, audio: ObjectRef, guild: str = LOCAL) -> Transcript:
    """Have it written down."""
    question = Transcribe(guild=guild, audio=audio, filename="x.ogg")
    return await ask(connection, STT, question, Transcript, within=WITHIN)
