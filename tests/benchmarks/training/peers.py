"""The peers: Hugging Face's Trainer with padding, TRL's SFTTrainer with packing; both with peft's LoRA."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, Trainer, TrainingArguments
from trl import SFTConfig, SFTTrainer

from chorus.common.chat import Tokens
from chorus.trainer.backends.loop import BETAS
from chorus.trainer.backends.packed import IGNORED
from chorus.trainer.training.recipe import Recipe
from tests.benchmarks.training.lessons import PADDING, ROW

Columns = dict[str, Any]
Collate = Callable[[list[Columns]], Columns]


@dataclass(frozen=True)
class Setting:
    """How a peer runs."""

    samples: int
    """Of one pass through the model: chats, or TRL's packed rows."""
    passes: int
    """Of one optimiser step."""
    bf16: bool
    compiled: bool = False
    pad_to: int | None = None
    """Length of every sample; None is that of the longest in the pass."""
    grouped: bool = False
    """Chats of about the same length in one pass."""

    def __str__(self) -> str:
        parts = [f"{self.samples} x {self.passes}", "bf16" if self.bf16 else "fp32"]
        return ", ".join([*parts, *(["compiled"] if self.compiled else [])])


class Peer:
    """One trainer with its model; it learns on with each call."""

    def __init__(
        self, base: Path, chats: list[Tokens], recipe: Recipe, setting: Setting, *, packing: bool
    ) -> None:
        self.setting = setting
        self.model = _load(base, recipe, setting)
        self._trainer = (_packing if packing else _padding)(
            base,
            setting,
            model=self.model,
            train_dataset=_columns(chats),
            optimizers=_optimizers(self.model, recipe),
        )
        self._trainer.remove_callback(PrinterCallback)
        self._tokens: list[int] = []
        """Of each pass."""
        self._trainer.data_collator = self._counting(self._trainer.data_collator)

    def learn(self, steps: int) -> Sequence[int]:
        """Take so many steps; returns the tokens of each."""
        self._tokens.clear()
        self._trainer.args.max_steps = steps
        self._trainer.train()
        passes = self.setting.passes
        return [sum(self._tokens[at * passes : (at + 1) * passes]) for at in range(steps)]

    def _counting(self, collate: Collate) -> Collate:
        def counted(samples: list[Columns]) -> Columns:
            self._tokens.append(sum(len(sample["input_ids"]) for sample in samples))
            return collate(samples)

        return counted


def _load(base: Path, recipe: Recipe, setting: Setting) -> Any:
    """The base in the number format of the setting, and an adapter in fp32, as peft has it."""
    dtype = torch.bfloat16 if setting.bf16 else torch.float32
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    torch.manual_seed(recipe.seed)
    config = LoraConfig(
        r=recipe.rank, lora_alpha=int(recipe.alpha), target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


def _optimizers(model: Any, recipe: Recipe) -> tuple[AdamW, LambdaLR]:
    """The same optimiser and schedule as ours."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = AdamW(learned, lr=1.0, betas=BETAS, weight_decay=recipe.weight_decay, fused=True)
    return optimizer, LambdaLR(optimizer, recipe.learning_rate_at)


def _padding(base: Path, setting: Setting, **others: Any) -> Trainer:
    order = {"train_sampling_strategy": "group_by_length"} if setting.grouped else {}
    arguments = TrainingArguments(**_arguments(base, setting), **order)
    return Trainer(args=arguments, data_collator=_padded(setting.pad_to), **others)


def _packing(base: Path, setting: Setting, **others: Any) -> SFTTrainer:
    """Packed best-fit, and padding-free: its rows are not cut. Compiled, they have to be of one length."""
    arguments = SFTConfig(
        **_arguments(base, setting),
        packing=True,
        packing_strategy="bfd",
        max_length=ROW,
        pad_to_multiple_of=ROW if setting.compiled else None,
    )
    return SFTTrainer(args=arguments, processing_class=AutoTokenizer.from_pretrained(base), **others)


def _arguments(base: Path, setting: Setting) -> dict[str, Any]:
    return {
        "output_dir": str(base.parent / "peers"),
        "per_device_train_batch_size": setting.samples,
        "gradient_accumulation_steps": setting.passes,
        "max_steps": 1,
        "max_grad_norm": 1.0,
        "bf16": setting.bf16,
        "torch_compile": setting.compiled,
        "gradient_checkpointing": False,
        "use_cpu": not torch.cuda.is_available(),
        "report_to": [],
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "seed": 0,
    }


def _columns(chats: list[Tokens]) -> Dataset:
    """As both trainers take them; what is not to be learned is marked in the labels."""
    return Dataset.from_list(
        [
            {
                "input_ids": chat.ids,
                "labels": [
                    token if learn else IGNORED for token, learn in zip(chat.ids, chat.learn, strict=True)
                ],
            }
            for chat in chats
        ]
    )


def _padded(length: int | None) -> Collate:
    """Lays samples side by side."""

    def collate(samples: list[Columns]) -> Columns:
        longest = length or max(len(sample["input_ids"]) for sample in samples)
        shape = (len(samples), longest)
        ids, labels = torch.full(shape, PADDING), torch.full(shape, IGNORED)
        mask = torch.zeros(shape, dtype=torch.long)
        for row, sample in enumerate(samples):
            end = len(sample["input_ids"])
            ids[row, :end] = torch.tensor(sample["input_ids"])
            labels[row, :end] = torch.tensor(sample["labels"])
            mask[row, :end] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    return collate
