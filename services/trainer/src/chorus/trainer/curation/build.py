"""A file's text as a dataset version: examples, one JSON line each, and the card that accounts for all."""

from collections import Counter
from dataclasses import dataclass

from chorus.common.contracts.datasets import Example
from chorus.common.contracts.wire import encode
from chorus.common.errors import InvalidInput
from chorus.trainer.curation.detect import decode_text, detect
from chorus.trainer.curation.readers import Dropped

FEW = 10  # examples below which a model mostly learns them by heart
SHOWN = 3  # records to mend that are named


@dataclass(frozen=True)
class Built:
    """What a file holds. `read` is what was kept and what was dropped, together."""

    lines: bytes
    format: str
    read: int
    kept: int
    dropped: dict[str, int]
    warnings: list[str]


def build(data: bytes, *, label: bool, contributor: str, source: str) -> Built:
    """Read a file. Raises `InvalidInput` that says what is wrong with it, and where."""
    text = decode_text(data)
    format_ = detect(text)
    examples: list[Example] = []
    dropped: Counter[str] = Counter()
    to_mend: list[str] = []
    for read in format_.read(text):
        if isinstance(read, Dropped):
            dropped[read.reason] += 1
            to_mend += [read.mend] if read.mend else []
        else:
            example = Example(messages=read, label=label, contributors=[contributor], source=source)
            examples.append(example)
    if not examples:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in dropped.items()) or "no records"
        raise InvalidInput(f"Nothing in the file can be learned: {reasons}.", code="nothing_to_learn")
    return Built(
        lines=b"".join(encode(example) + b"\n" for example in examples),
        format=format_.name,
        read=len(examples) + dropped.total(),
        kept=len(examples),
        dropped=dict(dropped),
        warnings=_warnings(len(examples), to_mend),
    )


def _warnings(kept: int, to_mend: list[str]) -> list[str]:
    little = ["so little data is learned by heart."] if kept < FEW else []
    more = [f"And {len(to_mend) - SHOWN} more like that."] if len(to_mend) > SHOWN else []
    return [*little, *to_mend[:SHOWN], *more]
