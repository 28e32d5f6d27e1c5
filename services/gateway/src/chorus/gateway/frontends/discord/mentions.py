"""Mentions in what people say, as Discord shows them: a model is told names, and never an id.

Names are looked up in what Discord has sent already. A name may hold anything; it is cut short, and has no
signs that mean something in a line of ours or in Markdown, and what reads it pings nobody.
"""

import re
from collections.abc import Sequence

import discord

from chorus.common.errors import in_short
from chorus.gateway.frontends.discord.origin import Person

MENTION = re.compile(r"<(?P<kind>@[!&]?|#)(?P<id>[0-9]{15,20})>")
EMOJI = re.compile(r"<a?(:\w{2,32}:)[0-9]{15,20}>")
COMMAND = re.compile(r"<(/[^<>:]{1,100}):[0-9]{15,20}>")
SIGNS = re.compile(r"[\s\"'`=<>@#\\|*]+")
NOBODY = {"@": "somebody", "@!": "somebody", "@&": "a role", "#": "a channel"}


def by_name(words: str, guild: discord.Guild | None, mentioned: Sequence[Person] = ()) -> str:
    """The words, with names for mentions. `mentioned` are those whom Discord has named with them."""
    people = {person.id: person.display_name for person in mentioned}

    def name(mention: re.Match[str]) -> str:
        kind, number = mention["kind"], int(mention["id"])
        found = people.get(number) if kind in ("@", "@!") else None
        found = found or (_known(guild, kind, number) if guild else None)
        return kind[0] + (SIGNS.sub(" ", in_short(found)).strip() if found else NOBODY[kind])

    return COMMAND.sub(r"\1", EMOJI.sub(r"\1", MENTION.sub(name, words)))


def _known(guild: discord.Guild, kind: str, number: int) -> str | None:
    """What the server calls it, as far as we were told."""
    match kind:
        case "#":
            channel = guild.get_channel_or_thread(number)
            return channel.name if channel else None
        case "@&":
            role = guild.get_role(number)
            return role.name if role else None
        case _:
            member = guild.get_member(number)
            return member.display_name if member else None
