"""Ours beside each peer: the best setting of each, then rounds, then what was learned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from datasets import disable_progress_bars
from peft import PeftModel
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from chorus.common.chat import Tokens
from chorus.trainer.backends.model import Model, compiles
from chorus.trainer.backends.precision import detect
from chorus.trainer.training.recipe import Recipe
from tests.benchmarks.figures import PEOPLE, Report, paired_ratio
from tests.benchmarks.training.lessons import MEAN, ROW, SMALL, recipe_of, write_base, write_chats
from tests.benchmarks.training.ours import Ours
from tests.benchmarks.training.peers import Peer, Setting
from tests.benchmarks.training.stopwatch import Learn, tokens_a_second

CHATS, KEPT_ASIDE = 8000, 400
ROWS = 2  # of a step of whoever packs: 1,920 tokens
SAMPLES = ROWS * ROW // MEAN  # chats of a step of whoever pads: as many tokens
ROUNDS = 3
LEARN_STEPS = 120  # in which no chat comes twice

BF16 = (
    (True, False) if detect().dtype == torch.bfloat16 else (False,)
)  # where it is emulated, nobody wants it
COMPILED = (False, True) if compiles() else (False,)
WARM_UP, STEPS, TRIAL_STEPS = (
    3,
    12,
    2,
)  # steps that do not count, of ours and of what is compiled; of ours; to try


@dataclass(frozen=True)
class Entry:
    """A peer, how it may run, and how long a round of it is."""

    key: str
    told: str
    settings: Sequence[Setting]
    steps: int
    aim: str
    packing: bool = False
    trial_passes: int | None = None
    """Passes of a step while settings are tried; None are all of them."""


ENTRIES = (
    Entry(
        "vs_pad_1024",
        "HF Trainer, padded to 1,024",
        [Setting(8, SAMPLES // 8, bf16, pad_to=1024) for bf16 in BF16],
        steps=1,
        aim="at least 50",
        trial_passes=1,
    ),
    Entry(
        "vs_pad_longest",
        "HF Trainer, padded to the longest",
        [Setting(size, SAMPLES // size, bf16) for size in (2, 4, 8) for bf16 in BF16],
        steps=8,
        aim="at least 4",
    ),
    Entry(
        "vs_grouped",
        "HF Trainer, chats of like length together",
        [Setting(32, SAMPLES // 32, bf16, grouped=True) for bf16 in BF16],
        steps=24,  # with the first one 50 passes: it sorts as many at a time, and begins with the longest
        aim="no aim",
    ),
    Entry(
        "vs_trl_packing",
        "TRL, packed",
        [Setting(1, ROWS, bf16) for bf16 in BF16]
        + [Setting(1, ROWS, BF16[0], compiled=True)] * any(COMPILED),
        steps=10,
        aim="at least 2",
        packing=True,
    ),
)


class Side(NamedTuple):
    """Who runs in a round, and how."""

    setting: str
    learn: Learn
    warm_up: int

    def tokens_a_second(self, steps: int) -> float:
        """Of one round."""
        return tokens_a_second(self.learn, warm_up=self.warm_up, steps=steps)


class Contest:
    """All sides on the same chats. `folder` is for the base and for what is learned."""

    def __init__(self, folder: Path) -> None:
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        disable_progress_bars()
        self._folder, self._base = folder, folder / "base"
        write_base(self._base, SMALL)
        chats = write_chats(CHATS + KEPT_ASIDE, seed=1)
        self._chats, self._kept_aside = chats[KEPT_ASIDE:], chats[:KEPT_ASIDE]
        recipe = recipe_of(self._chats, rows_per_step=ROWS, hidden=SMALL.hidden)
        self._recipe = replace(recipe, steps=LEARN_STEPS)

    def run(self, report: Report) -> None:
        """Rounds against one peer after the other, then the losses of the last one, TRL, and of ours."""
        recipe = self._best_recipe()
        ours = self._ours(recipe)
        for entry in ENTRIES:
            setting, peer = self._best_peer(entry)
            pairs = [(ours.tokens_a_second(STEPS), peer.tokens_a_second(entry.steps)) for _ in range(ROUNDS)]
            mine, theirs = zip(*pairs, strict=True)
            ratio = paired_ratio(mine, theirs)
            told = f"{ratio:.1f} x ({entry.aim}): {median(mine):,.0f} tokens/s, {ours.setting}"
            beside = f"{entry.told}, {setting}: {median(theirs):,.0f} tokens/s"
            report.add(entry.key, ratio, told, beside)
        mine, theirs = self._loss_of_ours(recipe), self._loss_of_peer(replace(setting, compiled=False))
        ratio, before = mine / theirs, self._loss(None)
        told = f"{ratio:.4f} (within 2 %): from {before:.2f} to {mine:.4f} nats"
        report.add("val_loss_ratio", ratio, told, f"TRL: {theirs:.4f}")

    # --- the best setting of each ----------------------------------------------------------------
    def _best_recipe(self) -> Recipe:
        recipes = [replace(self._recipe, compile=compiled) for compiled in COMPILED]
        speeds = [self._ours(recipe).tokens_a_second(STEPS) for recipe in recipes]
        return recipes[speeds.index(max(speeds))]

    def _best_peer(self, entry: Entry) -> tuple[Setting, Side]:
        speeds: dict[Setting, float] = {}
        sides: dict[Setting, Side] = {}
        for setting in entry.settings:
            tried = replace(setting, passes=entry.trial_passes or setting.passes)
            sides[setting] = self._side_of(entry, tried)
            speeds[setting] = sides[setting].tokens_a_second(TRIAL_STEPS)
            PEOPLE.print(f"[dim]{entry.told}, {setting}: {speeds[setting]:,.0f} tokens/s[/dim]")
        best = max(speeds, key=speeds.__getitem__)
        return best, self._side_of(entry, best) if entry.trial_passes else sides[best]

    def _ours(self, recipe: Recipe) -> Side:
        learner = Ours(Model(self._base, detect(), recipe), self._chats, recipe)
        compiled = ", compiled" if recipe.compile else ""
        return Side(f"{detect().why}{compiled}", learner.learn, WARM_UP)

    def _side_of(self, entry: Entry, setting: Setting) -> Side:
        peer = Peer(self._base, self._chats, self._recipe, setting, packing=entry.packing)
        return Side(str(setting), peer.learn, WARM_UP if setting.compiled else 1)

    # --- what is learned -------------------------------------------------------------------------
    def _loss_of_ours(self, recipe: Recipe) -> float:
        model = Model(self._base, detect(), recipe)
        Ours(model, self._chats, recipe).learn(LEARN_STEPS)
        model.save(self._folder / "ours")
        return self._loss(self._folder / "ours")

    def _loss_of_peer(self, setting: Setting) -> float:
        peer = Peer(self._base, self._chats, self._recipe, setting, packing=True)
        peer.learn(LEARN_STEPS)
        peer.model.save_pretrained(self._folder / "peer")
        return self._loss(self._folder / "peer")

    @torch.no_grad()
    def _loss(self, adapter: Path | None) -> float:
        """Nats a token to be learned, on chats kept aside: as peft reads the adapter, one chat at a time."""
        model = AutoModelForCausalLM.from_pretrained(self._base, dtype=torch.float32)
        if adapter:
            model = PeftModel.from_pretrained(model, adapter)
        losses = [_losses(model, chat) for chat in self._kept_aside]
        return float(torch.cat(losses).mean())


def _losses(model: nn.Module, chat: Tokens) -> Tensor:
    """Of each token to be learned."""
    ids, learn = torch.tensor(chat.ids), torch.tensor(chat.learn[1:])
    logits = model(input_ids=ids[None]).logits[0, :-1]
    return cross_entropy(logits[learn], ids[1:][learn], reduction="none")
