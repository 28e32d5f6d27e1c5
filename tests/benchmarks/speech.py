"""Speech over the bus with offline engines alone: what is said is heard; by many; when one is missing.

The voice is flite's where the machine has it (a Debian package), and espeak's otherwise, which PocketSphinx
understands badly: the table says which one spoke. Peers are the engines alone, as others measured them.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

from chorus.common.bus.connection import Connection
from chorus.speech.backends.phrases import Phrases
from chorus.speech.voice.ports import Clip
from tests.benchmarks.figures import PEOPLE, Report
from tests.benchmarks.talking import crowd, fallback, memory
from tests.benchmarks.talking.requests import hear, say
from tests.support.servers import Servers, running_servers
from tests.support.speaking import a_speech
from tests.support.spoken import SENTENCES, best_engine, word_error_rate

AGAIN = 200  # times that a kept phrase is looked up
REQUESTS = 50


async def measure() -> Report:
    """One after the other; then at once; then without a network; then for long."""
    report = Report("speech")
    engine = best_engine()
    if engine != "flite":
        PEOPLE.print(
            f"flite is not installed: {engine} speaks, and is badly understood. `apt install flite`."
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running_servers(folder / "servers") as servers:
            await one_by_one_and_at_once(servers, folder, report, engine)
            await fallback.measure(servers, folder, report, offline=engine)
            await memory.measure(servers, folder / "memory", report, engine=engine)
    return report


async def one_by_one_and_at_once(servers: Servers, folder: Path, report: Report, engine: str) -> None:
    """What a request costs."""
    async with (
        a_speech(servers, folder, CHORUS_TTS_ENGINES=engine) as _,
        servers.connected("gateway") as connection,
    ):
        await there_and_back(connection, report)
        cached = kept_phrase(folder, await servers.store().get((await say(connection)).audio))
        report.add("cached_ms", cached * 1000, f"{cached * 1000:.2f} ms in the service (at most 5)")
        again = await asked_again(connection)
        report.add("cached_request_ms", again * 1000, f"{again * 1000:.1f} ms, with the bus and S3")
        await crowd.measure(connection, report)


async def there_and_back(connection: Connection, report: Report) -> None:
    """Each sentence is said, and what was said is heard. Seconds of work for each second of sound."""
    pairs: list[tuple[str, str]] = []
    saying, hearing, voices = 0.0, 0.0, set[str]()
    seconds = 0.0
    for sentence in SENTENCES:
        began = time.perf_counter()
        spoken = await say(connection, sentence)
        said = time.perf_counter()
        heard = await hear(connection, spoken.audio)
        hearing += time.perf_counter() - said
        saying += said - began
        seconds += spoken.seconds
        voices.add(spoken.voice)
        pairs.append((sentence, heard.text))
    error_rate = word_error_rate(pairs)
    told = f"{error_rate:.3f} with the voice {', '.join(sorted(voices))} (at most 0.15 with flite)"
    report.add("wer", error_rate, told, "flite rms alone 0.03, espeak-ng 0.71")
    report.add("stt_rtf", hearing / seconds, f"{hearing / seconds:.3f} (at most 0.5)", "PocketSphinx 0.24")
    report.add("tts_rtf", saying / seconds, f"{saying / seconds:.3f} (at most 0.2)")


def kept_phrase(folder: Path, sound: bytes) -> float:
    """Seconds that a kept phrase takes in the service: it is found and read, and no engine is asked."""
    phrases = Phrases(folder / "kept", most_bytes=2**26, most=2000)
    for number in range(1000):
        phrases.put(f"{SENTENCES[0]} {number}", Clip(sound, 1.5, "flite/rms/en-us"))
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
