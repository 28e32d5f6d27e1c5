"""`!settings`: what this server, or this channel, has chosen; to look at, to explain, and to change.

!settings                                   all of it
!settings temperature                       one, explained
!settings temperature 0.7                   everywhere
!settings temperature 0.7 here=yes          in this channel alone
!settings train @Teachers
!settings chat everyone here=yes
!settings quota questions 20 role=@Guests
!settings reset temperature
"""

import difflib
from typing import Any

from pydantic import Field, model_validator

from chorus.common.contracts.guild import GuildSettings
from chorus.common.errors import InvalidInput, NotFound, in_short
from chorus.gateway.commands.choices import Setting, channel_model, plain, speaker, switched, tuned
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.granted import allow, deny, quota, right
from chorus.gateway.commands.parsing import Parameters, given_twice
from chorus.gateway.commands.replies import Card, Reply, Text
from chorus.gateway.commands.rights import require, require_own, settings_of

RESET = "reset"
ELSEWHERE = {
    "persona": "!persona", "examples": "!examples", "voice": "!use", "dataset": "!select_dataset",
    "notice": "!notice", "privacy": "!privacy",
}  # fmt: skip
"""What is chosen with commands of its own."""

SETTINGS = {
    setting.name: setting
    for setting in (
        plain("prefix", "What commands begin with: 1 to 5 signs.", "?", "c!"),
        plain(
            "language",
            "The language that models answer in, that !say speaks and that recordings are in, unless told "
            "otherwise.",
            "de", "en-us here=yes", otherwise="whatever is spoken",
        ),
        speaker(),
        switched("listen", "Whether I answer all that is said in this channel, and not only to me."),
        switched(
            "hear", "Whether recordings and voice messages that are said to me in this channel are written "
            "down and answered.",
        ),
        switched("voice_replies", "Whether answers in this channel are also spoken."),
        channel_model(),
        tuned("temperature", "0.7"),
        tuned("top_p", "0.9"),
        tuned("top_k", "40"),
        tuned("min_p", "0.05"),
        tuned("repetition_penalty", "1.1"),
        tuned("presence_penalty", "0.5"),
        tuned("max_tokens", "256"),
        tuned("stop", '"###"', "none"),
        tuned("seed", "42", "another one each time"),
        tuned("n", "2"),
        right("chat", "Who may ask, and use all commands that change nothing for others."),
        right("train", "Who may hand over data and train models; they may chat, too."),
        right(
            "manage", "Who may change settings, choose who answers, and delete; they may train, too. Only "
            "those who manage this server on Discord grant it.",
        ),
        deny(),
        allow(),
        quota(),
        plain(
            "promote", "What becomes of a newly trained version: you are asked, or it answers at once.",
            "ask", "auto", otherwise="as is usual here: servers are asked",
        ),
        plain(
            "keep_replies_days", "For how many days replies are kept with what was asked, so that they can "
            "be rated and corrected; 0 keeps none.", "7", "0",
        ),
        plain(
            "keep_recordings", "Whether recordings that I hear are kept, until whoever sent them has them "
            "deleted; otherwise they are deleted at once.", "on", "off",
        ),
        plain(
            "names", "Whether models are told what people are called where several speak, when they are "
            "asked and in what they learn. Otherwise people are u1, u2, ….", "on", "off",
        ),
    )
}  # fmt: skip


class SettingsParameters(Parameters):
    """What `!settings` takes."""

    name: str | None = Field(
        default=None,
        description="a setting; without one, all are shown",
        json_schema_extra={"enum": [*SETTINGS]},
    )
    value: str | None = Field(default=None, description="its new value; without one it is explained")
    here: bool = Field(default=False, description="in this channel alone")
    role: str | None = Field(default=None, description="with `quota`: whose it is")
    reset: bool = Field(default=False, description="as it was before anybody chose it")

    @model_validator(mode="before")
    @classmethod
    def _in_one_line(cls, given: dict[str, Any]) -> dict[str, Any]:
        """In a line, `temperature 0.7` is a name and its value, and `reset temperature` a name."""
        name, value = [*str(given.get("name") or "").split(maxsplit=1), "", ""][:2]
        if name.lower() == RESET:
            return {**given, "name": value, "reset": True}
        if value and "value" in given:
            raise given_twice("value")
        return {**given, "name": name, "value": value} if value else given


