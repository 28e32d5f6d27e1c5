"""The curation process: read files and build a dataset, or show a few of its examples.

    python -m chorus.trainer.curator ORDER.json

What people hand over is read here and nowhere else: a file that is made to exhaust memory ends this
process, and only that.
"""

import gc
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel

from chorus.common import base_model
from chorus.common.contracts.datasets import Building, Example, Piece
from chorus.common.errors import ChorusError
from chorus.trainer.attached import attached, run
from chorus.trainer.curation.build import Allowed, build
from chorus.trainer.curation.orders import ORDER, BuildOrder, Built, Failed, Order, PreviewOrder, Shown
from chorus.trainer.curation.reading import Reading, read_all
from chorus.trainer.curation.source import Source
from chorus.trainer.curation.stored import read_records
from chorus.trainer.curation.tokens import TokenCounter

READ_WHOLE = 4 * 1024 * 1024  # bytes of examples
TELL_EVERY = 1.0  # seconds
LOOK_EVERY = 0.05  # seconds; a core fills 100 MB in that time at most

Tell = Callable[[BaseModel], None]


def main(path: Path) -> int:
    """Do what the order says; the exit code is 0 also when it cannot be done, for that is told."""
    tell, _ = attached()
    order = ORDER.validate_json(path.read_bytes())
    threading.Thread(target=_end_when_too_large, args=(order.memory, tell), daemon=True).start()
    try:
        tell(_done(order, tell))
    except ChorusError as error:
        tell(Failed(code=error.code, message=error.message, param=error.param))
    return 0


def _end_when_too_large(memory: int, tell: Tell) -> None:
    """Say so and end, above so many bytes. A limit of the system's would crash libraries that expect none."""
    page = resource.getpagesize()
    while True:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * page
        if resident > memory:
            tell(_too_much(memory))
            os._exit(0)
        time.sleep(LOOK_EVERY)


def _done(order: Order, tell: Tell) -> Built | Shown:
    return _built(order, _seldom(tell)) if isinstance(order, BuildOrder) else _shown(order)


def _seldom(tell: Tell) -> Callable[[str, int], None]:
    """Tell how far it is: each stage when it begins, and then once a second."""
    said, at = "", 0.0

    def told(stage: str, done: int) -> None:
        nonlocal said, at
        now = time.monotonic()
        if stage != said or now - at >= TELL_EVERY:
            said, at = stage, now
            tell(Building(stage=stage, done=done))

    return told


def _built(order: BuildOrder, tell: Callable[[str, int], None]) -> Built:
    """Read everything, build, and leave the results in the order's folder."""
    gc.disable()  # a million records make no cycles, and looking for some takes a third of the time
    reading = _reading(order)
    built = build(
        reading.records,
        Path(order.out),
        order.options,
        label=order.label,
        contributor=order.contributor,
        allowed=Allowed(
            opted_out=frozenset(order.opted_out),
            out_names=frozenset(order.out_names),
            only=None if order.only is None else frozenset(order.only),
        ),
        counter=TokenCounter(base_model.find(order.base).folder),
        format_name=lambda: order.format or ", ".join(reading.formats),
        tell=tell,
        defaults=lambda: reading.defaults,
        notes=reading.notes,
    )
    return Built(card=built.card, options=built.options)


def _reading(order: BuildOrder) -> Reading:
    """The files, or the records of an earlier build."""
    if order.records is not None:
        return Reading(read_records(Path(order.records)))
    unpacked = Path(order.out) / "unpacked"
    unpacked.mkdir()
    return read_all([Source(f.name, Path(f.path)) for f in order.files], order.options, unpacked)


def _shown(order: PreviewOrder) -> Shown:
    """A few examples from all over the data, as the training process would see them."""
    from transformers import AutoTokenizer  # two seconds, which building need not wait for

    from chorus.common.chat import example_tokens, prepare

    tokenizer = AutoTokenizer.from_pretrained(base_model.find(order.base).folder)
    prepare(tokenizer)
    samples: list[list[Piece]] = []
    for example in _spread(Path(order.examples), order.count):
        tokens = example_tokens(tokenizer, example.messages)
        samples.append(
            [
                Piece(text=tokenizer.decode(ids), learned=learned)
                for ids, learned in _runs(tokens.ids, tokens.learn)
            ]
        )
    return Shown(samples=samples)


def _spread(path: Path, count: int) -> Iterator[Example]:
    """So many lines of a file, as far apart as can be; of a large one without reading all of it."""
    size, last = path.stat().st_size, -1
    if size <= READ_WHOLE:
        lines = path.read_bytes().splitlines()
        for at in sorted({len(lines) * number // count for number in range(count)}):
            yield Example.model_validate_json(lines[at])
        return
    with path.open("rb") as file:
        for number in range(count):
            file.seek(max(0, size * number // count - 1))
            if number:
                file.readline()  # the rest of a line whose beginning was passed
            at = file.tell()
            if at > last and (line := file.readline()):
                last = at
                yield Example.model_validate_json(line)


def _runs(ids: list[int], learn: list[bool]) -> Iterator[tuple[list[int], bool]]:
    """Tokens in runs that are learned or not."""
    start = 0
    for at in range(1, len(ids) + 1):
        if at == len(ids) or learn[at] != learn[start]:
            yield ids[start:at], learn[start]
            start = at


def _too_much(memory: int) -> Failed:
    return Failed(
        code="too_much_data",
        message=f"The data does not fit into {memory / 2**30:.1f} GiB of memory. Split it into several "
        "datasets, or ask the operator to raise CHORUS_CURATION_MEMORY.",
    )


if __name__ == "__main__":
    sys.exit(run(main))
