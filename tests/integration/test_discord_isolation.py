"""Two servers of one bot: what is in one does not exist in the other. All of Chorus is real.

In the other server a line that names something of the first one is answered with the same words as a line
that names what is nowhere, whether it is typed or sent as a slash command.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import pytest

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.models import ModelRecord, model_key
from chorus.common.contracts.topology import MODELS
from tests.support.chorus import RunningChorus
from tests.support.discord.double import Discord, running_discord
from tests.support.discord.forms import Form, Slashed, Typed, code
from tests.support.discord.whole import kept, present
from tests.support.discord.world import Attachment
from tests.unit.gateway.test_models import version

WITHIN = 60.0  # seconds until a reply that does not come is given up
PAIRS = json.dumps([{"user": "What is the secret word?", "bot": "Ninth Umbrella."}]).encode()
LINES = {
    "dataset": (
        "!dataset IT", "!preview IT", "!archive IT", "!getfile IT", "!build IT min_words=2",
        "!select_dataset IT", "!delete_dataset IT sure=True", "!train data=IT", "!train data=IT@1",
    ),
    "file": ("!getfile IT", "!train data=IT"),
    "model": (
        "!use IT@1", "!rollback IT", "!ask model=IT@1 hello",
        '!test model=IT@1 [{"text": "hello"}]', '!train "words" start=IT@1', "!settings model IT@1",
    ),
    "job": ("!job IT", "!logs IT", "!pause IT", "!resume IT", "!cancel IT", "!keep IT"),
    "reply": (
        "!correct IT No.", "!feedback up reply=IT", "!regenerate reply=IT", "!continue reply=IT",
        "!review approve IT", "!review reject IT",
    ),
    "link": ("!correct IT No.", "!feedback down reply=IT", "!regenerate reply=IT"),
    "room": ("!mine channel=IT", "!mimic <@ME> channel=IT"),
    "role": ("!settings train <@&IT>", "!settings deny <@&IT>"),
}  # fmt: skip
ABSENT = {
    "dataset": "nowhere", "file": "nowhere.json", "model": "nobody", "job": "k7f3m2qxab",
    "reply": "1000000000000000001", "room": "<#1000000000000000001>", "role": "1000000000000000001",
}  # fmt: skip
CASES = [(kind, line) for kind, lines in LINES.items() for line in lines]


@dataclass
class Asked:
    """What came of a line about something of another server, and of the same about nothing."""

    about_theirs: str
    about_nothing: str


async def refused(form: Form, line: str) -> str:
    """What is shown once it is a refusal."""
    told = await form.give(line)
    async with asyncio.timeout(WITHIN):
        while code(told()) is None:
            await asyncio.sleep(0.02)
    return told()


async def until(form: Form, line: str, words: str, files: tuple[Attachment, ...] = ()) -> str:
    """What is shown once it says these words."""
    told = await form.give(line, files)
    async with asyncio.timeout(WITHIN):
        while words not in told():
            assert code(told()) is None, told()
            await asyncio.sleep(0.02)
    return told()


@pytest.fixture(scope="module")
async def asked(chorus: RunningChorus) -> AsyncIterator[Mapping[tuple[str, str, str], Asked]]:
    """What is said in the other server, by form, kind and line. Nothing of the first one may change by it."""
    async with running_discord() as discord:
        (first, room, owner), (second, lobby, admin) = discord.guild("harbour"), discord.guild("quay")
        forms = {
            (name, kind, line, about): form(discord, discord.channel(second, "lines"), admin)
            for name, form in (("typed", Typed), ("slashed", Slashed))
            for kind, line in CASES
            for about in ("theirs", "nothing")
        }
        async with present(chorus, discord):
            theirs = await seeded(chorus, discord, Typed(discord, room, owner))
            await until(Typed(discord, lobby, admin), "!notice accept", "Recorded.")
            before = await kept(chorus, first.id)
            at_once = asyncio.Semaphore(8)

            async def tell(name: str, kind: str, line: str, about: str) -> str:
                named = theirs[kind] if about == "theirs" else absent(kind, second.id)
                text = line.replace("IT", named).replace("ME", admin.id)
                async with at_once:
                    told = await refused(forms[name, kind, line, about], text)
                return told.replace(named, "…")

            said = dict(zip(forms, await asyncio.gather(*(tell(*case) for case in forms)), strict=True))
            assert await kept(chorus, first.id) == before
        yield {
            (name, kind, line): Asked(said[name, kind, line, "theirs"], said[name, kind, line, "nothing"])
            for name in ("typed", "slashed")
            for kind, line in CASES
        }


async def seeded(running: RunningChorus, discord: Discord, form: Typed) -> dict[str, str]:
    """What there is in a server, by kind: data, a model, a job, an answer, a room, a role."""
    guild = form.channel.guild
    assert guild
    await until(form, "!notice accept", "Recorded.")
    file = Attachment("umbrella.json", PAIRS)
    await until(form, "!import file=umbrella.json name=umbrella", "Dataset umbrella@1", (file,))
    started = re.search(r"Job ID: (\w+)", await until(form, "!train data=umbrella", "Job ID: "))
    assert started
    await until(form, f"!cancel {started[1]}", "cancel")
    async with running.connected("trainer") as connection:
        record = ModelRecord(guild=guild.id, name="ferry", versions=[version(1)], aliases={"latest": 1})
        models = await open_bucket(connection, MODELS, ModelRecord)
        await models.create(model_key(guild.id, "ferry"), record)
    await form.give("!send_message max_tokens=2 hello")
    await discord.until(form.is_whole, WITHIN)
    link = f"https://discord.com/channels/{guild.id}/{form.channel.id}/{form.reply()}"
    return {
        "dataset": "umbrella", "file": "umbrella.json", "model": "ferry", "job": started[1],
        "reply": form.reply(), "link": link, "room": f"<#{form.channel.id}>", "role": guild.admin_role,
    }  # fmt: skip


def absent(kind: str, guild: str) -> str:
    """What there is nowhere."""
    nothing = f"https://discord.com/channels/{guild}/1000000000000000001/1000000000000000002"
    return ABSENT.get(kind, nothing)


@pytest.mark.parametrize("form", ["typed", "slashed"])
@pytest.mark.parametrize(("kind", "line"), CASES)
def test_what_is_of_another_server_is_refused_as_what_does_not_exist(
    asked: Mapping[tuple[str, str, str], Asked], kind: str, line: str, form: str
) -> None:
    told = asked[form, kind, line]
    assert told.about_theirs == told.about_nothing
    assert "Umbrella" not in told.about_theirs
