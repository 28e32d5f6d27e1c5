"""Who may do what: `chat`, `train`, and `manage`, which each guild gives to roles and people.

A channel may give them otherwise, for what is said in it. Whoever manages the server on Discord, whoever sits
at the machine, and everybody in their direct messages have all rights, whatever was chosen: nobody can lock
themselves out.
"""

from dataclasses import replace

from chorus.common.contracts.guild import RIGHTS, GuildSettings, Right
from chorus.common.errors import NotPermitted
from chorus.gateway.commands.context import Context

REFUSED: dict[Right, str] = {
    "chat": "Only some people may use me here. Ask those who manage this server.",
    "train": "{what} is for those who may train here: `!settings train` says who they are.",
    "manage": "{what} is for those who manage this server. Ask one of them.",
}


async def settings_of(ctx: Context) -> GuildSettings:
    """What the guild has chosen, read once for a command."""
    return ctx.settings or await ctx.chorus.guilds.settings(ctx.guild)


def allowed(ctx: Context, settings: GuildSettings, right: Right | None) -> bool:
    """Whether the person has a right, or one that includes it. What needs none (None) is for everybody."""
    if ctx.admin or right is None:
        return True
    if settings.denies(ctx.user, ctx.roles, ctx.channel):
        return False
    enough = RIGHTS[RIGHTS.index(right) :]
    return any(settings.who(one, ctx.channel).includes(ctx.user, ctx.roles) for one in enough)


async def may(ctx: Context, right: Right) -> bool:
    """Whether the person has a right here."""
    return allowed(ctx, await settings_of(ctx), right)


async def require(ctx: Context, right: Right | None, what: str) -> None:
    """Raises `NotPermitted` where the person may not do what needs this right; `what` begins the sentence."""
    settings = await settings_of(ctx)
    if right is None or allowed(ctx, settings, right):
        return
    if settings.denies(ctx.user, ctx.roles, ctx.channel):
        raise NotPermitted(
            "Those who manage this server have decided that you cannot use me here.", code="denied"
        )
    raise NotPermitted(REFUSED[right].format(what=what))


async def require_managing(ctx: Context, channel: str | None, what: str) -> None:
    """As `require` with *manage*, of what is chosen for a channel, or for all of them where there is none.

    Who manages one channel alone chooses nothing for the others.
    """
    await require(ctx, "manage", what)
    await require(replace(ctx, channel=channel), "manage", f"{what} for all channels")


def require_own(ctx: Context, what: str) -> None:
    """Raises `NotPermitted` where the place is not theirs by Discord's own permission to manage it.

    A right that was granted is not enough: nobody hands it on, or speaks for those who run the server.
    """
    if not ctx.admin:
        raise NotPermitted(f"{what} is for those who manage this server on Discord. Ask one of them.")
