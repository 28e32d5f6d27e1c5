"""What can be chosen for a whole place or for a channel: how each setting is read, kept and shown.

`granted` has the settings that are about people, `settings` the list of all.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Field

from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.guild import (
    CHANNELS_CHOSEN,
    LANGUAGE,
    ChannelSettings,
    GuildSettings,
    Prefix,
    Tuned,
)
from chorus.common.contracts.models import BASE
from chorus.common.errors import InvalidInput, NotFound, in_short
from chorus.gateway.commands.asking import SamplingParameters
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters, validated, words

ADVISED = "as the model's makers advise"
Where = Literal["everywhere", "either", "channel"]


@dataclass(frozen=True)
class Setting:
    """One thing that can be chosen."""

    name: str
    about: str
    examples: tuple[str, ...]
    """What stands after `!settings`."""
    read: Callable[[Context, str], Awaitable[Any]]
    """What somebody wrote, as a value. Raises what is wrong with it."""
    put: Callable[[GuildSettings, Any, str | None], GuildSettings]
    """All choices with this value: in the whole place, or in a channel. None takes the choice back."""
    show: Callable[[GuildSettings, str | None], str]
    """What is in force in a channel; nothing where there is nothing to show."""
    where: Where = "everywhere"
    """Whether there is one value for the whole place, one for each channel, or both."""
    of_people: bool = False
    """Whether it makes sense only where there are other people."""
    of_admins: bool = False
    """Whether it takes Discord's own permission to manage the server: no right that was granted is enough."""
    listed: bool = True
    """Whether it is shown with the others."""


# --- one value for the whole place, or a channel's own -------------------------------------------
def _language(text: str) -> str:
    if not re.fullmatch(LANGUAGE, code := text.lower()):
        raise ValueError("it is a language's short code, as in `de` or `en-us`")
    return code


class Values(Parameters):
    """Values of settings that are read by themselves."""

    prefix: Prefix | None = None
    language: Annotated[str, AfterValidator(_language)] | None = None
    promote: Literal["ask", "auto"] | None = None
    keep_replies_days: int | None = Field(default=None, ge=0, le=30)
    names: bool | None = None
    listen: bool | None = None
    hear: bool | None = None
    keep_recordings: bool | None = None
    voice_replies: bool | None = None


async def _valued(model: type[Parameters], name: str, _: Context, text: str) -> Any:
    return getattr(validated(model, {name: text}), name)


def plain(name: str, about: str, *values: str, otherwise: str = "") -> Setting:
    """One value for the whole place, and one for a channel where `ChannelSettings` has it, too.

    `otherwise` is what holds without one.
    """

    def put(old: GuildSettings, value: Any, channel: str | None) -> GuildSettings:
        if channel is not None:
            return with_channel(old, channel, **{name: value})
        default = GuildSettings.model_fields[name].default
        return old.model_copy(update={name: default if value is None else value})

    def show(settings: GuildSettings, channel: str | None) -> str:
        value = getattr(settings, name)
        here = getattr(settings.in_channel(channel), name, None)
        return here_and_elsewhere(here, otherwise if value is None else _in_words(value))

    examples = tuple(f"{name} {value}" for value in values)
    where: Where = "either" if name in ChannelSettings.model_fields else "everywhere"
    return Setting(name, about, examples, partial(_valued, Values, name), put, show, where)


