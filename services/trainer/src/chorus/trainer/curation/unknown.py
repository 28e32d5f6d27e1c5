"""What a file looks like that no reader takes, in words: people mostly picked the wrong one."""

from collections.abc import Collection

from chorus.common.errors import InvalidInput, in_short
from chorus.trainer.curation.readers.json_start import json_start
from chorus.trainer.curation.readers.table import ACCEPTED

_PICTURE, _SOUND, _VIDEO = "a picture", "a sound", "a video"
_SIGNATURES = (
    (0, b"%PDF", "a PDF: save it as plain text"),
    (0, b"{\\rtf", "an RTF document: save it as plain text"),
    (0, b"\xd0\xcf\x11\xe0", "an old document of Word or Excel: save it as plain text or CSV"),
    (0, b"\x89PNG", _PICTURE),
    (0, b"\xff\xd8\xff", _PICTURE),
    (0, b"GIF8", _PICTURE),
    (8, b"WEBP", _PICTURE),
    (0, b"\x00\x00\x01\x00", _PICTURE),
    (4, b"ftypavif", _PICTURE),
    (4, b"ftypheic", _PICTURE),
    (0, b"OggS", _SOUND),
    (0, b"ID3", _SOUND),
    (0, b"fLaC", _SOUND),
    (8, b"WAVE", _SOUND),
    (4, b"ftyp", _VIDEO),
    (0, b"\x1aE\xdf\xa3", _VIDEO),
    (0, b"SQLite format 3\x00", "a SQLite database: export a table as CSV"),
    (0, b"PAR1", "a Parquet table: save it as CSV or JSON lines"),
    (0, b"Rar!", "a RAR archive: pack it as ZIP"),
    (0, b"7z\xbc\xaf", "a 7-Zip archive: pack it as ZIP"),
    (0, b"\x1f\x8b", "a gzip archive: pack it as ZIP"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive: pack it as ZIP"),
    (257, b"ustar", "a tar archive: pack it as ZIP"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ\x90", "a program"),
)
_DOCUMENTS = (
    ("word/document.xml", "a Word document: save it as plain text"),
    ("xl/workbook.xml", "an Excel workbook: save it as CSV"),
    ("ppt/presentation.xml", "a presentation: save it as plain text"),
    ("META-INF/container.xml", "an e-book: save it as plain text"),
    ("content.xml", "an OpenDocument file: save it as plain text or CSV"),
)
SIGNATURE = 512  # bytes that are enough for all of them
ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def unknown_format(name: str, looks: str) -> InvalidInput:
    """What to tell of a file that looks like this."""
    return InvalidInput(
        f"{in_short(name)} looks like {looks}. Accepted are {ACCEPTED}.", code="unknown_format", param="file"
    )


def by_signature(start: bytes) -> str | None:
    """What begins with these bytes, unless it may be text or a ZIP."""
    return next((words for at, sign, words in _SIGNATURES if start.startswith(sign, at)), None)


def by_members(names: Collection[str]) -> str | None:
    """Which document a ZIP is in truth."""
    return next((words for name, words in _DOCUMENTS if name in names), None)


def by_text(head: str) -> str:
    """What text begins like this, that is none of what is accepted."""
    begins = head.lstrip()[:200].lower()
    if is_markup(begins):
        return "a web page or XML: export it as JSON instead"
    return str(json_start(head) or "nothing that is known")


def is_markup(head: str) -> bool:
    """Whether it is HTML or XML."""
    return head.lstrip().lower().startswith(("<!doctype", "<html", "<?xml"))
