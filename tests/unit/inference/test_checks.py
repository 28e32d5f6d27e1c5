"""What may come near the engine, and what may not: each with a code of its own."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER, STARTER_FOLDER, find
from chorus.common.chat import prompt_tokens, template_sha256
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.models import AdapterFile, Evaluation, Manifest, Probe, token_hash
from chorus.common.errors import InvalidInput
from chorus.common.objects import file_sha256
from chorus.inference.generation.checks import Served, check_files, check_manifest, check_prompt, is_whole

TOKENIZER: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER)
SERVED = Served(find(STARTER).id, TOKENIZER, max_rank=32)
QUESTION = [Turn(role="user", content="Hello!")]


def manifest(**changes: object) -> Manifest:
    good = {
        "guild": "1",
        "name": "main",
        "base": SERVED.base,
        "method": "lora",
        "rank": 16,
        "chat_template_sha256": template_sha256(TOKENIZER),
        "eos_token_ids": [2],
        "probes": [Probe(messages=QUESTION, prompt_sha256=token_hash(prompt_tokens(TOKENIZER, QUESTION)))],
        "files": [],
        "datasets": ["d@1"],
        "contributors": ["42"],
        "evaluation": Evaluation(loss_before=5, loss_after=1, held_out=False, examples=1),
        "hyperparameters": {},
        "job": "a" * 10,
        "created_at": datetime.now(UTC),
    }
    return Manifest.model_validate({**good, **changes})


def test_what_fits_passes() -> None:
    check_manifest(manifest(), "1", SERVED)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"guild": "2"}, "other_guild"),
        ({"form": "whole", "method": "full", "rank": 0}, "whole_model"),
        ({"base": {"name": "starter", "fingerprint": "0" * 64}}, "wrong_base"),
        ({"rank": 64}, "rank_too_high"),
        ({"chat_template_sha256": "0" * 64}, "wrong_template"),
        ({"probes": [Probe(messages=QUESTION, prompt_sha256="0" * 64)]}, "wrong_tokens"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        check_manifest(manifest(**changes), "1", SERVED)
    assert error.value.code == code


GOOD_CONFIG = {"r": 16, "bias": "none", "use_dora": False, "modules_to_save": None}
GOOD_TENSORS = {"base_model.model.model.layers.0.mlp.up_proj.lora_A.weight": torch.zeros(16, 4)}


def adapter(folder: Path, config: dict[str, object], tensors: dict[str, torch.Tensor]) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def test_a_plain_lora_passes(tmp_path: Path) -> None:
    check_files(adapter(tmp_path, GOOD_CONFIG, GOOD_TENSORS), manifest())


@pytest.mark.parametrize(
    ("config", "tensors"),
    [
        ({"use_dora": True}, {}),
        ({"bias": "all"}, {}),
        ({"modules_to_save": ["lm_head"]}, {}),
        ({"r": 8}, {}),
        ({}, {"base_model.model.lm_head.weight": torch.zeros(1)}),
        ({}, {"base_model.model.model.embed_tokens.lora_embedding_A": torch.zeros(1)}),
    ],
)
def test_what_the_engine_does_not_serve(
    tmp_path: Path, config: dict[str, object], tensors: dict[str, torch.Tensor]
) -> None:
    folder = adapter(tmp_path, {**GOOD_CONFIG, **config}, {**GOOD_TENSORS, **tensors})
    with pytest.raises(InvalidInput) as error:
        check_files(folder, manifest())
    assert error.value.code == "unsupported_adapter"


@pytest.mark.parametrize("data", [b"", b"short", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0not json"])
def test_weights_that_are_no_safetensors(tmp_path: Path, data: bytes) -> None:
    adapter(tmp_path, GOOD_CONFIG, GOOD_TENSORS)
    (tmp_path / "adapter_model.safetensors").write_bytes(data)
    with pytest.raises(InvalidInput) as error:
        check_files(tmp_path, manifest())
    assert error.value.code == "unsupported_adapter"


def test_a_prompt_that_is_too_short() -> None:
    check_prompt([1, 2, 3, 4, 5])
    with pytest.raises(InvalidInput) as error:
        check_prompt([1, 2, 3])
    assert error.value.code == "prompt_too_short"
    assert str(error.value) == "The prompt has 3 tokens; at least 5 are needed."


def test_a_folder_is_whole_with_each_files_every_byte(tmp_path: Path) -> None:
    paths = adapter(tmp_path, GOOD_CONFIG, GOOD_TENSORS).iterdir()
    files = [AdapterFile(name=p.name, size=p.stat().st_size, sha256=file_sha256(p)) for p in paths]
    assert is_whole(tmp_path, manifest(files=files))


@pytest.mark.parametrize("damage", ["one byte", "shorter", "gone", "one more"])
def test_a_folder_is_not_whole(tmp_path: Path, damage: str) -> None:
    paths = adapter(tmp_path, GOOD_CONFIG, GOOD_TENSORS).iterdir()
    files = [AdapterFile(name=p.name, size=p.stat().st_size, sha256=file_sha256(p)) for p in paths]
    weights = tmp_path / "adapter_model.safetensors"
    data = weights.read_bytes()
    if damage == "gone":
        weights.unlink()
    elif damage == "one more":
        (tmp_path / "more.bin").write_bytes(b"")
    else:
        weights.write_bytes(data[:-1] + (b"\x01" if damage == "one byte" else b""))
    assert not is_whole(tmp_path, manifest(files=files))
