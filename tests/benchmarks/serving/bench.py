"""What all parts of the benchmark share: servers, a client's connection, a folder, and what is asked."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket
from chorus.common.chat import prompt_tokens
from chorus.common.contracts.models import ModelRecord
from tests.benchmarks.serving.load import Question, questions
from tests.benchmarks.serving.models import write_noise
from tests.benchmarks.serving.publishing import Publisher
from tests.support.servers import Servers

AT_ONCE = 32
VOICES = 3
SHORTEST, LONGEST = 32, 96  # tokens of a reply, 64 on average: alike, they would all begin at the same time
CPU_CACHE = {"CHORUS_CPU_CACHE": "0.25"}
"""Of every engine here, in GiB: far more than 64 short chats need."""


@dataclass
class Bench:
    """Real servers, and who asks."""

    folder: Path
    servers: Servers
    client: Connection
    models: Bucket[ModelRecord]
    lost: list[str] = field(default_factory=list)
    """What went wrong with each request that had no reply, or a wrong one."""

    def publisher(self, base: Path) -> Publisher:
        """Who publishes adapters of a base."""
        return Publisher(self.servers.store(), self.models, base)


@dataclass(frozen=True)
class Voices:
    """A base, and adapters of it that are published as `<base>-0`, `<base>-1` …"""

    base: Path
    adapters: Sequence[Path]

    @classmethod
    async def published(cls, bench: Bench, base: Path) -> "Voices":
        """Make the adapters, and publish them."""
        made = cls(base, [write_noise(base, base.parent / f"{base.name}-{i}", seed=i) for i in range(VOICES)])
        publisher = bench.publisher(base)
        for folder in made.adapters:
            version = await publisher.upload("local", folder.name, folder)
            await publisher.publish("local", folder.name, [version])
        return made

    def questions(self, count: int, *, seed: int, adapters: int = VOICES) -> list[Question]:
        """To so many of the adapters in turn; lengths are drawn."""
        chance = random.Random(seed)
        return [
            Question(text, chance.randint(SHORTEST, LONGEST), self.adapters[at % adapters].name)
            for at, text in enumerate(questions(count, seed=seed))
        ]

    def order(self, asked: Sequence[Question]) -> dict[str, Any]:
        """The same questions as a peer takes them: token ids, and adapters' folders."""
        tokenizer = AutoTokenizer.from_pretrained(self.base)
        return {
            "prompts": [prompt_tokens(tokenizer, question.turns()) for question in asked],
            "tokens": [question.tokens for question in asked],
            "adapters": [str(self.base.parent / str(question.model)) for question in asked],
            "at_once": AT_ONCE,
        }
