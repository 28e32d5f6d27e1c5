"""`!say` and `!transcribe`: words into sound, and sound into words."""

import hashlib
from dataclasses import replace
from pathlib import PurePath

from pydantic import Field

from chorus.common.errors import ChorusError, InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.replies import Audio, Reply, Text, problem
from chorus.gateway.commands.rights import settings_of
from chorus.gateway.commands.voice import may_be_heard

OGG = ".ogg"


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
    """A text spoken, in the guild's language unless another is asked for."""
    language = language or (await settings_of(ctx)).language_in(ctx.channel)
    audio, seconds = await ctx.chorus.speech.speak(ctx.guild, text, language)
    return Audio(name or f"said-{hashlib.sha256(audio).hexdigest()[:8]}{OGG}", audio, seconds)


async def transcribe(ctx: Context, asked: Transcribe) -> Reply:
    """Write down what is said in a recording."""
    upload = await ctx.files.read(_recording(ctx, asked))
    said = await ctx.chorus.speech.transcribe(ctx.guild, upload)
    return Text(said, quoted=said)


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
    found = named or ctx.files.attached()
    if len(found) != 1:
        raise InvalidInput(
            "Give one recording: `!transcribe file=hello.ogg`.",
            code="several_files" if found else "nothing_to_transcribe",
            param="file",
        )
    return found[0]
