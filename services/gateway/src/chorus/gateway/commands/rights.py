"""Who may do what: `chat`, `train`, and `manage`, which each guild gives to roles and people.

A channel may give them otherwise, for what is said in it. Who may train or manage in one channel alone does
there what stays there, and nothing that reaches all of the server. Whoever manages the server on Discord,
whoever sits at the machine, and everybody in their direct messages have all rights, whatever was chosen:
nobody can lock themselves out.
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


def allowed(ctx: Context, settings: GuildSettings, right: Right | None, *, here: bool = False) -> bool:
    """Whether the person has a right, or one that includes it. What needs none (None) is for everybody.

    `here` is for what stays in this channel, as talking does: then the channel's choice is enough. All else
    needs the right in the whole server, too.
    """
    if ctx.admin or right is None:
        return True
    if settings.denies(ctx.user, ctx.roles, ctx.channel):
        return False
    enough = RIGHTS[RIGHTS.index(right) :]
    places = [ctx.channel] if here or right == "chat" else [ctx.channel, None]
    return all(
        any(settings.who(one, place).includes(ctx.user, ctx.roles) for one in enough) for place in places
    )


async def may(ctx: Context, right: Right) -> bool:
    """Whether the person has a right in the whole server, and here."""
    return allowed(ctx, await settings_of(ctx), right)


async def require(ctx: Context, right: Right | None, what: str, *, here: bool = False) -> None:
    """Raises `NotPermitted` where the person may not do what needs this right; `what` begins the sentence.

    `here` as in `allowed`.
    """
    settings = await settings_of(ctx)
    if right is None or allowed(ctx, settings, right, here=here):
        return
    if settings.denies(ctx.user, ctx.roles, ctx.channel):
        raise NotPermitted(
            "Those who manage this server have decided that you cannot use me here.", code="denied"
        )
    if allowed(ctx, settings, right, here=True):
        raise NotPermitted(
            f"{what} reaches beyond this channel, and your right holds here alone. Ask those who manage this "
            "server."
        )
    raise NotPermitted(REFUSED[right].format(what=what))


def require_own(ctx: Context, what: str) -> None:
    """Raises `NotPermitted` where the place is not theirs by Discord's own permission to manage it.

    A right that was granted is not enough: nobody hands it on, or speaks for those who run the server.
    """
    if not ctx.admin:
        raise NotPermitted(f"{what} is for those who manage this server on Discord. Ask one of them.")
