"""Speech over the bus with offline engines: what is said is heard again; and a phrase that is said again.

The voice is flite's where the machine has it (a Debian package), and espeak's otherwise, which PocketSphinx
understands badly: the table says which one spoke. Peers are the engines alone, as others measured them.
"""

import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.contracts.speech import STT, TTS, Speak, Spoken, Transcribe, Transcript
from chorus.common.local.process import Process
from chorus.speech.backends.phrases import Phrases
from chorus.speech.voice.ports import Recording
from tests.benchmarks.figures import Report
from tests.support.servers import Servers, running_servers
from tests.support.spoken import SENTENCES, best_engine, word_error_rate

AGAIN = 200  # times that a kept phrase is looked up
REQUESTS = 20
GRACE = 10.0


async def measure() -> Report:
    """The eight sentences one by one, then a kept phrase inside of the service."""
    report = Report("speech")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running_servers(folder / "servers") as servers, speech(servers, folder) as connection:
            await there_and_back(connection, report)
            cached = kept_phrase(folder, await servers.store().get((await say(connection)).audio))
            again = await asked_again(connection)
    report.add("cached_ms", cached * 1000, f"{cached * 1000:.2f} ms (at most 5)")
    report.add("cached_request_ms", again * 1000, f"{again * 1000:.1f} ms, with the bus and S3")
    return report


async def there_and_back(connection: Connection, report: Report) -> None:
    """Each sentence is said, and what was said is heard. Seconds of work for each second of sound."""
    pairs: list[tuple[str, str]] = []
    saying, hearing, voices = 0.0, 0.0, set[str]()
    seconds = 0.0
    for sentence in SENTENCES:
        began = time.perf_counter()
        spoken = await say(connection, sentence)
        said = time.perf_counter()
        question = Transcribe(audio=spoken.audio, filename="x.ogg")
        heard = await ask(connection, STT, question, Transcript, within=60.0)
        hearing += time.perf_counter() - said
        saying += said - began
        seconds += spoken.seconds
        voices.add(spoken.voice)
        pairs.append((sentence, heard.text))
    voice = f"with the voice {', '.join(sorted(voices))}"
    error_rate = word_error_rate(pairs)
    report.add("wer", error_rate, f"{error_rate:.3f} {voice}", "flite rms alone 0.03, espeak-ng 0.71")
    report.add("stt_rtf", hearing / seconds, f"{hearing / seconds:.3f} (at most 0.5)", "PocketSphinx 0.24")
    report.add("tts_rtf", saying / seconds, f"{saying / seconds:.3f} (at most 0.2)")


def kept_phrase(folder: Path, sound: bytes) -> float:
    """Seconds that a kept phrase takes in the service: it is found and read, and no engine is asked."""
    phrases = Phrases(folder / "phrases", most_bytes=2**26, most=2000)
    for number in range(1000):
        phrases.put(f"{SENTENCES[0]} {number}", Recording(sound, 1.5, "flite/rms/en-us"))
    took: list[float] = []
    for number in range(AGAIN):
        began = time.perf_counter()
        assert phrases.get("flite/rms/en-us", f"{SENTENCES[0]} {number}")
        took.append(time.perf_counter() - began)
    return median(took)


async def asked_again(connection: Connection) -> float:
    """Seconds from question to answer for what was said before, and is stored once more for its guild."""
    took: list[float] = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        await say(connection)
        took.append(time.perf_counter() - began)
    return median(took)


async def say(connection: Connection, sentence: str = SENTENCES[0]) -> Spoken:
    """Have it said."""
    return await ask(connection, TTS, Speak(text=sentence), Spoken, within=60.0)


@asynccontextmanager
async def speech(servers: Servers, folder: Path) -> AsyncGenerator[Connection]:
    """The service as it ships, with the best voice of this machine, and the gateway's connection to it."""
    program = servers.stack.service("speech")
    chosen = {"CHORUS_TTS_ENGINES": best_engine(), "CHORUS_STT_ENGINES": "sphinx"}
    process = Process(replace(program, environment={**program.environment, **chosen}), folder / "speech.log")
    await process.start()
    try:
        await process.until_ready()
        async with servers.connected("gateway") as connection:
            yield connection
    finally:
        await process.stop(GRACE)
