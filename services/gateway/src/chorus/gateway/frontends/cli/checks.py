"""What `chorus init` finds out about an answer: each check says what is good about it, or raises why not."""

import asyncio
import os
import re
import shutil
from pathlib import Path

from chorus.common.base_model import find
from chorus.common.errors import Misconfigured
from chorus.common.local.folder import ROOM
from chorus.common.local.servers import is_free
from chorus.gateway.frontends.discord.invite import Bot, look_up

GIB = 1024**3
ROOMY = 5 * GIB  # bytes: what the README asks for


def bot_of(token: str, api: str) -> Bot:
    """The bot whose token it is, from Discord itself. Raises as `look_up` does."""
    return asyncio.run(look_up(token, api))


def base_model(name: str) -> str:
    """It is there, or can be fetched, which is done."""
    return f"{find(name).label} is on this machine."


def port(number: str) -> str:
    """Nobody listens there."""
    if not number.isdigit() or int(number) > 65535:
        raise Misconfigured(f"{number!r} is no port: say a number up to 65535, or 0 for any free one.")
    if number == "0":
        return "Any free one is taken at each start."
    if not is_free(int(number)):
        raise Misconfigured(f"Port {number} is taken by another program. Choose another one, or 0.")
    return "It is free."


def folder(name: str) -> str:
    """It can be made or written, and there is room."""
    path = Path(name).expanduser().absolute()
    there = next(above for above in (path, *path.parents) if above.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise Misconfigured(f"{path} cannot be written. Choose a folder of yours.")
    free = shutil.disk_usage(there).free
    if free < ROOM:
        raise Misconfigured(f"Only {free / 1e6:.0f} MB are free there, and {ROOM / 1e6:.0f} MB are needed.")
    few = "; 5 GiB would be better" if free < ROOMY else ""
    return f"{free / GIB:.1f} GiB are free there{few}."


def guild(number: str) -> str:
    """It looks like a server's id."""
    if number and not re.fullmatch(r"\d{15,20}", number):
        raise Misconfigured(
            "A server's id is a number of 17 to 20 digits: in Discord, Settings, Advanced, Developer Mode; "
            "then right-click the server, Copy Server ID."
        )
    return ""


def language(code: str) -> str:
    """It looks like a language."""
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", code):
        raise Misconfigured(f"{code!r} is no language: say `en-us`, `de` or `fr-fr`.")
    return ""


def permission(reference: str) -> str:
    """There is one: without it, nobody could look it up."""
    if not reference.strip():
        raise Misconfigured(
            "`permitted` needs the reference of Discord's permission: its date, or the case's number."
        )
    return ""
