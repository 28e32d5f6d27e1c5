"""The training process: read, plan, load, learn, save. It tells its parent what it does.

    python -m chorus.trainer.child ORDER.json

It reads nothing from the network and writes only into the folders it is given. Started by torchrun, it is
one of several ranks that share the work; then the first one alone tells and saves.
"""

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from chorus.common import base_model
from chorus.common.base_model import BaseModelFiles
from chorus.common.chat import Tokenizer, prepare
from chorus.common.contracts.datasets import Example
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.training import Estimate
from chorus.common.errors import ChorusError, InvalidInput
from chorus.trainer.attached import attached, end_at, run
from chorus.trainer.backends import precision, ranks, saving
from chorus.trainer.backends.benchmark import Judge
from chorus.trainer.backends.ladder import Rung, first_rung, is_out_of_memory, machine_memory, that_fits
from chorus.trainer.backends.loop import Around, Subject, learn
from chorus.trainer.backends.model import Model
from chorus.trainer.backends.objectives import Objective
from chorus.trainer.backends.results import Results
from chorus.trainer.backends.saving import Checkpoint, Identity, Saver, State
from chorus.trainer.training.estimate import Shape, estimate, memory_bytes, shape_of
from chorus.trainer.training.lessons import Lessons, lessons_of
from chorus.trainer.training.recipe import Recipe, choose
from chorus.trainer.training.refusals import qlora_needs_gpu
from chorus.trainer.training.report import Failed, Order, Paused, Planned, Stage, Trained

GIB = 2**30  # bytes

Tell = Callable[[BaseModel], None]


def main(path: Path) -> int:
    """Train what the order says; the exit code is 0 also when it cannot be done, for that is told.

    Of several ranks, any that fails ends with 1: by that torchrun sees that it must end the others, who
    wait for it.
    """
    started = time.monotonic()
    tell, asked = attached()
    transformers_logging.disable_progress_bar()
    order = Order.model_validate_json(path.read_text("utf-8"))
    if order.until is not None:
        end_at(order.until)
    try:
        with ranks.joined() as together:
            train(order, tell, asked, together, started)
        return 0
    except ChorusError as error:
        failed = Failed(code=error.code, message=error.message, param=error.param)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        # where there is nothing to be made smaller: while loading, say
        failed = Failed(code="out_of_memory", message="The training does not fit into this machine's memory.")
    tell(failed)
    print(f"{failed.code}: {failed.message}", file=sys.stderr)  # of a rank that tells nothing
    return 1 if ranks.several() else 0


def train(order: Order, tell: Tell, asked: threading.Event, together: ranks.Ranks, started: float) -> None:
    """The whole of it, from top to bottom."""
    # --- 1. the data -----------------------------------------------------------------------------
    tell(Stage(text="reading the data"))
    base = base_model.find(order.base)
    config = json.loads((base.folder / "config.json").read_text("utf-8"))
    wishes = _fitted_to(config, order.hyperparameters)
    tokenizer = AutoTokenizer.from_pretrained(base.folder)
    prepare(tokenizer)
    lessons = _lessons(tokenizer, order, wishes)

    # --- 2. the plan -----------------------------------------------------------------------------
    recipe = choose(wishes, lessons.data, hidden_size=_width(config))
    chosen = precision.detect()
    print(f"precision {chosen.why}; recipe {recipe}", file=sys.stderr)
    plan = _Plan(recipe, lessons, shape_of(config), chosen.dtype.itemsize)
    tell(Planned(estimate=plan.estimate()))
    identity = _identity(recipe, lessons, base, order.parent)
    resumed = saving.read(Path(order.resume), identity) if order.resume else None

    # --- 3. the model ----------------------------------------------------------------------------
    tell(Stage(text="loading the base model"))
    if order.deterministic:
        _be_deterministic()
    folder, adapter = _beginning(order, base.folder)
    model = Model(folder, chosen, recipe, parent=adapter)
    model.ends.add(tokenizer.eos_token_id)  # the template's end of a turn
    judge = Judge(tokenizer, lessons)
    results = Results(order, base, tokenizer, recipe, model, judge)

    # --- 4. learning -----------------------------------------------------------------------------
    begin = resumed or Checkpoint(State(identity=identity, rung=first_rung(recipe, model.device)), {})
    begin.state.rung = plan.fitting(begin.state.rung, model.device)
    saver = Saver(Path(order.checkpoints), tell, every=order.checkpoint_every, step=begin.state.step)
    around = Around(
        tell=tell,
        asked=asked,
        ends_at=started + order.seconds_left if order.seconds_left else None,
        saver=saver,
        snapshot=lambda state: results.snapshot(state, tell),
        learning=_learning(recipe.objective, lessons.shortened, wishes.max_tokens),
    )
    subject = Subject(model, lessons.groups, Objective(recipe, lessons.groups), judge, recipe)
    learned = learn(subject, around, together, begin)
    if learned.paused:
        tell(Paused(step=saver.step))
        return

    # --- 5. what came of it ----------------------------------------------------------------------
    if together.first:
        best, final = results.save(learned)
        seconds = time.monotonic() - started
        steps = learned.state.step
        tell(Trained(best=best, final=final, steps=steps, seconds=seconds, ended=learned.ended))