async def settings(ctx: Context, asked: SettingsParameters) -> Reply:
    """Show what is chosen, explain a setting, or change it."""
    if not asked.model_fields_set:
        return _all(ctx, await settings_of(ctx))
    setting = _find(asked.name or "")
    value = " ".join(part.strip() for part in (asked.value, asked.role) if part)
    if asked.reset:
        return await _changed(ctx, asked, setting, None)
    if not value:
        return Text(_explained(ctx, setting, await settings_of(ctx)))
    return await _changed(ctx, asked, setting, value)


def _find(name: str) -> Setting:
    """Raises `NotFound` with the nearest one."""
    plain_name = name.strip().lower().replace("-", "_")
    if (setting := SETTINGS.get(plain_name)) is not None:
        return setting
    if command := ELSEWHERE.get(plain_name):
        raise NotFound(f"`{plain_name}` has a command of its own: {command}.", code="unknown_setting")
    near = difflib.get_close_matches(plain_name, SETTINGS, n=1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    unknown = f"There is no setting {in_short(name)!r}.{hint}" if plain_name else "Which setting?"
    raise NotFound(f"{unknown} !settings lists them all.", code="unknown_setting")


def _all(ctx: Context, chosen: GuildSettings) -> Card:
    """All settings that make sense here, each with what is in force."""
    rows = [
        (setting.name, setting.show(chosen, ctx.channel))
        for setting in SETTINGS.values()
        if setting.listed
        and (ctx.channel or setting.where != "channel")
        and (ctx.people or not setting.of_people)
    ]
    persona = "there is one" if chosen.persona_in(ctx.channel) else "there is none"
    elsewhere = [
        ("persona", f"{persona} (!persona)"),
        (
            "models that learned what is deleted",
            f"answer for {chosen.forget_within.days} more days (!privacy)",
        ),
    ]
    footer = "More of one: !settings temperature. To change it: !settings temperature 0.7"
    here = ", for this channel alone with here=yes" if ctx.channel else ""
    return Card("Settings", ("setting", "value"), [*rows, *elsewhere], f"{footer}{here}.")


def _explained(ctx: Context, setting: Setting, chosen: GuildSettings) -> str:
    examples = [f"  e.g. !settings {example}" for example in setting.examples]
    return "\n".join(
        [f"{setting.name}: {setting.about}", f"Now: {setting.show(chosen, ctx.channel)}.", *examples]
        + ([f"  as before: !settings {RESET} {setting.name}"] if setting.listed else [])
    )


async def _changed(ctx: Context, asked: SettingsParameters, setting: Setting, text: str | None) -> Reply:
    """Keep a new value; without one, what was chosen is taken back."""
    channel = _channel(ctx, asked, setting)
    await require(ctx, "manage", "Changing settings", here=channel is not None)
    if setting.of_admins:
        require_own(ctx, f"Changing `{setting.name}`")
    value = None if text is None else await setting.read(ctx, text)
    kept = await ctx.chorus.guilds.change(ctx.guild, lambda old: setting.put(old, value, channel))
    return Text(f"{setting.name} from now on: {setting.show(kept, ctx.channel)}.")


def _channel(ctx: Context, asked: SettingsParameters, setting: Setting) -> str | None:
    """The channel that it is chosen for; None is the whole place."""
    if asked.here and setting.where == "everywhere":
        raise InvalidInput(
            f"`{setting.name}` is the same in all channels: leave `here=` out.",
            code="same_everywhere",
            param="here",
        )
    if not asked.here and setting.where != "channel":
        return None
    if ctx.channel is None:
        raise InvalidInput(
            f"`{setting.name}` would be chosen for a channel, and here is none.",
            code="no_channel",
            param="here",
        )
    return ctx.channel
