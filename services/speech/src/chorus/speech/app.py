"""Speech, put together: the only file that names adapters."""

from chorus.common.bus.connection import connect
from chorus.common.bus.discovery import Identity
from chorus.common.bus.responder import Responder
from chorus.common.contracts.speech import CANCEL, STT, TTS, VOICES, ListVoices, Speak, Transcribe
from chorus.common.errors import ChorusError, Misconfigured
from chorus.common.objects import open_store
from chorus.common.service import Service
from chorus.common.telemetry.metrics import BusMetrics, ObjectMetrics, RequestMetrics, watch_disk
from chorus.speech.backends import flite
from chorus.speech.backends.cdn import DiscordCdn
from chorus.speech.backends.decoding import Decoders
from chorus.speech.backends.listeners import Listeners
from chorus.speech.backends.listening import ListenerPool
from chorus.speech.backends.phrases import Phrases
from chorus.speech.backends.speakers import Speakers
from chorus.speech.backends.speaking import SpeakerPool
from chorus.speech.handlers import Limits, SpeechHandlers
from chorus.speech.metrics import SpeechMetrics
from chorus.speech.settings import SpeechSettings
from chorus.speech.voice.casting import cast
from chorus.speech.voice.ears import engines_of
from chorus.speech.voice.mouths import mouths_of
from chorus.speech.voice.recordings import Recordings

REQUESTS_AT_ONCE = 64  # at work or in line before an engine; the engines themselves take turns


async def build(service: Service, settings: SpeechSettings) -> None:
    """Load the engines, answer `speech.v1.*`."""
    enter = service.stack.enter_async_context
    metrics = SpeechMetrics(service.registry)
    speakers = await open_speakers(service, settings, metrics)
    decoders = await enter(Decoders(max_seconds=settings.max_heard_seconds))
    ears = [await enter(ListenerPool(ear, settings.stt_processes)) for ear in engines_of(settings)]
    listener = Listeners(ears, settings.speech_language, metrics)

    connection = await enter(
        connect(
            settings.nats_url,
            user="speech",
            nkey_file=settings.nats_nkey_file,
            ca_file=settings.nats_ca,
            on_closed=service.fail,
            metrics=BusMetrics(service.registry),
        )
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
    watch_disk(service.registry, settings.cache)
    store = open_store(settings, metrics=ObjectMetrics(service.registry))
    most = settings.max_audio_bytes
    recordings = Recordings(store, DiscordCdn(settings.discord_cdn, most=most), decoders, most=most)
    limits = Limits(settings.max_spoken_text, settings.tts_processes, settings.stt_processes)
    handlers = SpeechHandlers(store, speakers, recordings, listener, limits, metrics)
    responder.stream("tts", TTS, Speak, handlers.say, cancel=CANCEL)
    responder.answer("voices", VOICES, ListVoices, handlers.list_voices)
    responder.stream("stt", STT, Transcribe, handlers.write_down, cancel=CANCEL)
    await enter(responder)


async def open_speakers(service: Service, settings: SpeechSettings, metrics: SpeechMetrics) -> Speakers:
    """The engines that speak, until the service stops. Raises `Misconfigured`."""
    wanted = [mouth for mouth in mouths_of(settings) if mouth.engine != "flite" or flite.installed()]
    if not wanted:
        raise Misconfigured("CHORUS_TTS_ENGINES: flite is not installed. `apt install flite` brings it.")
    engines = [
        await service.stack.enter_async_context(
            SpeakerPool(
                mouth,
                settings.tts_processes,
                max_seconds=settings.max_audio_seconds,
                whole=settings.speech_within,
            )
        )
        for mouth in wanted
    ]
    kept = Phrases(
        settings.cache / "phrases",
        most_bytes=settings.speech_cache_bytes,
        most=settings.speech_cache_phrases,
    )
    service.background("phrases", kept.forget_old())
    speakers = Speakers(engines, kept, settings.speech_language, metrics)
    try:
        cast(speakers.voices, None, None, own=settings.speech_language)
    except ChorusError as error:
        raise Misconfigured(f"CHORUS_SPEECH_LANGUAGE: {error.message}") from None
    return speakers
