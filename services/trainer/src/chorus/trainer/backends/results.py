"""What comes of a training: weights that can be served, what is to be known of them, losses and samples."""

import csv
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from chorus.common.base_model import BaseModelFiles
from chorus.common.chat import template_sha256
from chorus.common.contracts.models import LOSSES, SAMPLES, Benchmark, Evaluation
from chorus.trainer.backends.benchmark import Decoder, Judge
from chorus.trainer.backends.loop import Learned
from chorus.trainer.backends.model import Model
from chorus.trainer.backends.saving import State
from chorus.trainer.training.recipe import Recipe
from chorus.trainer.training.report import Made, Order, Snapshot


@dataclass(frozen=True)
class Results:
    """Writes into the order's folders."""

    order: Order
    base: BaseModelFiles
    tokenizer: Decoder
    recipe: Recipe
    model: Model
    judge: Judge

    def save(self, learned: Learned) -> tuple[Made, Made | None]:
        """The best weights, and the last step's where these are others; with losses and samples."""
        out, state = Path(self.order.out), learned.state
        with (out / LOSSES).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["step", "loss", "learning_rate"])
            for step, loss in enumerate(state.losses):
                table.writerow([step + 1, f"{loss:.6g}", f"{self.recipe.learning_rate_at(step):.6g}"])
        (out / SAMPLES).write_text(self.judge.samples().model_dump_json(), "utf-8")
        if learned.best is None or state.best is None:
            return self._saved(out / "best", state, state.benchmarks[-1]), None
        final = self._saved(out / "final", state, state.benchmarks[-1])
        self._put(learned.best)
        return self._saved(out / "best", state, state.best), final

    def snapshot(self, state: State, tell: Callable[[Snapshot], None]) -> None:
        """The adapter as it is now; training goes on with the weights it has. Whole models are too large."""
        if self.recipe.method == "full":
            return
        folder = Path(self.order.checkpoints) / f"epoch-{state.epoch:04d}"
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier attempt
        kept = {name: weight.detach().clone() for name, weight in self.model.parameters().items()}
        made = self._saved(folder, state, state.benchmarks[-1])
        self._put(kept)
        tell(Snapshot(step=state.step, epoch=state.epoch, folder=str(folder), model=made))

    def _saved(self, folder: Path, state: State, look: Benchmark) -> Made:
        """Save what the model holds, and ask it the probes as it was saved: in bf16. It stays so."""
        folder.mkdir(parents=True)
        self.model.save(folder)
        for weight in self.model.parameters().values():
            weight.data = weight.data.to(torch.bfloat16).to(weight.dtype)
        return Made(
            base=self.base.id,
            method=self.recipe.method,
            form="whole" if self.recipe.method == "full" else "adapter",
            rank=self.recipe.rank,
            step=look.step,
            chat_template_sha256=template_sha256(self.tokenizer),
            eos_token_ids=[self.tokenizer.eos_token_id],
            probes=self.judge.probes(self.model),
            evaluation=Evaluation(
                loss_before=state.benchmarks[0].loss,
                loss_after=look.loss,
                held_out=look.held_out,
                examples=look.examples,
            ),
            benchmarks=list(state.benchmarks),
            hyperparameters=self.recipe.facts(),
        )

    @torch.no_grad()
    def _put(self, weights: Mapping[str, Tensor]) -> None:
        """Give the model these weights."""
        for name, weight in self.model.parameters().items():
            weight.copy_(weights[name])
