"""What flite says is heard: the whole way over the bus, with engines that need no network."""

from pathlib import Path

import pytest

from chorus.common.bus.calls import ask
from chorus.common.contracts.speech import STT, TTS, Speak, Spoken, Transcribe, Transcript
from tests.support.debian import needs
from tests.support.servers import Servers
from tests.support.speaking import a_speech
from tests.support.spoken import SENTENCES, word_error_rate


@pytest.fixture
def flite() -> None:
    needs("flite", "flite")


@pytest.mark.system
@pytest.mark.usefixtures("flite")
@pytest.mark.timeout(600)  # the package may have to be fetched first
async def test_with_flites_voice_what_is_said_is_heard(servers: Servers, tmp_path: Path) -> None:
    chosen = {"CACHE": str(tmp_path), "TTS_ENGINES": "flite", "STT_ENGINES": "sphinx"}
    settings = {f"CHORUS_{name}": value for name, value in chosen.items()}
    pairs: list[tuple[str, str]] = []
    async with a_speech(servers, tmp_path, **settings), servers.connected("gateway") as connection:
        for sentence in SENTENCES:
            spoken = await ask(connection, TTS, Speak(text=sentence), Spoken, within=60)
            assert spoken.voice == "flite/rms/en-us"
            question = Transcribe(audio=spoken.audio, filename="x.ogg")
            pairs.append((sentence, (await ask(connection, STT, question, Transcript, within=60)).text))
    assert word_error_rate(pairs) <= 0.15, pairs
