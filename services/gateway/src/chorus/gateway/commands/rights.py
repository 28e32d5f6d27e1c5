"""Who may do what: `chat`, `train`, and `manage`, which each guild gives to roles and people.

Whoever manages the server on Discord, whoever sits at the machine, and everybody in their direct messages
have all rights, whatever was chosen: nobody can lock themselves out.
"""

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
    if settings.denied.includes(ctx.user, ctx.roles):
        return False
    enough = RIGHTS[RIGHTS.index(right) :]
    return any(settings.who(one).includes(ctx.user, ctx.roles) for one in enough)


async def may(ctx: Context, right: Right) -> bool:
    """Whether the person has a right here."""
    return allowed(ctx, await settings_of(ctx), right)


def require(ctx: Context, settings: GuildSettings, right: Right | None, what: str) -> None:
    """Raises `NotPermitted` where the person may not do what needs this right; `what` begins the sentence."""
    if right is None or allowed(ctx, settings, right):
        return
    if settings.denied.includes(ctx.user, ctx.roles):
        raise NotPermitted(
            "Those who manage this server have decided that you cannot use me here.", code="denied"
        )
    raise NotPermitted(REFUSED[right].format(what=what))
