"""`chorus doctor`: is all well here? What is not, why, and what to do; 1 where something is wrong.

chorus doctor             ✓ all well, ! somebody should know, ✗ wrong; each with what to do
chorus doctor --json      the same for programs

Everything is looked at side by side, and each thing for a few seconds at most. No secret is shown.
"""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from chorus.common.bus.connection import Connection
from chorus.common.contracts.policies import STORE_USERS
from chorus.common.errors import ChorusError, Misconfigured, NotPermitted
from chorus.common.local.folder import DataFolder
from chorus.common.local.keys import secret_files
from chorus.common.local.stack import StackSettings
from chorus.common.objects import open_store
from chorus.common.operations import machine, servers
from chorus.common.operations.access import OPERATOR, connected, is_local, settings_for, user_of
from chorus.common.operations.findings import (
    Check,
    Finding,
    all_well,
    doubtful,
    examined,
    for_people,
    for_programs,
    good,
    without_secrets,
    wrong,
)
from chorus.common.operations.status import SERVICES, instances_of
from chorus.common.provision import ProvisionSettings
from chorus.common.settings import PREFIX, CommonSettings, load
from chorus.common.telemetry.logging import configure
from chorus.gateway.frontends.cli.envfile import read_env
from chorus.gateway.frontends.discord.frontend import NO_MESSAGES
from chorus.gateway.frontends.discord.invite import look_up
from chorus.gateway.settings import DiscordSettings, GatewaySettings

DOCTOR = "doctor"
WITHIN = 12.0  # seconds for each check
LET_IN_WITHIN = 4.0  # seconds until NATS counts as not reached
ALL_SETTINGS = (GatewaySettings, StackSettings, ProvisionSettings)
GATEWAY = "gateway"
SECRET = re.compile(r"(TOKEN|SECRET|KEY|PASSWORD)(?!.*_FILE$)")  # in a setting's name; where one lies is none


def doctor(words: Sequence[str]) -> int:
    """Look, tell, and return the exit code."""
    parser = argparse.ArgumentParser(f"chorus {DOCTOR}", description="Is all well here? What to do if not.")
    parser.add_argument("--json", action="store_true", help="for programs")
    as_program = parser.parse_args(words).json
    configure(DOCTOR, "error", "text")  # what goes wrong is told by the findings
    findings = asyncio.run(examine())
    sys.stdout.write((for_programs if as_program else for_people)(findings) + "\n")
    return 0 if all_well(findings) else 1


async def examine() -> list[Finding]:
    """Everything there is to look at, without secrets."""
    first: dict[str, Check] = {"settings": _aside(settings), "discord": discord}
    found = await examined({**first, **_of_here(), **_of_servers()}, WITHIN)
    return without_secrets(found, _secrets())


def _of_here() -> dict[str, Check]:
    """Checks of this machine; of its disk, where it is the one that keeps everything."""
    folder = _data()
    kept: dict[str, Check] = {"disk": _aside(partial(machine.disk, folder))} if _keeps_it() else {}
    return {
        "python": _aside(machine.versions),
        **kept,
        "memory": _aside(machine.memory),
        "gpu": machine.gpu,
        "secrets": _aside(partial(machine.private, [Path(".env"), *_key_files()])),
    }


def _of_servers() -> dict[str, Check]:
    """Checks of NATS, S3 and the services; where nothing runs here, of what would be started."""
    if not _can_load(CommonSettings):
        return {}
    if _keeps_it() and not (_data().is_held() and _data().stack.exists()):
        return {"chorus": nothing_runs, "programs": machine.programs}
    return {"nats": bus, "s3": objects}


def settings() -> list[Finding]:
    """Every setting that can be looked at from here."""
    told: dict[str, None] = {}  # several have the same ones
    for kind in ALL_SETTINGS:
        try:
            load(kind)
        except Misconfigured as error:
            first, *lines = error.message.splitlines()
            told |= dict.fromkeys(lines or [first])
    if told:
        return [wrong("settings", "Not all can be read:\n" + "\n".join(told), "Mend them here or in .env.")]
    return [good("settings", "All can be read.")]


