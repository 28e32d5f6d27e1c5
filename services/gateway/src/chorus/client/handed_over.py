"""What a script hands over: examples as they are, files by their paths, words."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from chorus.gateway.commands.ports import Upload
from chorus.gateway.frontends.console.files import LocalFiles

Pairs = Sequence[Mapping[str, str]]
"""`[{"user": "…", "bot": "…"}, …]`"""

EXAMPLES = "examples.json"
SUFFIXES = (".json", ".jsonl", ".csv", ".txt", ".zip")
"""A word that ends so is a file's name, and no words to learn."""


class HandedOver:
    """`ports.Files`: pairs that are in memory, beside the files of this machine's disk."""

    def __init__(self, local: LocalFiles, pairs: Pairs = ()) -> None:
        self._local = local
        self._pairs = pairs

    def attached(self) -> list[str]:
        """None: what is handed over is named."""
        return []

    async def read(self, name: str) -> Upload:
        """The pairs, as the file `EXAMPLES` that they would be, or a file. Raises as `LocalFiles.read`."""
        if self._pairs and name == EXAMPLES:
            pairs = [dict(pair) for pair in self._pairs]
            return Upload(name, json.dumps(pairs, ensure_ascii=False).encode())
        return await self._local.read(name)


def is_file(given: str | Path) -> bool:
    """Whether a file is meant, and no words: a path, a file that is there, or what is called like one."""
    if isinstance(given, Path):
        return True
    one_word = len(given.split()) == 1
    return one_word and (given.lower().endswith(SUFFIXES) or Path(given).is_file())
