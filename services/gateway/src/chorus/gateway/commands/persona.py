"""`!persona`: who the model is to be, in all channels or in one."""

from typing import Annotated

from pydantic import Field, StringConstraints

from chorus.common.contracts.guild import GuildSettings, Persona
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.choices import changed
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.replies import Reply, Text
from chorus.gateway.commands.rights import allowed, require, settings_of

CLEAR, SHOW = "clear", "show"
LONGEST = 4000  # characters, as the contract has it
CHANNELS = 500  # that have a persona of their own, as the contract has it


class PersonaParameters(Parameters):
    """What `!persona` takes."""

    text: (
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST)] | None
    ) = Field(default=None, description="who the model is to be; or `clear`, or `show`")
    here: bool = Field(default=False, description="in this channel alone")


async def persona(ctx: Context, asked: PersonaParameters) -> Reply:
    """Show who the model is to be here, or change it."""
    if asked.here and ctx.channel is None:
        raise InvalidInput("Here is no channel: leave `here=` out.", code="no_channel", param="here")
    if asked.text is None or asked.text.casefold() == SHOW:
        return _told(await settings_of(ctx), ctx)
    channel = ctx.channel if asked.here else None
    await require(ctx, "manage", "Giving a persona for all channels", here=asked.here)
    new = None if asked.text.casefold() == CLEAR else Persona(text=asked.text, by=ctx.user)
    settings = await ctx.chorus.guilds.change(ctx.guild, lambda old: _with(old, new, channel))
    return _told(settings, ctx)


def _with(old: GuildSettings, new: Persona | None, channel: str | None) -> GuildSettings:
    """The choices with a persona set, or taken away where there is none."""
    if channel is None:
        return old.model_copy(update={"persona": new})
    personas = changed(old.personas, channel, new)
    if len(personas) > CHANNELS:
        raise InvalidInput(
            f"{CHANNELS} channels have a persona of their own, and more are not kept. "
            "Take one away there: `!persona clear here=yes`.",
            code="too_many_personas",
            param="here",
        )
    return old.model_copy(update={"personas": personas})


def _told(settings: GuildSettings, ctx: Context) -> Text:
    """The persona in force here, and whose it is. The console has no channels."""
    text = settings.persona_in(ctx.channel)
    here = "" if ctx.channel is None else ", with `here=yes` for this channel alone"
    may = allowed(ctx, settings, "manage", here=True)
    how = f'\nTo change it: !persona "You are …"{here}, or !persona clear.' if may else ""
    if text is None:
        return Text(f"No persona is set: the model is whoever it was taught to be.{how}")
    if ctx.channel is None:
        whose = ""
    elif ctx.channel in settings.personas:
        whose = " in this channel"
    else:
        whose = " in all channels without one of their own"
    return Text(f"Persona{whose}:\n{text}{how}", quoted=text)