def _in_words(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def speaker() -> Setting:
    """Whose voice is heard."""
    about = "Whose voice is heard, where it knows the language: an engine, or one of its voices."
    chosen = plain("speaker", about, "espeak", otherwise="whoever knows the language")
    return replace(chosen, read=_known_speaker)


async def _known_speaker(ctx: Context, text: str) -> str:
    """Its own name. Raises `NotFound` with all that there are for a voice that is none of them."""
    voices = await ctx.chorus.speech.voices()
    known = {name.lower(): name for name in [*(name.partition("/")[0] for name in voices), *voices]}
    if (name := text.strip()).lower() not in known:
        raise NotFound(
            f"There is no voice {in_short(name)!r} here. There are: {', '.join(known.values())}.",
            code="unknown_voice",
        )
    return known[name.lower()]


def tuned(name: Tuned, value: str, otherwise: str = ADVISED) -> Setting:
    """One of the options of `!ask`, for all questions of the place or of a channel."""

    def put(old: GuildSettings, value: Any, channel: str | None) -> GuildSettings:
        if channel is None:
            return old.model_copy(update={"sampling": changed(old.sampling, name, value)})
        return with_channel(old, channel, sampling=changed(old.in_channel(channel).sampling, name, value))

    def show(settings: GuildSettings, channel: str | None) -> str:
        here, all_over = settings.in_channel(channel).sampling.get(name), settings.sampling.get(name)
        default = Sampling.model_fields[name].default or otherwise
        elsewhere = default if all_over is None else all_over
        return here_and_elsewhere(None if here is None else _as_typed(here), _as_typed(elsewhere))

    about = " ".join((Sampling.model_fields[name].description or "").split())
    examples = (f"{name} {value}", f"{name} {value} here=yes")
    read = _stops if name == "stop" else partial(_valued, SamplingParameters, name)
    return Setting(name, about, examples, read, put, show, "either")


def _as_typed(value: object) -> str:
    texts = cast("list[str]", value) if isinstance(value, list) else None
    return str(value) if texts is None else " ".join(f'"{text}"' for text in texts)


async def _stops(_: Context, text: str) -> list[str]:
    """Each word is one; those between quotes are one together."""
    return validated(SamplingParameters, {"stop": words(text)}).stop


# --- channels ------------------------------------------------------------------------------------
def switched(name: Literal["listen", "hear", "voice_replies"], about: str) -> Setting:
    """On or off in a channel."""

    def put(old: GuildSettings, value: bool | None, channel: str | None) -> GuildSettings:
        default = ChannelSettings.model_fields[name].default
        return with_channel(old, channel or "", **{name: default if value is None else value})

    def show(settings: GuildSettings, channel: str | None) -> str:
        return _in_words(getattr(settings.in_channel(channel), name))

    read = partial(_valued, Values, name)
    return Setting(name, about, (f"{name} on", f"{name} off"), read, put, show, "channel")


def channel_model() -> Setting:
    """Who answers in a channel."""

    def put(old: GuildSettings, value: str | None, channel: str | None) -> GuildSettings:
        return with_channel(old, channel or "", model=value)

    def show(settings: GuildSettings, channel: str | None) -> str:
        everywhere = f"{settings.voice or BASE}, as everywhere (`!use`)"
        return settings.in_channel(channel).model or everywhere

    about = "The model that answers in this channel: `name`, `name@3`, or `base`. !models lists them."
    return Setting("model", about, ("model base",), _known_model, put, show, "channel")


async def _known_model(ctx: Context, text: str) -> str:
    """Raises `NotFound` for a model that is none of the guild's."""
    if text != BASE:
        await ctx.chorus.models.find(ctx.guild, text)
    return text


def here_and_elsewhere(here: object, elsewhere: str) -> str:
    """What is in force in a channel that may have a choice of its own."""
    return elsewhere if here is None else f"{here} in this channel, {elsewhere} elsewhere"


def with_channel(old: GuildSettings, channel: str, **changes: object) -> GuildSettings:
    """The choices with other ones for a channel, which is left out where nothing is chosen for it."""
    new = old.in_channel(channel).model_copy(update=changes)
    channels = changed(old.channels, channel, None if new == ChannelSettings() else new)
    if len(channels) > CHANNELS_CHOSEN:
        raise InvalidInput(
            f"{CHANNELS_CHOSEN} channels have settings of their own, and more are not kept. "
            "Take some back there: `!settings reset listen`, say.",
            code="too_many_channels",
        )
    return old.model_copy(update={"channels": channels})


def changed(old: Mapping[Any, Any], key: object, value: object) -> dict[Any, Any]:
    """The mapping with another value for a key; None takes it out."""
    rest = {name: other for name, other in old.items() if name != key}
    return rest if value is None else {**rest, key: value}
