"""`!say` and `!transcribe`: words into sound, and sound into words; `!sound` plays what there is."""

import asyncio
import hashlib
import textwrap
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import PurePath

import structlog
from pydantic import Field

from chorus.common.errors import ChorusError, InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.keeping import opted_out
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.ports import Heard, Upload
from chorus.gateway.commands.replies import Audio, Moment, Progress, Reply, Text, problem
from chorus.gateway.commands.rights import settings_of
from chorus.gateway.commands.telling import ended_in_words
from chorus.gateway.commands.voice import NOWHERE, may_be_heard, theirs

OGG = ".ogg"
ADDRESS = ("https://", "http://")
NOTHING_TO_SAY = "nothing_to_say"  # what speech says of a text without words
SHOWN = 600  # characters of what was heard; `!transcribe` in reply to it shows all
SOON = 3.0  # seconds in which most is heard whole: before that, its beginning is not worth a message

log = structlog.get_logger()


class Say(Parameters):
    """What `!say` takes."""

    text: str = Field(description="what to say")
    to: str | None = Field(default=None, description="name of the file; without one it gets a new name")
    language: str | None = Field(default=None, description="`en-us`, `de`, `fr`, …")


class Recording(Parameters):
    """What `!transcribe` and `!sound` take."""

    text: str | None = Field(default=None, description="the recording")
    file: str | None = Field(default=None, description="the recording")


class Transcribe(Recording):
    """What `!transcribe` takes."""

    language: str | None = Field(
        default=None,
        description="what is spoken in it: `en`, `de`, …, or `auto`; else what `!settings language` says",
    )


async def speak(ctx: Context, asked: Say) -> Reply:
    """Say a text aloud: also in the voice channel where both of us are."""
    name = _ogg(asked.to) if asked.to is not None else None
    usual, voice = await _manner(ctx)
    language = asked.language or usual
    audio = _said(*await ctx.chorus.speech.speak(ctx.guild, asked.text, language, voice), name)
    if ctx.calls and await may_be_heard(ctx, ctx.calls):
        try:
            await ctx.calls.say(audio.data)
        except ChorusError as error:  # it is spoken all the same
            return replace(audio, note=problem(error).line)
    return audio


async def sound(ctx: Context, asked: Recording) -> Reply:
    """Play a recording in the voice channel where both of us are."""
    name, calls = _recording(ctx, asked), await theirs(ctx)
    upload = await ctx.files.read(name)
    if not await calls.play(upload.name, await upload.read()):
        return Text(NOWHERE)
    return Text(f"{upload.name} is heard in the voice channel. `!skip` ends it.")


async def read_out(ctx: Context, text: str) -> Audio | None:
    """Say an answer where the person talks; None then, otherwise what is to be handed over.

    A long one is said as far as that may be. None also where nothing in it can be said, as in code.
    """
    language, voice = await _manner(ctx)
    try:
        if ctx.calls:
            async with aclosing(ctx.chorus.speech.speaking(ctx.guild, text, language, voice)) as parts:
                if await ctx.calls.answer(parts):
                    return None
        return _said(*await ctx.chorus.speech.speak(ctx.guild, text, language, voice, cut=True))
    except InvalidInput as error:
        if error.code != NOTHING_TO_SAY:
            raise
        return None


def _said(audio: bytes, seconds: float, name: str | None = None) -> Audio:
    return Audio(name or f"said-{hashlib.sha256(audio).hexdigest()[:8]}{OGG}", audio, seconds)


async def _manner(ctx: Context) -> tuple[str | None, str | None]:
    """In which language, and with whose voice, the guild has things said here."""
    chosen = await settings_of(ctx)
    return chosen.language_in(ctx.channel), chosen.speaker


async def transcribe(ctx: Context, asked: Transcribe) -> Reply:
    """Write down what is said in a recording; of a long one, what is heard so far is shown."""
    so_far = await _hearing(ctx, _recording(ctx, asked), asked.language)
    return Progress("", ended_in_words(_told(so_far)))