# --- before it begins ----------------------------------------------------------------------------
def _lessons(tokenizer: Tokenizer, order: Order, wishes: Hyperparameters) -> Lessons:
    """What is to be learned. Raises `InvalidInput` with all that is wrong at once."""
    wrong: list[InvalidInput] = []
    if wishes.method == "qlora" and not torch.cuda.is_available():
        wrong.append(qlora_needs_gpu())
    try:
        lessons = lessons_of(tokenizer, list(_read(order.examples)), wishes)
    except InvalidInput as error:
        wrong.append(error)
    else:
        if not wrong:
            return lessons
    told = " ".join(error.message for error in wrong)
    raise InvalidInput(told, code=wrong[0].code, param=wrong[0].param)


def _read(paths: Sequence[str]) -> Iterator[Example]:
    for path in paths:
        with Path(path).open("rb") as lines:
            for line in lines:
                yield Example.model_validate_json(line)


def _beginning(order: Order, base: Path) -> tuple[Path, Path | None]:
    """Folder of the model to begin with, and that of the adapter to go on from, where there is one.

    A version that is a whole model takes the base's place: an adapter is then a new one.
    """
    parent = Path(order.parent) if order.parent else None
    if parent is not None and (parent / "config.json").is_file():
        return parent, None
    return base, parent


def _fitted_to(config: Mapping[str, object], wishes: Hyperparameters) -> Hyperparameters:
    """No example is longer than what the base can read."""
    positions = config.get("max_position_embeddings") or config.get("n_positions")
    most = min(wishes.max_tokens, positions) if isinstance(positions, int) else wishes.max_tokens
    return wishes.model_copy(update={"max_tokens": most})


def _width(config: Mapping[str, object]) -> int:
    """Of the hidden states; GPT-2 and its kin have a name of their own for it."""
    return int(str(config.get("hidden_size") or config["n_embd"]))


@dataclass(frozen=True)
class _Plan:
    """What a training will take on this machine, as far as its base's architecture is known."""

    recipe: Recipe
    lessons: Lessons
    shape: Shape | None
    bytes_per_weight: int

    def needs(self, rung: Rung) -> int:
        """Bytes of memory, about."""
        assert self.shape is not None
        rows = min(self.recipe.rows_per_step, rung.rows)
        recipe = replace(self.recipe, rows_per_step=rows, activation_checkpointing=rung.checkpointing)
        return memory_bytes(recipe, self.shape, self.lessons.data, bytes_per_weight=self.bytes_per_weight)

    def estimate(self) -> Estimate:
        """What is told. Raises `InvalidInput` with code `does_not_fit` where the last rung would not do."""
        recipe, data = self.recipe, self.lessons.data
        if self.shape is None:
            tokens = sum(data.lengths) * recipe.epochs
            return Estimate(steps=recipe.steps, epochs=recipe.epochs, tokens=tokens, memory_bytes=0)
        may_checkpoint = recipe.activation_checkpointing is not False
        least = self.needs(Rung(rows=1, row_tokens=recipe.row_tokens, checkpointing=may_checkpoint))
        if least > (most := machine_memory()):
            raise InvalidInput(
                f"This training needs about {least / GIB:.0f} GiB of memory, and the machine has "
                f"{most / GIB:.0f}. Choose a smaller base, or method lora or qlora.",
                code="does_not_fit",
                param="method",
            )
        return estimate(recipe, self.shape, data, bytes_per_weight=self.bytes_per_weight)

    def fitting(self, rung: Rung, device: torch.device) -> Rung:
        """Where it begins or goes on: perhaps on a smaller machine than the one that it comes from."""
        known = self.shape is not None and device.type == "cpu"
        return that_fits(rung, self.recipe, self.needs) if known else rung


def _identity(recipe: Recipe, lessons: Lessons, base: BaseModelFiles, parent: str | None) -> Identity:
    """What makes this run this run; its checkpoints mean nothing to another."""
    data = hashlib.sha256()
    for group in [*lessons.groups, *((judged.lesson,) for judged in lessons.judged)]:
        data.update(f"group of {len(group)} ".encode())
        for lesson in group:
            data.update(f"{len(lesson.tokens.ids)} tokens, wanted {lesson.wanted}: ".encode())
            data.update(np.asarray(lesson.tokens.ids, dtype="<i4").tobytes())
            data.update(bytes(lesson.tokens.learn))
    origin = hashlib.sha256(base.id.fingerprint.encode())
    for path in sorted(Path(parent).glob("*.safetensors")) if parent else []:
        with path.open("rb") as file:
            origin.update(hashlib.file_digest(file, "sha256").digest())
    facts = json.dumps(recipe.facts(), sort_keys=True)
    return Identity(
        recipe=hashlib.sha256(facts.encode()).hexdigest(), data=data.hexdigest(), base=origin.hexdigest()
    )


def _be_deterministic() -> None:
    """The same figures each time, by slower kernels; those that have none only warn."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # without it, torch refuses
    torch.use_deterministic_algorithms(True, warn_only=True)


def _learning(objective: str, shortened: int, most: int) -> str:
    """The longest stage, in words; what is left out is said as long as it lasts, so that it is seen."""
    how = "learning" if objective == "sft" else f"learning by {objective}, from wanted and unwanted replies"
    if not shortened:
        return how
    chats = "1 long chat" if shortened == 1 else f"{shortened} long chats"
    return f"{how}, of {chats} only the last {most:,} tokens"


if __name__ == "__main__":
    sys.exit(run(main))
