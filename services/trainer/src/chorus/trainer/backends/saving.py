"""Checkpoints: all that a run needs to go on as if it had never stopped, each in a folder of its own.

    step-00000120/  weights.safetensors  optimizer.safetensors  [objective…]  [best…]  state.json
                    manifest.json        name → {size, sha256} of the others, written last

A folder has its name once it is whole and on the disk. The order of the data, the learning rate and random
numbers follow from the seed and the step: of those there is nothing to keep. No pickles.
"""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, NonNegativeFloat, NonNegativeInt, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from chorus.common.contracts.models import Benchmark
from chorus.common.contracts.names import Sha256
from chorus.common.contracts.wire import Part
from chorus.common.errors import InvalidInput
from chorus.trainer.backends.ladder import Rung
from chorus.trainer.training.report import Notice, Saved

KEPT = 2  # on this disk; where they are stored, the parent keeps its own number
STATE, MANIFEST, TENSORS = "state.json", "manifest.json", ".safetensors"

Tensors = dict[str, dict[str, Tensor]]
"""By file: `weights`, `optimizer`, `objective`, `best`; then by name. On the CPU."""


class Identity(Part):
    """What a checkpoint belongs to, as hashes: with another recipe, data or base it would mean nothing."""

    recipe: Sha256
    data: Sha256
    base: Sha256


class State(BaseModel):
    """Where a run stands, its tensors aside. It changes as the run goes on."""

    identity: Identity
    rung: Rung
    step: NonNegativeInt = 0
    """Steps that are done."""
    epoch: NonNegativeInt = 0
    """Of the last of them, from 1."""
    losses: list[float] = []
    """Of each of them, nats a token."""
    tokens: NonNegativeInt = 0
    """Real ones that were computed."""
    benchmarks: list[Benchmark] = []
    best: Benchmark | None = None
    """None before the first one after the base's, and where nothing is held out."""
    worse: NonNegativeInt = 0
    """Benchmarks since the best one."""
    replies: list[str] = []
    """What the base wrote, as the judge keeps it."""
    worst: NonNegativeFloat = 0.0
    """Loss of the epoch's least learned token so far, in nats."""
    compiled: bool = False


@dataclass(frozen=True)
class Checkpoint:
    """What is written, and read."""

    state: State
    tensors: Tensors


def write(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint into a new folder in `folder`, and remove all but the newest; returns its path.

    Raises `OSError`, such as for a full disk; then nothing new is left behind.
    """
    whole = folder / f"step-{checkpoint.state.step:08d}"
    unfinished = folder / f".{whole.name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        for name, tensors in checkpoint.tensors.items():
            save_file(tensors, unfinished / f"{name}{TENSORS}")
        (unfinished / STATE).write_text(checkpoint.state.model_dump_json(), "utf-8")
        manifest = {path.name: _described(path) for path in sorted(unfinished.iterdir())}
        (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
        for path in [*unfinished.iterdir(), unfinished]:
            _to_disk(path)
        shutil.rmtree(whole, ignore_errors=True)  # of an earlier attempt at the same step
        unfinished.rename(whole)
        _to_disk(folder)
    except SafetensorError as error:  # its way of telling what the system said
        shutil.rmtree(unfinished, ignore_errors=True)
        raise OSError(errno.EIO, str(error)) from error
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    for old in sorted(folder.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return whole


def read(folder: Path, identity: Identity) -> Checkpoint:
    """A checkpoint, if each byte of it is as it was written, and if it belongs to this run.

    Raises `InvalidInput` with code `damaged_checkpoint` or `other_checkpoint`: an older one may be good.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        damaged = [name for name, told in manifest.items() if _described(folder / Path(name).name) != told]
        if damaged:
            raise _refused(f"{', '.join(damaged)} is not as it was written")
        state = State.model_validate_json((folder / STATE).read_bytes())
        names = [name.removesuffix(TENSORS) for name in manifest if name.endswith(TENSORS)]
        tensors = {name: load_file(folder / f"{name}{TENSORS}") for name in names}
    except FileNotFoundError as error:
        raise _refused(f"{Path(error.filename or MANIFEST).name} is missing") from None
    except (OSError, ValueError, AttributeError, ValidationError, SafetensorError) as error:
        raise _refused(f"it cannot be read ({type(error).__name__})") from None
    mine, theirs = identity.model_dump(), state.identity.model_dump()
    if other := [what for what in mine if mine[what] != theirs[what]]:
        raise InvalidInput(
            f"The checkpoint is of another training: its {' and '.join(other)} differ. Start afresh.",
            code="other_checkpoint",
        )
    return Checkpoint(state, tensors)


FIRST_AFTER = 15.0  # seconds; then 30, 60, as often as is asked for


class Saver:
    """Writes checkpoints beside the training, one at a time, and tells of each that is whole.

    While one is being written none is due, so that the next one written is always the newest there is. The
    first ones come sooner than the rest, for most trainings are short.
    """

    def __init__(
        self, folder: Path, tell: Callable[[Saved | Notice], None], *, every: float, step: int = 0
    ) -> None:
        self._folder = folder
        self._tell = tell
        self._every = every
        self._writer = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None
        self._began = time.monotonic()
        self._pause = min(every, FIRST_AFTER)
        self.step = step
        """Of the newest checkpoint that is whole; 0 while there is none."""

    @property
    def due(self) -> bool:
        """Whether it is time for one."""
        busy = self._writing is not None and not self._writing.done()
        return not busy and time.monotonic() - self._began >= self._pause

    def save(self, checkpoint: Checkpoint) -> None:
        """Begin to write one; its tensors must be copies, for training goes on."""
        self.finish()
        self._began = time.monotonic()
        self._pause = min(self._every, 2 * self._pause)
        self._writing = self._writer.submit(self._write, checkpoint)

    def finish(self) -> None:
        """Wait until nothing is being written."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def _write(self, checkpoint: Checkpoint) -> None:
        step = checkpoint.state.step
        try:
            folder = write(self._folder, checkpoint)
        except OSError as error:
            text = f"The checkpoint of step {step} could not be written: {error.strerror or error}. {NEXT}"
            self._tell(Notice(level="warn", text=text))
            return
        self.step = step
        self._tell(Saved(step=step, folder=str(folder)))


NEXT = "The training goes on; the next one is tried in time."


def _described(path: Path) -> dict[str, int | str]:
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _to_disk(path: Path) -> None:
    """Flush a file or folder, so that a power cut cannot take what a later rename names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(why: str) -> InvalidInput:
    return InvalidInput(f"The checkpoint is damaged: {why}.", code="damaged_checkpoint")
