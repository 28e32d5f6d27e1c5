"""Text files that come with what people say: the model reads them with the words, the first part of each."""

import asyncio
from collections.abc import Sequence
from pathlib import PurePath
from typing import Protocol, TypeVar

from yarl import URL

from chorus.common.errors import ChorusError
from chorus.gateway.frontends.discord.files import Attachment, fetched
from chorus.gateway.frontends.discord.splitting import FENCE

FILES = 3  # that are read of one message
KIB = 1024  # bytes
EACH = 16 * KIB  # that are read of each
TYPES = ("text/", "application/json", "application/xml", "application/x-yaml")

TEXTS = """
txt text md markdown rst log csv tsv json jsonl yaml yml toml ini cfg conf env xml html css scss js
mjs ts tsx jsx py pyi ipynb rb php pl lua sh bash zsh fish ps1 bat c h cc cpp hpp cs java kt swift
go rs zig hs ml ex exs erl clj scala r jl sql tex diff patch gradle cmake proto graphql vue svelte
srt vtt
"""
EXTENSIONS = frozenset(f".{name}" for name in TEXTS.split())


SOUNDS = {".ogg", ".oga", ".opus", ".mp3", ".m4a", ".wav", ".webm", ".flac", ".aac"}
RECORDINGS = 3  # that are heard of one message


class Typed(Attachment, Protocol):
    """What is needed of `discord.Attachment`."""

    content_type: str | None


AnyTyped = TypeVar("AnyTyped", bound=Typed)


def recordings_of(attachments: Sequence[AnyTyped]) -> list[AnyTyped]:
    """Those that are to be heard, as their names and types have it; what they are is found out later."""
    return [file for file in attachments if _sounds(file)][:RECORDINGS]


def _sounds(file: Typed) -> bool:
    suffix = PurePath(file.filename).suffix.lower()
    return suffix in SOUNDS or (file.content_type or "").startswith("audio/")


async def with_files(words: str, attachments: Sequence[Typed], cdn: str) -> str:
    """What somebody said, and below it the texts that came with it, each with its name.

    What is no text, or more than three, is named as not read, so that nobody takes it for read.
    """
    texts = [file for file in attachments if _looks_like_text(file)][:FILES]
    read = await asyncio.gather(*(_read(file, URL(cdn).origin()) for file in texts))
    told = [(file, text) for file, text in zip(texts, read, strict=True) if text is not None]
    unread = [file.filename for file in attachments if all(file is not one for one, _ in told)]
    blocks = [_block(file.filename, *text) for file, text in told]
    left = [f"Attached, but not read: {', '.join(unread)}."] if unread else []
    return "\n\n".join(part for part in (words, *blocks, *left) if part)


def _looks_like_text(file: Typed) -> bool:
    suffix = PurePath(file.filename).suffix.lower()
    return suffix in EXTENSIONS or (file.content_type or "").startswith(TYPES)


async def _read(file: Typed, cdn: URL) -> tuple[str, bool] | None:
    """The text, and whether it was cut; None for what cannot be had, or is no text after all."""
    try:
        data = await fetched(file, cdn, EACH + 1)
    except ChorusError:  # it is named as not read
        return None
    text = decoded(data[:EACH], cut=len(data) > EACH)
    return None if text is None else (text, len(data) > EACH)


def decoded(data: bytes, *, cut: bool) -> str | None:
    """UTF-8 as text; None for anything else. What was `cut` may end within a sign, which is left out."""
    for short in range(4 if cut else 1):
        try:
            text = data[: len(data) - short].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
        return None if "\0" in text else text
    return None


def _block(name: str, text: str, cut: bool) -> str:
    """A fence that is longer than any in the text."""
    fence = FENCE
    while fence in text:
        fence += "`"
    note = f", its first {EACH // KIB} KiB" if cut else ""
    return f"Attached {name}{note}:\n{fence}\n{text.rstrip()}\n{fence}"
