"""How many tokens a text has, counted with the base model's own tokenizer.

`tokenizers` does it in Rust, in batches, on all cores, and lets Python run meanwhile. What the template
writes around each turn is taken for a constant: the sum is right to within a few tokens a turn.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tokenizers import Tokenizer

from chorus.common.contracts.datasets import Turn
from chorus.common.errors import Misconfigured

Batch = TypeVar("Batch")

PER_TURN = 5  # tokens of `<|im_start|>user\n` and `<|im_end|>\n`, which most templates resemble
AT_ONCE = 4096  # texts: what Rust makes of each of them is some KB, until it is counted
_WORD = "hello"


class TokenCounter:
    """Counts with the tokenizer of the base model in `folder`.

    `measure` tells how many tokens a chat has, template and all (`chat.example_tokens`, say): with it the
    template's share is measured, without it a usual one is assumed.
    """

    def __init__(self, folder: Path, measure: Callable[[Sequence[Turn]], int] | None = None) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise Misconfigured(
                f"CHORUS_BASE_MODEL: {folder.name!r} has no tokenizer.json, by which tokens are counted. "
                "Name a model that has one."
            )
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()  # the file may have been saved with a cut-off
        self._tokenizer.no_padding()
        self._names: dict[str, int] = {"": 0}
        self.per_turn = PER_TURN
        self.per_example = 0
        if measure:
            self._measure(measure)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, as it stands."""
        counts: list[int] = []
        for start in range(0, len(texts), AT_ONCE):
            some = list(texts[start : start + AT_ONCE])
            counts += map(len, self._tokenizer.encode_batch_fast(some, add_special_tokens=False))
        return counts

    def of_name(self, name: str) -> int:
        """Tokens of `name: ` before a turn."""
        if name not in self._names:
            (self._names[name],) = self.count([f"{name}: "])
        return self._names[name]

    def ahead(
        self, batches: Iterable[Batch], texts: Callable[[Batch], Sequence[str]]
    ) -> Iterator[tuple[Batch, list[int]]]:
        """Each batch with the tokens of its texts, counted while the one before it is worked on."""
        with ThreadPoolExecutor(1, "tokens") as thread:
            waiting = None
            for batch in batches:
                counting = (batch, thread.submit(self.count, texts(batch)))
                if waiting:
                    yield waiting[0], waiting[1].result()
                waiting = counting
            if waiting:
                yield waiting[0], waiting[1].result()

    def _measure(self, measure: Callable[[Sequence[Turn]], int]) -> None:
        exchange = [Turn(role="user", content=_WORD), Turn(role="assistant", content=_WORD)]
        (word,) = self.count([_WORD])
        one, two = measure(exchange), measure(exchange * 2)
        self.per_turn = (two - one) // 2 - word
        self.per_example = one - 2 * (self.per_turn + word)
