"""Building a dataset: an export of a million messages, beside msgspec that does nothing but decode it.

Ours is the curation process as it runs in the trainer, from start to end: reading, all stages that are on by
default, token counts, three files and a card. Each run of the peer follows right after one of ours. What the
export is planted with has to be found.
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from pydoc_data.topics import topics
from typing import NamedTuple

from chorus.common.base_model import STARTER
from chorus.common.contracts.datasets import BuildOptions, Card
from chorus.trainer.curation.orders import BuildOrder, OrderedFile
from chorus.trainer.curation.stored import EXAMPLES
from tests.benchmarks.figures import Report, paired_ratio, percentile

SMALL, LARGE = 100_000, 1_000_000  # messages
ROUNDS = 3
PEOPLE = 200
MEMORY = 4 * 1024**3  # bytes the process may use; how much it does use is measured

THOUSAND = 1000
PLANTED = {"by a bot": 40, "a command": 10, "email": 2, "phone": 2}
"""Of each thousand messages, by what they are counted as."""
LEAST = {"email": 0.7, "phone": 0.7}
"""What nobody answers is not looked at for personal data. Of all else, all is found."""
SECRETS = (b"@example.org", b"+44 20 7946")
"""In each planted address and number: none may be in an example."""
TWICE = {"zebra": (5, 0.0), "quokka": (5, 0.05)}
"""A word in texts that come twice: so many of each thousand messages, and the share that may be missed. The
second time, what is with the quokka has another word; MinHash misses some of those."""

DECODE = """
import gc, sys, time
from pathlib import Path
import msgspec
from chorus.trainer.curation.readers.discord_message import DiscordMessage
class Export(msgspec.Struct):
    messages: list[DiscordMessage]
gc.disable()  # as ours does
began = time.perf_counter()
export = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Export)
print(time.perf_counter() - began)
assert len(export.messages) == int(sys.argv[2])
"""


class Run(NamedTuple):
    """One run of ours."""

    seconds: float
    resident: int
    """Bytes, at most."""
    examples: bytes
    card: Card


async def measure() -> Report:
    """A tenth for the memory alone, then the whole, in rounds."""
    report = Report("curation")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = folder / "small.json", folder / "large.json"
        write_export(small, SMALL)
        write_export(large, LARGE)
        less = ours(small, folder)
        checked(less, SMALL)
        runs, peers = [], []
        for _ in range(ROUNDS):
            runs.append(ours(large, folder))
            peers.append(decoding(large))
            checked(runs[-1], LARGE)
    seconds = [run.seconds for run in runs]
    speed, ratio = LARGE / percentile(seconds, 0.5), paired_ratio(seconds, peers)
    beside = f"msgspec, decoding alone {percentile(peers, 0.5):.2f} s"
    report.add("messages_per_s", speed, f"{speed:,.0f} messages/s (at least 30,000)", beside)
    report.add("times_decode", ratio, f"{ratio:.1f} × the time (at most 12)", beside)
    report.add("rss_mb_100k", less.resident / 1e6, f"{less.resident / 1e6:,.0f} MB")
    most = max(run.resident for run in runs) / 1e6
    report.add("rss_mb_1m", most, f"{most:,.0f} MB (at most 1,500)")
    return report


def ours(export: Path, folder: Path) -> Run:
    """The curation process, started, until it ends."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        order = BuildOrder(
            base=STARTER,
            files=[OrderedFile(name=export.name, path=str(export))],
            out=out,
            options=BuildOptions(),
            label=True,
            contributor="42",
            memory=MEMORY,
        )
        path = folder / "order.json"
        path.write_text(order.model_dump_json())
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "chorus.trainer.curator", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        *_, last = process.stdout
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        report = json.loads(last)
        assert report["type"] == "built", report
        examples = (Path(out) / EXAMPLES).read_bytes()
        return Run(seconds, usage.ru_maxrss * 1024, examples, Card.model_validate(report["card"]))


def decoding(export: Path) -> float:
    """Seconds that msgspec takes for the bytes of it, into the structs that our reader has."""
    command = [sys.executable, "-c", DECODE, str(export), str(LARGE)]
    return float(subprocess.check_output(command))


def checked(run: Run, count: int) -> None:
    """Each message is accounted for, and what was planted was found."""
    card = run.card
    assert card.read == count == card.kept + sum(card.dropped.values())
    found = card.dropped | card.replaced
    for kind, share in PLANTED.items():
        least = count * share // THOUSAND * LEAST.get(kind, 1)
        assert found.get(kind, 0) >= least, f"{kind}: {found} of {least:,}"
    assert not any(secret in run.examples for secret in SECRETS), "personal data is left"
    for word, (share, missed) in TWICE.items():
        texts = re.findall(rf"{word}\d+".encode(), run.examples)
        assert len(texts) > count * share // THOUSAND // 2, f"most of {word} is learned once"
        again = len(texts) - len(set(texts))
        assert again <= count * share // THOUSAND * missed, f"{word}: {again:,} are learned twice"


# --- the export ----------------------------------------------------------------------------------
def write_export(path: Path, count: int) -> None:
    """A channel as DiscordChatExporter writes it: about 1 KB a message."""
    head = {
        "guild": {"id": "1", "name": "Example", "iconUrl": ""},
        "channel": {"id": "10", "name": "general"},
    }
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head, indent=2)[:-2] + ',\n  "messages": [\n')
        # One by one, for the peak of a child's memory begins with what its parent has.
        for number, entry in enumerate(messages(count)):
            file.write(f",\n{entry}" if number else entry)
        file.write(f'\n  ],\n  "messageCount": {count}\n}}\n')


