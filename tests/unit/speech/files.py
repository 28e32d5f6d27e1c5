"""Audio files as people send them, made with PyAV; and what hostile people send."""

import io
import struct

import av

from chorus.speech.backends import audio
from chorus.speech.voice.sound import Sound
from tests.unit.speech.recordings import tone, wav

CONTAINERS = {
    "voice message": ("ogg", "libopus"),
    "ogg flac": ("ogg", "flac"),
    "mp3": ("mp3", "mp3"),
    "m4a": ("ipod", "aac"),
    "mp4": ("mp4", "aac"),
    "wav": ("wav", "pcm_s16le"),
    "webm": ("webm", "libopus"),
    "mka": ("matroska", "flac"),
    "flac": ("flac", "flac"),
    "aac": ("adts", "aac"),
    "aiff": ("aiff", "pcm_s16be"),
}
"""FFmpeg's names of the format, and of the codec in it."""


def encoded(sound: Sound, container: str, codec: str, **options: str) -> bytes:
    """The sound as such a file; the codec may have options."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=sound.rate, layout="mono", options=options)
        assert isinstance(stream, av.AudioStream)
        whole = av.AudioFrame("s16", "mono", samples=len(sound.samples) // 2)
        whole.planes[0].update(sound.samples)
        whole.sample_rate = sound.rate
        whole.pts = 0
        fitting = av.AudioResampler(stream.format, "mono", sound.rate)
        for frame in [*fitting.resample(whole), *fitting.resample(None)]:
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def lying_wav(seconds: float, claimed: int) -> bytes:
    """A WAV file whose header says it has `claimed` bytes of samples, as what is written to a pipe has."""
    whole = bytearray(wav(tone(seconds)))
    struct.pack_into("<I", whole, 4, claimed)
    struct.pack_into("<I", whole, whole.index(b"data") + 4, claimed)
    return bytes(whole)


def long_silence(hours: float) -> bytes:
    """Silence as FLAC: two hundred bytes for each second of it."""
    rate = 8_000
    return encoded(Sound(bytes(int(hours * 3600) * rate * 2), rate), "flac", "flac")


def endless_mp3(copies: int) -> bytes:
    """A second of a tone, over and over: no header says where it ends."""
    return encoded(tone(1.0, rate=24_000), "mp3", "mp3") * copies


def naming(url: str) -> dict[str, bytes]:
    """Files that have whoever opens them open an address."""
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n"
    host = url.split("/")[2].split(":")[0]
    sdp = f"v=0\no=- 0 0 IN IP4 {host}\ns=x\nc=IN IP4 {host}\nt=0 0\nm=audio 9 RTP/AVP 0\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        f'<AdaptationSet mimeType="audio/mp4"><Representation id="1"><BaseURL>{url}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    )
    return {
        "HLS": hls.encode(),
        "HLS with a byte order mark": b"\xef\xbb\xbf" + hls.encode(),
        "SDP": sdp.encode(),
        "ffconcat": f"ffconcat version 1.0\nfile {url}\n".encode(),
        "DASH": dash.encode(),
        "redirecting RTSP": f"[Reference]\nRef1={url}\n".encode(),
        "an address": url.encode(),
    }


BROKEN = {
    "empty": b"",
    "one byte": b"O",
    "text": b"hello there, this is no recording",
    "zeros": bytes(5000),
    "ogg without a stream": b"OggS" + bytes(500),
    "cut off in the header": audio.write(tone(0.5))[:200],
    "m4a without its end": encoded(tone(0.5), "ipod", "aac")[:600],
    "wav of one sample a second": wav(Sound(tone(0.5).samples, 1)),
    "wav of a billion samples a second": wav(Sound(tone(0.5).samples, 10**9)),
    "wav of a thousand channels": wav(tone(0.02, rate=8000), channels=1000),
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(100),
    "zip": b"PK\x03\x04" + bytes(100),
    "MPEG transport stream": (b"G" + bytes(187)) * 20,
}
"""What is no recording."""
