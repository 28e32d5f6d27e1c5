"""Whether an adapter or a prompt may come near the engine. Pure.

vLLM checks neither the base model nor the template, and an adapter that it cannot take, met while it
generates, ends the whole engine: everything that can be checked is checked here.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from chorus.common.chat import Tokenizer, prompt_tokens, template_sha256
from chorus.common.contracts.models import BaseModelId, Manifest, refuse_whole, token_hash
from chorus.common.errors import InvalidInput
from chorus.common.objects import file_sha256

PLAIN = {
    "bias": "none",
    "use_dora": False,
    "modules_to_save": None,
    "lora_bias": False,
    "layer_replication": None,
}
"""Of peft's options those that vLLM serves only in this form."""

SHORTEST_PROMPT = 5  # tokens; fewer crash vLLM's CPU worker with SIGILL on grouped-query attention


@dataclass(frozen=True)
class Served:
    """What this process serves."""

    base: BaseModelId
    tokenizer: Tokenizer
    max_rank: int


def check_manifest(manifest: Manifest, guild: str, served: Served) -> None:
    """Raises `InvalidInput` with a code for the first thing that does not fit."""
    base, ours = manifest.base, served.base
    if manifest.guild != guild:
        raise InvalidInput("This adapter belongs to another guild.", code="other_guild")
    if manifest.form == "whole":
        raise refuse_whole(manifest.name)
    if base.fingerprint != ours.fingerprint:
        raise InvalidInput(
            f"This adapter was trained on {base.name!r} ({base.fingerprint[:8]}), and {ours.name!r} "
            f"({ours.fingerprint[:8]}) runs here. Train it again on this base.",
            code="wrong_base",
        )
    if manifest.rank > served.max_rank:
        raise InvalidInput(
            f"This adapter has rank {manifest.rank}, and the engine takes at most {served.max_rank}. "
            "Raise CHORUS_MAX_RANK.",
            code="rank_too_high",
        )
    if manifest.chat_template_sha256 != template_sha256(served.tokenizer):
        raise InvalidInput(
            "This adapter was trained with another chat template. Train it again.", code="wrong_template"
        )
    for probe in manifest.probes:
        if token_hash(prompt_tokens(served.tokenizer, probe.messages)) != probe.prompt_sha256:
            raise InvalidInput(
                "A chat becomes other tokens here than where this adapter was trained. Train it again.",
                code="wrong_tokens",
            )


def check_prompt(tokens: list[int]) -> None:
    """Raises `InvalidInput` for what the engine would die of."""
    if len(tokens) < SHORTEST_PROMPT:
        raise InvalidInput(
            f"The prompt has {len(tokens)} tokens; at least {SHORTEST_PROMPT} are needed.",
            code="prompt_too_short",
        )


def is_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether the folder holds the manifest's files, byte for byte, and nothing else."""
    there = {path.name: path for path in folder.iterdir()}
    return there.keys() == {file.name for file in manifest.files} and all(
        there[file.name].stat().st_size == file.size and file_sha256(there[file.name]) == file.sha256
        for file in manifest.files
    )


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raises `InvalidInput` unless the files are a plain LoRA in safetensors, whole."""
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    for option, value in PLAIN.items():
        if config.get(option, value) not in (value, [] if value is None else value):
            raise InvalidInput(
                f"This adapter uses {option}, which the engine does not serve.", code="unsupported_adapter"
            )
    if config.get("r") != manifest.rank:
        raise InvalidInput("This adapter's rank is not what its manifest says.", code="unsupported_adapter")
    names = tensor_names(folder / "adapter_model.safetensors")
    strange = next((n for n in names if not n.endswith((".lora_A.weight", ".lora_B.weight"))), None)
    if strange:
        raise InvalidInput(
            f"This adapter holds {strange!r}, which the engine does not serve.", code="unsupported_adapter"
        )


def tensor_names(path: Path) -> list[str]:
    """Names of the tensors in a safetensors file. Raises `InvalidInput` when it is none."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(size, path.stat().st_size)))
        return [name for name in header if name != "__metadata__"]
    except (ValueError, struct.error):
        raise InvalidInput(
            "This adapter's weights are no safetensors file.", code="unsupported_adapter"
        ) from None
