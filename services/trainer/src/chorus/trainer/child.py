"""The training process: load, evaluate, learn, evaluate, save. It tells its parent what it does.

    python -m chorus.trainer.child ORDER.json

It reads nothing from the network and writes only into the folder it is given. When its standard input
closes, its parent is gone, and it ends at once.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from chorus.common import base_model
from chorus.common.chat import example_tokens, prepare, prompt_tokens, template_sha256
from chorus.common.contracts.datasets import Example, Turn
from chorus.common.contracts.models import Evaluation, Probe, token_hash
from chorus.common.errors import ChorusError
from chorus.trainer.backends import precision
from chorus.trainer.backends.loop import judge, learn
from chorus.trainer.backends.lora import LoraModel
from chorus.trainer.training.fitting import fitted
from chorus.trainer.training.recipe import EXAMPLE_TOKENS, choose, held_out
from chorus.trainer.training.report import Failed, Order, Stage, Step, Trained

PROBES = (
    [Turn(role="user", content="Hello!")],
    [
        Turn(role="user", content="Wie spät ist es? 🕰", name="u1"),
        Turn(role="assistant", content="Spät."),
        Turn(role="user", content="Danke!", name="u2"),
    ],
)
"""Prompts that prove, token by token, that serving asks as training taught."""

REPORTS = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")


def main() -> int:
    """Train what the order says; the exit code is 0 also when it cannot be done, for that is told."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is for the log
    transformers_logging.disable_progress_bar()
    order = Order.model_validate_json(Path(sys.argv[1]).read_text("utf-8"))
    try:
        tell(train(order))
    except ChorusError as error:
        tell(Failed(code=error.code, message=error.message))
    except torch.OutOfMemoryError:
        tell(Failed(code="out_of_memory", message="The training does not fit into this machine's memory."))
    return 0


def train(order: Order) -> Trained:
    """The whole of it, from top to bottom."""
    # --- 1. base model and data ------------------------------------------------------------------
    tell(Stage(text="loading the base model"))
    started = time.monotonic()
    base = base_model.find(order.base)
    tokenizer = AutoTokenizer.from_pretrained(base.folder)
    prepare(tokenizer)
    examples = [e for e in _read(Path(order.examples)) if e.label]  # the unwanted are not imitated
    whole = [(example_tokens(tokenizer, e.messages), len(e.messages) == 1) for e in examples]
    tokens, shortened = fitted(whole, EXAMPLE_TOKENS)
    aside = held_out(len(tokens))
    taught, check = tokens[: len(tokens) - aside], tokens[len(tokens) - aside :]

    # --- 2. recipe and model ---------------------------------------------------------------------
    config = json.loads((base.folder / "config.json").read_text("utf-8"))
    recipe = choose(
        order.hyperparameters,
        lengths=[len(each.ids) for each in tokens],
        hidden_size=config["hidden_size"],
    )
    chosen = precision.detect()
    print(f"precision {chosen.why}; recipe {recipe}", file=sys.stderr)
    model = LoraModel(base.folder, chosen, rank=recipe.rank, alpha=recipe.alpha, seed=recipe.seed)

    # --- 3. before, learning, after --------------------------------------------------------------
    judged = check or taught
    tell(Stage(text="measuring the base"))
    before, _ = judge(model, judged, recipe)
    tell(Stage(text=_learning(shortened)))
    steps = learn(model, taught, recipe, lambda progress: tell(Step(progress=progress)))
    tell(Stage(text="measuring what was learned"))
    after, _ = judge(model, judged, recipe)

    # --- 4. the adapter --------------------------------------------------------------------------
    model.save(Path(order.out))
    return Trained(
        base=base.id,
        rank=recipe.rank,
        chat_template_sha256=template_sha256(tokenizer),
        eos_token_ids=[tokenizer.eos_token_id],
        probes=[
            Probe(messages=turns, prompt_sha256=token_hash(prompt_tokens(tokenizer, turns)))
            for turns in PROBES
        ],
        evaluation=Evaluation(
            loss_before=before, loss_after=after, held_out=bool(check), examples=len(judged)
        ),
        hyperparameters=recipe.facts(),
        steps=steps,
        seconds=time.monotonic() - started,
    )


def _read(path: Path) -> Iterator[Example]:
    with path.open("rb") as lines:
        for line in lines:
            yield Example.model_validate_json(line)


def _learning(shortened: int) -> str:
    """The longest stage, in words; what is left out is said as long as it lasts, so that it is seen."""
    if not shortened:
        return "learning"
    chats = "1 long chat" if shortened == 1 else f"{shortened} long chats"
    return f"learning, of {chats} only the last {EXAMPLE_TOKENS:,} tokens"


def _end_with_parent() -> None:
    """Standard input is a pipe from the parent, into which nothing is ever written."""
    os.read(0, 1)
    os._exit(1)


def tell(report: Stage | Step | Trained | Failed) -> None:
    """One line to the parent."""
    print(report.model_dump_json(exclude_none=True), file=REPORTS, flush=True)


if __name__ == "__main__":
    sys.exit(main())
