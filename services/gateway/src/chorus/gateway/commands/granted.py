"""What can be granted to people: rights, their opposite, and quotas."""

from typing import get_args

from chorus.common.contracts.guild import (
    MOST_COUNTED,
    NOBODY,
    Counted,
    GuildSettings,
    Limit,
    Limits,
    Right,
    Who,
)
from chorus.common.errors import InvalidInput, in_short
from chorus.gateway.commands.choices import Setting, changed, here_and_elsewhere, with_channel
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.people import ALL, read_people, shown
from chorus.gateway.commands.quotas import PER

ADMINS = "those who manage this server on Discord"
UNLIMITED = ("none", "no", "unlimited", "off")
ROLES, USERS = 100, 500
"""That one setting may name, as the contract has it."""


# --- rights --------------------------------------------------------------------------------------
def right(which: Right, about: str) -> Setting:
    """Who has a right."""

    def put(old: GuildSettings, value: Who | None, channel: str | None) -> GuildSettings:
        if channel is None:
            return old.model_copy(update={"rights": changed(old.rights, which, value)})
        return with_channel(old, channel, rights=changed(old.in_channel(channel).rights, which, value))

    def show(settings: GuildSettings, channel: str | None) -> str:
        here = settings.in_channel(channel).rights.get(which)
        return here_and_elsewhere(here and _with_admins(here), _with_admins(settings.who(which)))

    examples = (f"{which} @Teachers", f"{which} everyone", f"{which} admins here=yes")
    of_admins = which == "manage"  # whoever was lent it cannot hand it on
    return Setting(
        which, about, examples, read_people, put, show, "either", of_people=True, of_admins=of_admins
    )


def _with_admins(who: Who) -> str:
    if who.everybody:
        return shown(who)
    return ADMINS if who == NOBODY else f"{shown(who)}, and {ADMINS}"


def deny() -> Setting:
    """Who may do nothing."""

    def put(old: GuildSettings, value: Who | None, channel: str | None) -> GuildSettings:
        """Some more than before; None: nobody any more."""
        more = value and _added(_denied(old, channel), value)
        return _with_denied(old, more or NOBODY, channel)

    about = f"Who may do nothing but !privacy, whatever else is granted; {ADMINS} cannot be denied."
    examples = ("deny @marit", "deny @marit here=yes")
    return Setting("deny", about, examples, _some_people, put, _denied_in_words, "either", of_people=True)


def allow() -> Setting:
    """Takes people out of those who are denied."""

    def put(old: GuildSettings, value: Who | None, channel: str | None) -> GuildSettings:
        gone, denied = value or NOBODY, _denied(old, channel)
        roles = [role for role in denied.roles if role not in gone.roles]
        users = [user for user in denied.users if user not in gone.users]
        return _with_denied(old, Who(roles=roles, users=users), channel)

    def show(settings: GuildSettings, channel: str | None) -> str:
        return f"denied: {_denied_in_words(settings, channel)}"

    about, examples = "Takes back what `deny` did.", ("allow @marit",)
    return Setting("allow", about, examples, _some_people, put, show, "either", of_people=True, listed=False)


def _denied(settings: GuildSettings, channel: str | None) -> Who:
    return settings.denied if channel is None else settings.in_channel(channel).denied


def _with_denied(old: GuildSettings, who: Who, channel: str | None) -> GuildSettings:
    if channel is None:
        return old.model_copy(update={"denied": who})
    return with_channel(old, channel, denied=who)


def _denied_in_words(settings: GuildSettings, channel: str | None) -> str:
    everywhere, here = shown(settings.denied) or "nobody", shown(_denied(settings, channel or ""))
    return f"{here} in this channel, {everywhere} everywhere" if here else everywhere


async def _some_people(ctx: Context, text: str) -> Who:
    """Raises `InvalidInput` where everybody is meant."""
    who = await read_people(ctx, text)
    if who.everybody:
        raise InvalidInput(
            "That is for some people, not for everybody: `!settings chat admins` leaves only those who "
            "manage this server, and `!settings reset deny` denies nobody any more.",
            code="everybody_named",
        )
    return who


def _added(old: Who, more: Who) -> Who:
    roles = list(dict.fromkeys([*old.roles, *more.roles]))
    users = list(dict.fromkeys([*old.users, *more.users]))
    _check_size(len(roles), len(users))
    return Who(roles=roles, users=users)


def _check_size(roles: int, users: int) -> None:
    if roles > ROLES or users > USERS:
        raise InvalidInput(
            f"At most {ROLES} roles and {USERS} people can be named: give those people a role.",
            code="too_many_people",
        )


# --- quotas --------------------------------------------------------------------------------------
def quota() -> Setting:
    """How much each person may have."""

    def put(old: GuildSettings, value: tuple[Counted, Limit, Who] | None, _: str | None) -> GuildSettings:
        if value is None:
            return old.model_copy(update={"quotas": {}})
        what, limit, who = value
        new = _limited(old.quotas.get(what, Limits()), limit, who)
        return old.model_copy(update={"quotas": changed(old.quotas, what, None if new == Limits() else new)})

    def show(settings: GuildSettings, _: str | None) -> str:
        return "; ".join(_told(what, limits) for what, limits in settings.quotas.items()) or "none"

    about = (
        "How many questions an hour and trainings a day each person may have. A role's number counts in "
        "place of everybody's, of several roles the highest; a person's own before both. "
        f"None holds for {ADMINS}."
    )
    examples = ("quota questions 20", "quota trainings 1 role=@Guests", "quota questions none role=@Teachers")
    return Setting("quota", about, examples, _quota, put, show, of_people=True)


async def _quota(ctx: Context, text: str) -> tuple[Counted, Limit, Who]:
    """What is counted, how much of it, and for whom: without a name, for everybody."""
    named, number, people = [*text.split(maxsplit=2), "", "", ""][:3]
    what = next((one for one in get_args(Counted) if named.lower() == one), None)
    limited = number.isascii() and number.isdecimal() and int(number) <= MOST_COUNTED
    if what is None or not (limited or number.lower() in UNLIMITED):
        raise InvalidInput(
            f"A quota cannot be {in_short(text)!r}: it is `questions` (an hour) or `trainings` (a day) with "
            f"a number from 0 to {MOST_COUNTED}, or `none`: `!settings quota questions 20 role=@Guests`.",
            code="not_a_quota",
        )
    return what, int(number) if limited else None, await read_people(ctx, people or ALL[0])


def _limited(old: Limits, limit: Limit, who: Who) -> Limits:
    roles = old.roles | dict.fromkeys(who.roles, limit)
    users = old.users | dict.fromkeys(who.users, limit)
    _check_size(len(roles), len(users))
    return Limits(everybody=limit if who.everybody else old.everybody, roles=roles, users=users)


def _told(what: Counted, limits: Limits) -> str:
    everybody = "any number of" if limits.everybody is None else limits.everybody
    own = [f"<@&{role}>: {_number(limit)}" for role, limit in limits.roles.items()]
    own += [f"<@{user}>: {_number(limit)}" for user, limit in limits.users.items()]
    return f"{everybody} {what} {PER[what]}" + (f" ({', '.join(own)})" if own else "")


def _number(limit: Limit) -> str:
    return "no limit" if limit is None else str(limit)