async def discord() -> list[Finding]:
    """Whose token it is, and what the bot may read, from Discord itself."""
    try:
        given = load(DiscordSettings)
    except Misconfigured:
        return [wrong("discord", "Not asked, because its settings cannot be read.")]
    token = given.discord_token.get_secret_value() if given.discord_token else ""
    if not token:
        return [good("discord", "No token is set: Chorus is in this terminal only.")]
    try:
        bot = await look_up(token, given.discord_api_base)
    except Misconfigured as error:
        return [wrong("discord", error.message)]
    except ChorusError as error:
        return [doubtful("discord", error.message)]
    whose = good("discord", f"The token is {bot.name}'s.")
    if given.discord_intents == "messages" and not bot.reads_messages:
        return [whose, wrong("intents", NO_MESSAGES)]
    return [whose, good("intents", f"They are as CHORUS_DISCORD_INTENTS={given.discord_intents} needs them.")]


async def nothing_runs() -> list[Finding]:
    """Nothing was started, which is no fault, or not everything yet."""
    if _data().is_held():
        return [
            doubtful("chorus", f"On {_data().root} it is starting, or stopping.", "Look again in a moment.")
        ]
    told = f"No Chorus runs on {_data().root}, and no CHORUS_NATS_URL is set."
    return [doubtful("chorus", told, "Start it with `make run`, or `chorus up`.")]


async def bus() -> list[Finding]:
    """NATS, what lies in it, and who answers."""
    given = settings_for(OPERATOR)
    user = user_of(given)
    async with connected(given, user, LET_IN_WITHIN) as connection:
        return [*await servers.bus(connection, user), await _services(connection)]


async def objects() -> list[Finding]:
    """The buckets; then an object, from its birth to its end, as the gateway may have it here."""
    found = await servers.buckets(open_store(settings_for(OPERATOR), patient=False))
    return [*found, *await servers.probe(open_store(settings_for(GATEWAY), patient=False))]


async def _services(connection: Connection) -> Finding:
    try:
        there = [instance.name for instance in await instances_of(connection)]
    except NotPermitted:
        return doubtful("services", "This NATS user may not ask who is there.", "The key of operator may.")
    missing = [name for name in SERVICES if name not in there]
    if missing:
        told = f"Nobody answers as {', '.join(missing)}."
        return doubtful("services", told, "Still starting? Else their logs say why they ended.")
    return good("services", ", ".join(f"{name} {there.count(name)}×" for name in SERVICES) + " answer.")


def _aside(look: Callable[[], list[Finding]]) -> Check:
    """A check that reads files, in a thread."""
    return lambda: asyncio.to_thread(look)


def _keeps_it() -> bool:
    """Whether what is meant runs here, or would."""
    return _can_load(CommonSettings) and is_local()


def _can_load(kind: type[CommonSettings]) -> bool:
    try:
        load(kind)
    except Misconfigured:
        return False
    return True


def _data() -> DataFolder:
    """The data folder; the usual one where its setting cannot be read."""
    try:
        return DataFolder(load(StackSettings).data)
    except Misconfigured:
        return DataFolder(Path(".chorus"))


def _key_files() -> list[Path]:
    """Those of the data folder, and those beside the key that the settings name (`chorus keys`)."""
    found = secret_files(_data().keys)
    if _can_load(CommonSettings) and (seed := load(CommonSettings).nats_nkey_file):
        found += [seed, *(secret_files(seed.parent) if seed.suffix == ".nk" else ())]
    return list(dict.fromkeys(found))


def _secrets() -> list[str]:
    """All that must not be shown: of the settings, of files with keys, and of `.env` as it stands there."""
    found: list[str] = []
    for kind in (CommonSettings, DiscordSettings):
        try:
            given = load(kind).model_dump(mode="python")
        except Misconfigured:
            continue
        found += [value.get_secret_value() for value in given.values() if isinstance(value, SecretStr)]
    named = dict(os.environ)
    with suppress(OSError, UnicodeDecodeError):  # what we cannot read, we cannot show
        named |= read_env(Path(".env"))
    for path in _key_files():
        with suppress(OSError):
            found.append(path.read_text("utf-8", "replace").strip())
    found += [value for name, value in named.items() if SECRET.search(name) and name.startswith(PREFIX)]
    return [value for value in found if value not in STORE_USERS]  # access keys that are names of ours
