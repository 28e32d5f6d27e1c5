"""Speech, put together: the only file that names adapters."""

from chorus.common.bus.connection import connect
from chorus.common.bus.discovery import Identity
from chorus.common.bus.responder import Responder
from chorus.common.contracts.speech import STT, TTS, Speak, Transcribe
from chorus.common.errors import ChorusError, Misconfigured
from chorus.common.objects import open_store
from chorus.common.service import Service
from chorus.common.telemetry.metrics import RequestMetrics
from chorus.speech.backends.process import ListenerProcess, SpeakerProcess
from chorus.speech.handlers import Limits, SpeechHandlers
from chorus.speech.metrics import SpeechMetrics
from chorus.speech.settings import SpeechSettings
from chorus.speech.voice.checks import known_language

REQUESTS_AT_ONCE = 64  # at work or in line before an engine; the engines themselves take turns


async def build(service: Service, settings: SpeechSettings) -> None:
    """Load the engines, answer `speech.v1.*`."""
    enter = service.stack.enter_async_context
    bounds = {"max_seconds": settings.max_audio_seconds, "within": settings.speech_within}
    speaker = await enter(SpeakerProcess(**bounds))
    listener = await enter(ListenerProcess(**bounds))
    try:
        known_language(settings.speech_language, speaker.languages)
    except ChorusError as error:
        raise Misconfigured(f"CHORUS_SPEECH_LANGUAGE: {error.message}") from None

    connection = await enter(
        connect(settings.nats_url, user="speech", nkey_file=settings.nats_nkey_file, on_closed=service.fail)
    )
    service.health.checks["nats"] = lambda: None if connection.is_connected else "not connected"
    responder = Responder(
        connection,
        Identity("speech", service.id, service.version, "Words into sound, and sound into words"),
        RequestMetrics(service.registry),
        slots=REQUESTS_AT_ONCE,
        backlog=0,
        grace=settings.grace,
    )
    limits = Limits(settings.speech_language, settings.max_spoken_text, settings.max_audio_bytes)
    metrics = SpeechMetrics(service.registry)
    handlers = SpeechHandlers(open_store(settings), speaker, listener, limits, metrics)
    responder.answer("tts", TTS, Speak, handlers.speak)
    responder.answer("stt", STT, Transcribe, handlers.transcribe)
    await enter(responder)
