"""What a training will take, against models as they really are."""

import gc
import json
from collections.abc import Mapping

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.training import CheckTraining, JobRecord, JobState, Progress
from chorus.trainer.training.estimate import Shape, estimate, flops_per_token, foreseen, shape_of
from chorus.trainer.training.recipe import Data, choose
from tests.unit.trainer.made import AT, a_job

STARTER: Mapping[str, object] = json.loads((STARTER_FOLDER / "config.json").read_text())
SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
CONFIGS = {
    "starter": LlamaConfig.from_dict(dict(STARTER)),
    "llama": LlamaConfig(**SMALL, num_key_value_heads=2, vocab_size=300, attention_bias=True, mlp_bias=True),
    "qwen2": Qwen2Config(**SMALL, num_key_value_heads=2, vocab_size=300),
    "qwen3": Qwen3Config(**SMALL, num_key_value_heads=1, head_dim=32, vocab_size=300),
    "gpt2": GPT2Config(
        n_embd=64, n_layer=2, n_head=4, n_positions=256, vocab_size=300, bos_token_id=0, eos_token_id=0
    ),
}
LLAMA_8B = {
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128256,
}  # fmt: skip


def shape(config: Mapping[str, object]) -> Shape:
    found = shape_of(config)
    assert found is not None
    return found


def in_parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_are_counted_exactly(name: str) -> None:
    model = AutoModelForCausalLM.from_config(CONFIGS[name])
    counted = shape(CONFIGS[name].to_dict())
    assert counted.parameters == in_parameters(model)
    adapted = get_peft_model(
        model, LoraConfig(r=8, target_modules="all-linear", fan_in_fan_out=name == "gpt2")
    )
    assert counted.adapter(8) == sum(p.numel() for p in adapted.parameters() if p.requires_grad)


def test_a_large_model_is_as_large_as_it_says() -> None:
    assert shape(LLAMA_8B).parameters == 8_030_261_248  # Llama 3.1 8B, by its index file
    assert shape(LLAMA_8B).adapter(16) == 41_943_040


@pytest.mark.parametrize(
    "config", [{}, {"hidden_size": 64}, {**LLAMA_8B, "num_experts": 8}, {**LLAMA_8B, "vocab_size": [1]}]
)
def test_of_what_is_not_understood_nothing_is_said(config: Mapping[str, object]) -> None:
    assert shape_of(config) is None


@pytest.mark.parametrize(("name", "method"), [("starter", "lora"), ("qwen3", "full"), ("gpt2", "lora")])
def test_memory_is_within_a_factor_of_two_of_what_tensors_take(name: str, method: str) -> None:
    """Weights, AdamW's state and gradients after a step, and all that autograd keeps for one."""
    lengths = [32] * 8
    wishes = Hyperparameters.model_validate({"method": method, "rank": "auto"})
    counted = shape(CONFIGS[name].to_dict())
    recipe = choose(wishes, Data(lengths), hidden_size=counted.hidden)
    measured = measured_bytes(CONFIGS[name], method, tokens=sum(lengths))
    told = estimate(recipe, counted, Data(lengths), bytes_per_weight=4).memory_bytes
    assert measured / 2 < told < measured * 2


def measured_bytes(config: PretrainedConfig, method: str, *, tokens: int) -> int:
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    if method == "lora":
        gpt2 = config.model_type == "gpt2"
        model = get_peft_model(model, LoraConfig(r=16, target_modules="all-linear", fan_in_fan_out=gpt2))
    model.train()
    weights = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in model.parameters()}
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.zeros((1, tokens), dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    loss.backward()
    optimizer.step()
    states = [t for state in optimizer.state.values() for t in state.values()]
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    gc.collect()
    return sum(weights.values()) + sum(saved.values()) + sum(t.nbytes for t in (*states, *grads))


def test_four_bits_and_fewer_activations_take_less() -> None:
    def memory(**wishes: object) -> int:
        asked = Hyperparameters.model_validate(wishes)
        recipe = choose(asked, Data([500] * 1000), hidden_size=4096)
        return estimate(recipe, shape(LLAMA_8B), Data([500] * 1000), bytes_per_weight=2).memory_bytes

    lora, four_bits = memory(), memory(method="qlora")
    assert 16e9 < lora < 80e9
    assert lora - four_bits == pytest.approx((2 - 0.52) * 6.98e9, rel=0.01)
    assert memory(activation_checkpointing=True) < lora
    assert memory(method="full") > 100e9


def test_an_adapter_spares_a_third_of_the_arithmetic() -> None:
    def flops(method: str) -> float:
        wishes = Hyperparameters.model_validate({"method": method})
        return flops_per_token(choose(wishes, Data([9]), hidden_size=4096), shape(LLAMA_8B))

    assert flops("full") == pytest.approx(6 * 7.5e9, rel=0.01)
    assert flops("lora") / flops("full") == pytest.approx(2 / 3, rel=0.02)


def asked(**changes: object) -> CheckTraining:
    sums = {"guild": "1", "examples": 100, "wanted": 100, "tokens": 3000}
    return CheckTraining.model_validate({**sums, **changes})


def test_sums_are_enough_for_steps_and_tokens() -> None:
    told = foreseen(asked(hyperparameters={"epochs": 4}), shape(STARTER), [], gpu=False)
    assert (told.epochs, told.tokens, told.seconds) == (4, 4 * 3000, None)
    assert told.steps >= 4
    long = foreseen(asked(tokens=10**6), shape(STARTER), [], gpu=False)
    assert long.tokens >= long.epochs * 10**6


def test_time_is_told_from_what_such_jobs_did_before() -> None:
    def ended(speed: float, base: str | None = None) -> JobRecord:
        progress = Progress(step=9, steps=9, tokens_per_s=speed)
        job = a_job(base=base)
        return JobRecord(state=JobState.SUCCEEDED, job=job, progress=progress, updated_at=AT)

    before = [ended(100), ended(1000), ended(5000), ended(1, base="other")]
    told = foreseen(asked(), shape(STARTER), before, gpu=False)
    assert told.seconds == pytest.approx(told.tokens / 1000)
