"""A base model with a LoRA on it: load, loss over packed rows, save an adapter that vLLM serves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, PreTrainedModel

from chorus.common.chat import Tokens
from chorus.common.errors import InvalidInput
from chorus.trainer.backends.precision import Precision

IGNORED = -100  # cross-entropy's mark for a position without a target
ROWS_AT_ONCE = 16  # when evaluating


@dataclass(frozen=True)
class Batch:
    """Packed rows, all (rows, row_tokens) int64. `targets` is what comes next, or IGNORED."""

    ids: Tensor
    positions: Tensor
    targets: Tensor
    tokens: int
    """Real ones, without padding."""


@dataclass(frozen=True)
class Loss:
    """Of some rows: the mean in nats a token, and the worst token's."""

    mean: Tensor
    worst: float
    targets: int


def pack(rows: Sequence[Sequence[Tokens]], row_tokens: int) -> Batch:
    """Lay examples end to end. Nothing is predicted across the border of an example."""
    shape = (len(rows), row_tokens)
    ids = torch.zeros(shape, dtype=torch.long)
    positions = torch.zeros(shape, dtype=torch.long)
    targets = torch.full(shape, IGNORED)
    tokens = 0
    for row, examples in enumerate(rows):
        at = 0
        for example in examples:
            end = at + len(example.ids)
            ids[row, at:end] = torch.tensor(example.ids)
            positions[row, at:end] = torch.arange(end - at)
            learned = [
                token if learn else IGNORED for token, learn in zip(example.ids, example.learn, strict=True)
            ]
            targets[row, at : end - 1] = torch.tensor(learned[1:], dtype=torch.long)
            at = end
        positions[row, at:] = torch.arange(row_tokens - at)  # padding is an example of its own
        tokens += at
    return Batch(ids, positions, targets, tokens)


class LoraModel:
    """The model under training. Only the adapter's weights learn; they are fp32, the base is `dtype`."""

    def __init__(self, folder: Path, precision: Precision, *, rank: int, alpha: int, seed: int) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        base: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, dtype=precision.dtype, use_safetensors=True, trust_remote_code=False
        )
        if (head := base.get_output_embeddings()) is None:
            raise InvalidInput(
                f"{type(base).__name__} has no head that writes tokens; it cannot be trained to answer.",
                code="unsupported_base",
            )
        torch.manual_seed(seed)  # for the adapter's first weights
        config = LoraConfig(
            r=rank,
            lora_alpha=alpha,
            lora_dropout=0.0,
            bias="none",
            target_modules="all-linear",  # not the embeddings: vLLM serves no adapter that touches them
            task_type="CAUSAL_LM",
        )
        self._peft = get_peft_model(base, config)
        assert isinstance(self._peft, PeftModel)
        self._base, self._head = base, head
        base.to(self.device)  # pyright: ignore[reportArgumentType] - transformers wraps torch's method
        for parameter in self.parameters():
            parameter.data = parameter.data.float()

    def parameters(self) -> list[torch.nn.Parameter]:
        """What learns."""
        return [p for p in self._peft.parameters() if p.requires_grad]

    def train(self, training: bool) -> None:
        """Switch between learning and evaluating."""
        self._peft.train(training)

    def loss(self, batch: Batch) -> Loss:
        """Mean loss over the tokens to be learned; logits are computed for those alone.

        `use_cache=False` and no attention mask: only so does transformers see from the positions where
        examples begin. With either, they would silently see each other.
        """
        hidden = self._base.base_model(
            input_ids=batch.ids.to(self.device),
            position_ids=batch.positions.to(self.device),
            use_cache=False,
        ).last_hidden_state
        targets = batch.targets.to(self.device)
        learned = targets != IGNORED
        logits = self._head(hidden[learned]).float()
        losses = cross_entropy(logits, targets[learned], reduction="none")
        return Loss(losses.mean(), float(losses.detach().max()), len(losses))

    @torch.no_grad()
    def evaluate(self, rows: Iterable[Sequence[Tokens]], row_tokens: int) -> tuple[float, float]:
        """Mean loss in nats a token over all rows, and the worst token's."""
        self.train(False)
        total, worst, count = 0.0, 0.0, 0
        waiting = list(rows)
        for at in range(0, len(waiting), ROWS_AT_ONCE):
            loss = self.loss(pack(waiting[at : at + ROWS_AT_ONCE], row_tokens))
            total += float(loss.mean) * loss.targets
            worst, count = max(worst, loss.worst), count + loss.targets
        self.train(True)
        return total / count, worst

    def save(self, out: Path) -> None:
        """The adapter as safetensors in bf16, half the size; vLLM casts it as it needs."""
        for parameter in self.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)
        self._peft.save_pretrained(str(out), safe_serialization=True, save_embedding_layers=False)
        (out / "README.md").unlink(missing_ok=True)  # peft's model card names a path of this machine
