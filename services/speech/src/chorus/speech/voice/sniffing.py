"""What kind of file something is, by how it begins. Pure.

Names and types that strangers give are not believed, and a decoder is never left to guess: what it guesses
may be a playlist, which names other files and addresses.
"""

import re

BEGINNINGS: list[tuple[re.Pattern[bytes], str]] = [
    (re.compile(rb"OggS"), "ogg"),
    (re.compile(rb"(?:RIFF|RF64)....WAVE", re.DOTALL), "wav"),
    (re.compile(rb"fLaC"), "flac"),
    (re.compile(rb"\x1aE\xdf\xa3"), "matroska"),  # WebM is a kind of it
    (re.compile(rb"....ftyp", re.DOTALL), "mov"),  # M4A and MP4, too
    (re.compile(rb"FORM....AIF[FC]", re.DOTALL), "aiff"),
    (re.compile(rb"caff"), "caf"),
    (re.compile(rb"#!AMR"), "amr"),
    (re.compile(rb"ID3"), "mp3"),
    (re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), "aac"),  # in a row of frames, without a container
    (re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xfd]"), "mp3"),
]
"""Signs by which files begin, and FFmpeg's name of the one format that reads each."""


def container_of(data: bytes) -> str | None:
    """FFmpeg's name of the format; None for what is no recording of any kind we read."""
    return next((name for beginning, name in BEGINNINGS if beginning.match(data)), None)
