"""What may come near the engine, and what may not: each with a code of its own."""

import json
import struct
from pathlib import Path

import pytest
import torch

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.contracts.models import MANIFEST, Probe
from chorus.common.errors import InvalidInput
from chorus.inference.generation.checks import (
    CONFIG,
    WEIGHTS,
    Served,
    check_answers,
    check_files,
    check_manifest,
    check_prompt,
    is_whole,
)
from chorus.inference.generation.weights import layers_of
from tests.unit.inference.shelves import (
    GOOD_TENSORS,
    LAYER,
    QUESTION,
    SERVED,
    TOKENIZER,
    described,
    manifest,
    written,
)


def test_what_fits_passes() -> None:
    check_manifest(manifest(), "1", SERVED)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"guild": "2"}, "other_guild"),
        ({"base": {"name": "starter", "fingerprint": "0" * 64}}, "wrong_base"),
        ({"rank": 64}, "rank_too_high"),
        ({"chat_template_sha256": "0" * 64}, "wrong_template"),
        ({"probes": [Probe(messages=QUESTION, prompt_sha256="0" * 64)]}, "wrong_tokens"),
        ({"files": [{"name": "../x", "size": 0, "sha256": "0" * 64}]}, "unsupported_adapter"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        check_manifest(manifest(**changes), "1", SERVED)
    assert error.value.code == code


def test_an_engine_without_adapters_says_so() -> None:
    with pytest.raises(InvalidInput, match="serves no adapters") as error:
        check_manifest(manifest(), "1", Served(SERVED.base, TOKENIZER, max_rank=0))
    assert error.value.code == "unsupported_adapter"


def test_a_whole_model_brings_its_base_along_and_is_its_guilds_alone() -> None:
    whole = manifest(form="whole", method="full", rank=0, base={"name": "x", "fingerprint": "0" * 64})
    check_manifest(whole, "1", SERVED)
    with pytest.raises(InvalidInput) as error:
        check_manifest(whole, "2", SERVED)
    assert error.value.code == "other_guild"


def test_a_plain_lora_passes(tmp_path: Path) -> None:
    check_files(written(tmp_path), manifest(), SERVED)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_in_each_number_format(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in GOOD_TENSORS.items()}
    check_files(written(tmp_path, tensors=tensors), manifest(), SERVED)


def refused(folder: Path) -> str:
    with pytest.raises(InvalidInput) as error:
        check_files(folder, manifest(), SERVED)
    assert error.value.code == "unsupported_adapter"
    return error.value.message


@pytest.mark.parametrize(
    "config",
    [
        {"use_dora": True},
        {"bias": "all"},
        {"lora_bias": True},
        {"modules_to_save": ["lm_head"]},
        {"init_lora_weights": "pissa"},
        {"layer_replication": [[0, 1]]},
        {"alora_invocation_tokens": [1]},
        {"trainable_token_indices": [1]},
        {"rank_pattern": {"up_proj": 64}},
        {"peft_type": "VERA"},
        {"r": 8},
        {"r": "many"},
        {"lora_alpha": float("inf")},
    ],
)
def test_options_that_the_engine_does_not_serve(tmp_path: Path, config: dict[str, object]) -> None:
    message = refused(written(tmp_path, config))
    assert next(iter(config)) in message or "another rank" in message


@pytest.mark.parametrize("data", [b"", b"[1]", b"{", b"\xff\xfe", b"null"])
def test_options_that_are_none(tmp_path: Path, data: bytes) -> None:
    (written(tmp_path) / CONFIG).write_bytes(data)
    assert CONFIG in refused(tmp_path)


def test_options_without_end(tmp_path: Path) -> None:
    (written(tmp_path) / CONFIG).write_text(json.dumps({"x": "y" * 2_000_000}))
    assert "too long" in refused(tmp_path)


def test_files_that_are_missing_or_too_many(tmp_path: Path) -> None:
    written(tmp_path)
    for files in (
        described(tmp_path)[:1],
        [*described(tmp_path), {"name": "x.bin", "size": 0, "sha256": "0" * 64}],
    ):
        with pytest.raises(InvalidInput) as error:
            check_files(tmp_path, manifest(files=files), SERVED)
        assert error.value.code == "unsupported_adapter"


A, B = f"{LAYER}.lora_A.weight", f"{LAYER}.lora_B.weight"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"base_model.model.lm_head.weight": torch.zeros(1)}, "lm_head.weight"),
        ({"base_model.model.model.embed_tokens.lora_embedding_A": torch.zeros(1)}, "embed_tokens"),
        ({f"{LAYER}.lora_magnitude_vector": torch.zeros(384)}, "magnitude"),
        ({A: torch.zeros(16, 128, dtype=torch.float64)}, "lora_A"),
        ({A: torch.zeros(16, 64)}, "made for another base model"),
        ({B: torch.zeros(385, 16)}, "385 × 128, the base model's 384 × 128"),
        ({A: torch.zeros(8, 128), B: torch.zeros(384, 8)}, "rank 16"),
        ({A: torch.zeros(16, 128, 1)}, "rank 16"),
        ({A.replace("layers.0", "layers.3"): torch.zeros(16, 128)}, "no pair"),
        ({n.replace("layers.0", "layers.3"): t.clone() for n, t in GOOD_TENSORS.items()}, "does not have"),
        ({A: torch.full((16, 128), torch.nan)}, "not finite"),
        ({B: torch.full((384, 16), -torch.inf, dtype=torch.bfloat16)}, "not finite"),
        ({B: torch.full((384, 16), torch.inf, dtype=torch.float16)}, "not finite"),
    ],
)
def test_weights_that_the_engine_does_not_serve_or_that_do_not_fit(
    tmp_path: Path, change: dict[str, torch.Tensor], what: str
) -> None:
    assert what in refused(written(tmp_path, tensors={**GOOD_TENSORS, **change}))


