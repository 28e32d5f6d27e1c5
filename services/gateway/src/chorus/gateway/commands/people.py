"""People and roles of a server, as somebody writes them: mentions, ids, a role's name, or a word for many.

everyone            <@42>  <@&501>  42          @Teachers  "Quiet Ones"
admins, nobody      those who manage the server on Discord, who are always included
"""

import re

from chorus.common.contracts.guild import Who
from chorus.common.errors import InvalidInput, NotFound, in_short
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import words
from chorus.gateway.commands.ports import People

ALL, NONE = ("everyone", "everybody", "@everyone", "all"), ("admins", "nobody", "none")
_MENTION = re.compile(r"<@(&|!?)([0-9]{1,20})>|([0-9]{1,20})")


async def read_people(ctx: Context, text: str) -> Who:
    """Who is meant. Raises `NotFound` for who is not of this server, `InvalidInput` where there is none."""
    if ctx.people is None:
        raise InvalidInput(
            "Here is no server with people and roles: everybody in a place of their own has all rights.",
            code="no_people",
        )
    named = words(text)
    if not named:
        raise InvalidInput(
            "Who? A role (`@Teachers`), a person (`@marit`), `everyone`, or `admins`.", code="nobody_named"
        )
    everybody, roles, users = False, list[str](), list[str]()
    for word in named:
        if word.lower() in ALL:
            everybody = True
        elif word.lower() in NONE:
            continue
        elif (role := _role(ctx.people, word)) is not None:
            roles.append(role)
        else:
            users.append(await _member(ctx.people, word))
    return Who(everybody=everybody, roles=list(dict.fromkeys(roles)), users=list(dict.fromkeys(users)))


def mentioned_id(text: str) -> str:
    """The id of the person whom a text mentions; a text that is no mention, as it is."""
    mention = re.fullmatch(r"<@!?([0-9]{1,20})>", text)
    return mention[1] if mention else text


def _role(people: People, word: str) -> str | None:
    """The id of the role that is mentioned or named, if it is one."""
    known, found = people.roles(), _MENTION.fullmatch(word)
    if found is None:
        plain = word.removeprefix("@").casefold()
        return next((role for role, name in known.items() if name.casefold() == plain), None)
    role = found[2] or found[3]
    if role in known:
        return role
    if found[1] == "&":
        raise NotFound("That role is none of this server.", code="unknown_role")
    return None


async def _member(people: People, word: str) -> str:
    found = _MENTION.fullmatch(word)
    if found is None:
        raise NotFound(
            f"There is no role {in_short(word)!r} here. A person is mentioned, as in `@marit`.",
            code="unknown_role",
        )
    person = found[2] or found[3]
    if await people.member(person) is None:
        raise NotFound("That person is no member of this server.", code="unknown_member")
    return person


def shown(who: Who) -> str:
    """People in words; those who are always included are left out."""
    named = [*(f"<@&{role}>" for role in who.roles), *(f"<@{user}>" for user in who.users)]
    return "everybody" if who.everybody else ", ".join(named)
