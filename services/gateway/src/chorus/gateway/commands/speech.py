"""`!say` and `!transcribe`: words into sound, and sound into words."""

import hashlib
import textwrap
from dataclasses import dataclass, replace
from pathlib import PurePath

from pydantic import Field

from chorus.common.errors import ChorusError, InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.ports import Heard
from chorus.gateway.commands.replies import Audio, Reply, Text, problem
from chorus.gateway.commands.rights import settings_of
from chorus.gateway.commands.voice import may_be_heard

OGG = ".ogg"
ADDRESS = ("https://", "http://")
SHOWN = 600  # characters of what was heard; `!transcribe` in reply to it shows all


class Say(Parameters):
    """What `!say` takes."""

    text: str = Field(description="what to say")
    to: str | None = Field(default=None, description="name of the file; without one it gets a new name")
    language: str | None = Field(default=None, description="`en-us`, `de`, `fr`, …")


class Transcribe(Parameters):
    """What `!transcribe` takes."""

    text: str | None = Field(default=None, description="the recording")
    file: str | None = Field(default=None, description="the recording")


async def speak(ctx: Context, asked: Say) -> Reply:
    """Say a text aloud: also in the voice channel where both of us are."""
    name = _ogg(asked.to) if asked.to is not None else None
    audio = await spoken(ctx, asked.text, asked.language, name)
    if ctx.calls and await may_be_heard(ctx, ctx.calls):
        try:
            await ctx.calls.say(audio.data)
        except ChorusError as error:  # it is spoken all the same
            return replace(audio, note=problem(error).line)
    return audio


async def read_out(ctx: Context, text: str) -> Audio | None:
    """Say an answer where the person talks; None then, otherwise what is to be handed over."""
    audio = await spoken(ctx, text)
    return None if ctx.calls and await ctx.calls.answer(audio.data) else audio


async def spoken(ctx: Context, text: str, language: str | None = None, name: str | None = None) -> Audio:
    """A text spoken by the guild's voice, in its language unless another is asked for."""
    chosen = await settings_of(ctx)
    language = language or chosen.language_in(ctx.channel)
    audio, seconds = await ctx.chorus.speech.speak(ctx.guild, text, language, chosen.speaker)
    return Audio(name or f"said-{hashlib.sha256(audio).hexdigest()[:8]}{OGG}", audio, seconds)


async def transcribe(ctx: Context, asked: Transcribe) -> Reply:
    """Write down what is said in a recording."""
    heard = await _written_down(ctx, _recording(ctx, asked))
    return Text(f"Heard by {heard.engine} ({heard.language}):\n{heard.text}", quoted=heard.text)


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
    """The words in a file, or in what Discord keeps at an address."""
    speech = ctx.chorus.speech
    if recording.lower().startswith(ADDRESS):
        return await speech.transcribe(ctx.guild, recording)
    keeps = (await settings_of(ctx)).keep_recordings
    upload = await ctx.files.read(recording)
    return await speech.transcribe(ctx.guild, upload, keep_for=ctx.user if keeps else None)


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


def _recording(ctx: Context, asked: Transcribe) -> str:
    """The one recording that is meant: named, or attached."""
    named = [name for name in (asked.file, asked.text) if name]
    found = named or ctx.files.attached() or ctx.answered_files
    if len(found) != 1:
        raise InvalidInput(
            "Give one recording: attach it, reply to it, or name it: `!transcribe file=hello.ogg`.",
            code="several_files" if found else "nothing_to_transcribe",
            param="file",
        )
    return found[0]