def test_no_weights_at_all(tmp_path: Path) -> None:
    assert "no weights" in refused(written(tmp_path, tensors={}))


@pytest.mark.parametrize(
    "data",
    [b"", b"short", b"\xff" * 100, struct.pack("<Q", 8) + b"not json", struct.pack("<Q", 2**40) + b"{}"],
)
def test_weights_that_are_no_safetensors(tmp_path: Path, data: bytes) -> None:
    (written(tmp_path) / WEIGHTS).write_bytes(data)
    assert "weights" in refused(tmp_path)


def test_weights_that_are_cut_off(tmp_path: Path) -> None:
    path = written(tmp_path) / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1])
    assert "no safetensors" in refused(tmp_path)


def test_layers_of_a_base_that_is_packed_are_not_known(tmp_path: Path) -> None:
    layers = layers_of(STARTER_FOLDER)
    assert layers is not None
    assert layers["layers.2.mlp.down_proj"] == (128, 384)
    (tmp_path / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}')
    assert layers_of(tmp_path) is None
    unknown = Served(SERVED.base, TOKENIZER, max_rank=32)
    check_files(
        written(tmp_path, tensors={A: torch.zeros(16, 7), B: torch.zeros(5, 16)}), manifest(), unknown
    )


def test_a_prompt_that_is_too_short() -> None:
    check_prompt([1, 2, 3, 4, 5], 6)
    with pytest.raises(InvalidInput) as error:
        check_prompt([1, 2, 3], 6)
    assert error.value.code == "prompt_too_short"
    assert str(error.value) == "The prompt has 3 tokens; at least 5 are needed."


def test_a_prompt_that_leaves_no_room() -> None:
    with pytest.raises(InvalidInput) as error:
        check_prompt([1, 2, 3, 4, 5], 5)
    assert error.value.code == "prompt_too_long"


def test_answers_that_would_be_the_same() -> None:
    check_answers(1, 0)
    check_answers(2, 0.1)
    check_answers(2, None)
    with pytest.raises(InvalidInput) as error:
        check_answers(2, 0)
    assert (error.value.code, error.value.param) == ("same_answers", "temperature")


def test_a_folder_is_whole_with_each_files_every_byte(tmp_path: Path) -> None:
    about = manifest(files=described(written(tmp_path)))
    (tmp_path / MANIFEST).write_bytes(b"{}")  # whose hash is the folder's name
    assert is_whole(tmp_path, about)


@pytest.mark.parametrize("damage", ["one byte", "shorter", "gone", "one more"])
def test_a_folder_is_not_whole(tmp_path: Path, damage: str) -> None:
    about = manifest(files=described(written(tmp_path)))
    weights = tmp_path / WEIGHTS
    data = weights.read_bytes()
    if damage == "gone":
        weights.unlink()
    elif damage == "one more":
        (tmp_path / "more.bin").write_bytes(b"")
    else:
        weights.write_bytes(data[:-1] + (b"\x01" if damage == "one byte" else b""))
    assert not is_whole(tmp_path, about)
