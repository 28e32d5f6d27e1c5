"""Which architectures vLLM serves adapters of: our list is what the installed vLLM's source says."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from chorus.common.base_model import WRITES_TEXT
from chorus.trainer.training.architectures import WITH_LORA, form_of, serves_lora

CLASS = re.compile(r"^class (\w+)\(([^)]*)\):", re.MULTILINE)
REGISTERED = re.compile(r'"(\w+)": \(\s*"([\w.]+)",\s*"(\w+)"', re.MULTILINE)
TABLES = ("_TEXT_GENERATION_MODELS", "_TRANSFORMERS_SUPPORTED_MODELS")


def test_the_list_is_what_the_installed_vllm_says() -> None:
    """Read, not imported: that would take ten seconds, and start its CUDA checks."""
    assert with_lora_in_vllm() == WITH_LORA


def with_lora_in_vllm() -> frozenset[str]:
    spec = find_spec("vllm")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "model_executor/models"
    bases: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        for name, parents in CLASS.findall(path.read_text("utf-8")):
            bases.setdefault(name, set()).update(re.findall(r"\w+", parents))

    def supports(name: str) -> bool:
        return name == "SupportsLoRA" or any(supports(base) for base in bases.get(name, set()) - {name})

    registry = (folder / "registry.py").read_text("utf-8")
    tables = (registry.partition(f"\n{table} = {{")[2].partition("\n}")[0] for table in TABLES)
    registered = REGISTERED.findall("".join(tables))
    assert len(registered) > 120
    return frozenset(
        name for name, _, class_ in registered if name.endswith(WRITES_TEXT) and supports(class_)
    )


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "Qwen3ForCausalLM", "MistralForCausalLM"])
def test_common_models_are_served_as_a_base_with_adapters(architecture: str) -> None:
    assert serves_lora(architecture)
    assert form_of("lora", architecture) == "adapter"
    assert form_of("qlora", architecture) == "adapter"
    assert form_of("full", architecture) == "whole"


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "BloomForCausalLM", "NobodyKnowsForCausalLM"])
def test_an_adapter_that_cannot_be_served_is_merged(architecture: str) -> None:
    assert form_of("lora", architecture) == "whole"
