"""The training process: load, evaluate, learn, evaluate, save. It tells its parent what it does.

    python -m chorus.trainer.child ORDER.json

It reads nothing from the network and writes only into the folder it is given.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from pydantic import BaseModel
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from chorus.common import base_model
from chorus.common.chat import Tokenizer, Tokens, example_tokens, prepare, prompt_tokens, template_sha256
from chorus.common.contracts.datasets import Example, Split, Turn
from chorus.common.contracts.models import Evaluation, Probe, token_hash
from chorus.common.errors import ChorusError
from chorus.trainer.backends import precision
from chorus.trainer.backends.loop import judge, learn
from chorus.trainer.backends.lora import LoraModel
from chorus.trainer.process import attached
from chorus.trainer.training.fitting import PlainText, fitted
from chorus.trainer.training.recipe import EXAMPLE_TOKENS, choose
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

Tell = Callable[[BaseModel], None]


def main() -> int:
    """Train what the order says; the exit code is 0 also when it cannot be done, for that is told."""
    tell = attached()
    transformers_logging.disable_progress_bar()
    order = Order.model_validate_json(Path(sys.argv[1]).read_text("utf-8"))
    try:
        tell(train(order, tell))
    except ChorusError as error:
        tell(Failed(code=error.code, message=error.message))
    except torch.OutOfMemoryError:
        tell(Failed(code="out_of_memory", message="The training does not fit into this machine's memory."))
    return 0


def train(order: Order, tell: Tell) -> Trained:
    """The whole of it, from top to bottom."""
    # --- 1. base model and data ------------------------------------------------------------------
    tell(Stage(text="loading the base model"))
    started = time.monotonic()
    base = base_model.find(order.base)
    tokenizer = AutoTokenizer.from_pretrained(base.folder)
    prepare(tokenizer)
    examples = [e for e in _read(Path(order.examples)) if e.label]  # the unwanted are not imitated
    taught, shortened = fitted(_tokens(tokenizer, examples, "train"), EXAMPLE_TOKENS)
    check, _ = fitted(_tokens(tokenizer, examples, "validation"), EXAMPLE_TOKENS)
    if not taught:  # all that is wanted was kept aside
        taught, check = check, []

    # --- 2. recipe and model ---------------------------------------------------------------------
    config = json.loads((base.folder / "config.json").read_text("utf-8"))
    recipe = choose(
        order.hyperparameters,
        lengths=[len(each.ids) for each in taught + check],
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


def _tokens(
    tokenizer: Tokenizer, examples: Iterable[Example], split: Split
) -> Iterator[tuple[Tokens, PlainText]]:
    """One part of the data as tokens."""
    for example in examples:
        if example.split == split:
            yield example_tokens(tokenizer, example.messages), len(example.messages) == 1


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


if __name__ == "__main__":
    sys.exit(main())
