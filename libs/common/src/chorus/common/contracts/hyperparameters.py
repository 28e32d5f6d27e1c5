"""What a person may choose of a training: each one a value, or `auto`, which chooses it from the data.

The same names everywhere: `!train epochs=3`, `chorus train --epochs 3`, `{"epochs": 3}` in a job. What
`auto` chooses is in `chorus.trainer.training.recipe`, and in docs/training.md with its reasons.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from chorus.common.contracts.wire import StrictPart

Auto = Literal["auto"]

RANKS = (8, 16, 32, 64)

Rank = Literal[8, 16, 32, 64]
Share = Annotated[float, Field(ge=0, le=0.5)]


class Hyperparameters(StrictPart):
    """One training's wishes; what is left out is `auto`, or the value that nearly everybody wants."""

    method: Literal["lora", "qlora", "full"] = "lora"
    """`lora`: an adapter (arXiv 2106.09685). `qlora`: the same on a base held in 4 bits, GPU only
    (arXiv 2305.14314). `full`: all weights, which makes a whole model."""
    objective: Auto | Literal["sft", "kto", "apo", "dpo"] = "auto"
    """`sft`: write what was written. `kto` (arXiv 2402.01306), `apo` (APO-zero, arXiv 2408.06266): learn from
    wanted and unwanted replies. `dpo` (arXiv 2305.18290, with a term of `sft`): from corrections."""
    epochs: Auto | Annotated[PositiveInt, Field(le=1000)] = "auto"
    """Passes over the data."""
    learning_rate: Auto | Annotated[PositiveFloat, Field(le=1.0)] = "auto"
    """Peak learning rate of AdamW. `auto` goes by the width of the base ("LoRA Without Regret",
    thinkingmachines.ai, 2025)."""
    rank: Auto | Rank = "auto"
    """Rank of the adapter; vLLM serves these, up to the operator's `CHORUS_MAX_RANK`."""
    alpha: Auto | Annotated[PositiveFloat, Field(le=1024)] = "auto"
    """Scale of the adapter: its output counts alpha / rank (arXiv 2106.09685, section 4.1)."""
    batch_tokens: Auto | Annotated[PositiveInt, Field(ge=32, le=1_048_576)] = "auto"
    """Tokens of one optimiser step. Packing has no batch size: rows are full."""
    max_tokens: Annotated[PositiveInt, Field(ge=32, le=32768)] = 1024
    """Of one example; of longer chats the end is learned, longer text is cut into several."""
    warmup: Share = 0.05
    """Share of the steps in which the learning rate rises."""
    weight_decay: NonNegativeFloat = Field(default=0.0, le=1.0)
    """Decoupled, a step (arXiv 1711.05101)."""
    max_grad_norm: PositiveFloat = Field(default=1.0, le=1000.0)
    """Gradients are scaled down to this norm (arXiv 1211.5063)."""
    beta: PositiveFloat = Field(default=0.1, le=10.0)
    """Of `kto`, `apo` and `dpo`: how dear it is to move away from the model as it was."""
    sft_weight: Auto | Annotated[NonNegativeFloat, Field(le=10.0)] = "auto"
    """Weight of plain learning of the wanted replies beside `kto`, `apo` or `dpo`; without it, `dpo` makes
    them less likely, too (arXiv 2402.13228)."""
    patience: Auto | Annotated[NonNegativeInt, Field(le=100)] = "auto"
    """Benchmarks without a better loss until training ends early; 0 never ends it."""
    activation_checkpointing: Auto | bool = "auto"
    """Computing activations twice to keep fewer (arXiv 1604.06174). `auto` does it when memory runs out."""
    compile: Auto | bool = "auto"
    """torch.compile: pays in runs of minutes. `auto` compiles where what is gained is more than it costs."""
    max_seconds: PositiveFloat | None = Field(default=None, le=30 * 86400)
    """Time limit: what has been learned by then is published."""
    max_cost: PositiveFloat | None = Field(default=None, le=1e6)
    """Spend limit, in the operator's currency, at the operator's price of an hour."""
    seed: NonNegativeInt = Field(default=0, lt=2**31)
    """Data order and initial weights follow from it."""