def messages(count: int) -> Iterator[str]:
    """Talk of many people, with all that an exporter writes around it, and with what is planted."""
    chance = random.Random(7)
    words = re.findall(r"[a-z]{1,12}", " ".join(topics.values()))  # English, each as often as it is used
    people = [person(number) for number in range(PEOPLE)]
    at = datetime(2024, 1, 1, tzinfo=UTC)
    speaker = people[0]
    originals: list[list[str]] = []
    for number in range(count):
        at += timedelta(seconds=chance.choice(GAPS))
        if chance.random() < 0.7:
            speaker = chance.choice(people[: 5 + number // 5000])
        text, author = planted(number, chance, words, originals), speaker
        if 300 <= number % THOUSAND < 340:
            author = BOT
        yield message(number, at, text, author, chance)


def planted(number: int, chance: random.Random, words: list[str], originals: list[list[str]]) -> str:
    """The text of one message; by its number of a thousand it is one that has to be found."""
    kind = number % THOUSAND
    if kind < 10:
        animal = "zebra" if kind < 5 else "quokka"
        originals[kind : kind + 1] = [[*chance.choices(words, k=20), f"{animal}{number}"]]
        return " ".join(originals[kind])
    if 100 <= kind < 105:
        return " ".join(originals[kind - 100])
    if 105 <= kind < 110:
        changed = [*originals[kind - 100]]
        changed[chance.randrange(20)] = "pumpernickel"
        return " ".join(changed)
    if 200 <= kind < 210:
        return f"!play {chance.choice(words)}"
    if 400 <= kind < 402:
        return f"write to {chance.choice(words)}.{chance.randrange(10**6)}@example.org please"
    if 402 <= kind < 404:
        return f"{' '.join(chance.choices(words, k=4))} +44 20 7946 0{chance.randrange(100, 1000)}"
    return talk(chance, words)


def talk(chance: random.Random, words: list[str]) -> str:
    """What people say: a fifth a sound, most of it short, little of it long."""
    share = chance.random()
    if share < 0.2:
        return chance.choice(SOUNDS)
    least, most = (
        (1, 4) if share < 0.35 else (4, 12) if share < 0.8 else (12, 30) if share < 0.95 else (30, 80)
    )
    text = " ".join(chance.choices(words, k=chance.randint(least, most)))
    mark = chance.random()
    if mark < 0.08:
        return f"{text} https://example.com/{chance.randrange(10**9)}"
    return f"{text} 🌊" if mark < 0.16 else f"{text}?" if mark < 0.3 else text


def person(number: int, *, is_bot: bool = False) -> str:
    """An author, as it stands in each message."""
    roles = [
        {"id": f"3{n:017}", "name": f"role {n}", "color": None, "position": n} for n in range(1 + number % 2)
    ]
    return indented(
        {
            "id": f"2{number:017}",
            "name": f"user{number}",
            "discriminator": "0000",
            "nickname": f"User {number}",
            "color": "#1ABC9C",
            "isBot": is_bot,
            "roles": roles,
            "avatarUrl": f"https://cdn.discordapp.com/avatars/2{number:017}/{number:032x}.png?size=512",
        }
    )


def message(number: int, at: datetime, text: str, author: str, chance: random.Random) -> str:
    """One entry. A sixth answers an earlier one; links have embeds."""
    reply = ""
    if number > 9 and chance.random() < 0.16:
        answered = FIRST_ID + number - chance.randint(1, 9)
        reply = (
            f',\n      "reference": {{\n        "type": "Default",\n        "messageId": "{answered}",\n'
            '        "channelId": "100000000000000010",\n        "guildId": "1"\n      }'
        )
    return (
        f'    {{\n      "id": "{FIRST_ID + number}",\n      "type": "{"Reply" if reply else "Default"}",\n'
        f'      "timestamp": "{at.isoformat(timespec="milliseconds")}",\n      "timestampEdited": null,\n'
        '      "callEndedTimestamp": null,\n      "isPinned": false,\n'
        f'      "content": {json.dumps(text, ensure_ascii=False)},\n      "author": {author},\n'
        f'      "attachments": [],\n      "embeds": {EMBED if "://" in text else "[]"},\n'
        f'      "stickers": [],\n      "reactions": {REACTION if number % 16 == 0 else "[]"},\n'
        f'      "mentions": []{reply},\n'
        '      "inlineEmojis": []\n    }'
    )


def indented(value: object) -> str:
    """JSON as it stands within a message."""
    return json.dumps(value, indent=2).replace("\n", "\n      ")


FIRST_ID = 100000000000000000
GAPS = (3, 8, 15, 25, 40, 60, 90, 120, 200, 300, 400, 600, 900, 1500, 2400, 10_000)  # seconds
SOUNDS = ("lol", "ok", "yes", "no", "haha", "same", "thanks", "true", "nice", "nope", "wow", "😂")
BOT = person(PEOPLE, is_bot=True)
LINK = "https://example.com/a-page-with-a-long-address"
EMBED = indented([{"title": "A page", "url": LINK, "timestamp": None, "description": "About it. " * 20}])
REACTION = indented(
    [{"emoji": {"id": "", "name": "👍", "code": "thumbsup", "isAnimated": False}, "count": 2}]
)