async def _told(so_far: AsyncGenerator[Heard]) -> AsyncIterator[Moment]:
    """A recording as it is written down."""
    clock = asyncio.get_running_loop().time
    begun, heard = clock(), Heard("", "", "")
    async with aclosing(so_far):
        async for heard in so_far:
            if clock() - begun > SOON:
                yield Moment(stage=heard.text, figures=(f"so far, heard by {heard.engine}",))
    text = f"Heard by {heard.engine} ({heard.language}):\n{heard.text}"
    yield Moment(outcome=Text(text, quoted=heard.text))


@dataclass(frozen=True)
class Listened:
    """What somebody said, typed and spoken."""

    words: str
    """All of it, as if it were typed."""
    heard: str = ""
    """What was heard, and by which engine: to be shown, so that people see what they were taken to say."""


async def listened(ctx: Context, words: str) -> Listened:
    """What somebody typed, and said in the recordings that came with it.

    Raises what keeps a recording from being heard where there is nothing else to answer; beside words it is
    named as not heard.
    """
    if not ctx.recordings:
        return Listened(words)
    parts, shown = [words] if words else [], list[str]()
    for name in ctx.recordings:
        try:
            heard = await _written_down(ctx, name)
        except ChorusError:
            if not words:
                raise
            parts.append(f"Attached, but not heard: {name}.")
        else:
            parts.append(heard.text)
            told = textwrap.shorten(heard.text, SHOWN, placeholder=" …")
            shown.append(f"{told} (heard by {heard.engine})")
    return Listened("\n".join(parts), " · ".join(shown))


async def _written_down(ctx: Context, recording: str) -> Heard:
    """All the words in a recording, at its end."""
    async with aclosing(await _hearing(ctx, recording)) as so_far:
        *_, heard = [heard async for heard in so_far]
    return heard


async def _hearing(ctx: Context, recording: str, language: str | None = None) -> AsyncGenerator[Heard]:
    """The words in a file, or in what Discord keeps at an address, as they are heard.

    What is spoken here is listened for, unless another language is asked for.
    """
    speech = ctx.chorus.speech
    language = language or (await _manner(ctx))[0]
    if recording.lower().startswith(ADDRESS):
        return speech.hear(ctx.guild, recording, language)
    upload = await ctx.files.read(recording)
    so_far = speech.hear(ctx.guild, upload, language)
    is_theirs = recording in ctx.files.attached()  # what they reply to is somebody else's
    return _kept(ctx, upload, so_far) if is_theirs else so_far


async def _kept(ctx: Context, recording: Upload, so_far: AsyncGenerator[Heard]) -> AsyncGenerator[Heard]:
    """The same words; at their end the recording is kept, where the guild and the person let it be.

    They are asked then: nothing is kept that has no words, and to hear it may take minutes.
    """
    async with aclosing(so_far):
        async for heard in so_far:
            yield heard
    try:
        if (await settings_of(ctx)).keep_recordings and not await opted_out(ctx, [ctx.user]):
            await ctx.chorus.speech.keep(ctx.guild, ctx.user, recording)
    except ChorusError as error:  # it was heard all the same
        log.warning("recording not kept", code=error.code)


def _ogg(name: str) -> str:
    """A file's name with the ending that fits: another one would promise what the file is not."""
    suffix = PurePath(name).suffix
    if suffix.lower() not in ("", OGG):
        raise InvalidInput(
            f"What is said becomes an OGG file, not {suffix}: write `to={PurePath(name).stem}{OGG}`.",
            code="not_ogg",
            param="to",
        )
    return name if suffix else f"{name}{OGG}"


def _recording(ctx: Context, asked: Recording) -> str:
    """The one recording that is meant: named, or attached."""
    named = [name for name in (asked.file, asked.text) if name]
    found = named or ctx.files.attached() or ctx.answered_files
    if len(found) != 1:
        raise InvalidInput(
            "Give one recording: attach it, reply to it, or name it: `file=hello.ogg`.",
            code="several_files" if found else "nothing_to_transcribe",
            param="file",
        )
    return found[0]
