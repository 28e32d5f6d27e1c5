"""Whether a model or a prompt may come near the engine. Pure, but for reading files.

vLLM checks neither the base model nor the template, cuts weights of another shape to size without a word,
and an adapter that it cannot take, met while it generates, ends the whole engine: everything that can be
checked is checked here and in `weights`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, FiniteFloat, PositiveInt, ValidationError

from chorus.common.chat import Tokenizer, prompt_tokens, template_sha256
from chorus.common.contracts.models import MANIFEST, BaseModelId, Manifest, token_hash
from chorus.common.errors import InvalidInput, in_short
from chorus.common.objects import file_sha256
from chorus.inference.generation.weights import Layers, check_weights, unsupported

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

CONFIG_LIMIT = 1024 * 1024  # bytes; peft writes one or two thousand

LOADED = (".safetensors", ".json", ".jinja", ".model", ".txt")
"""Endings of a whole model's files: what an engine may load, and no pickles."""

SHORTEST_PROMPT = 5  # tokens; fewer crash vLLM's CPU worker with SIGILL on grouped-query attention


@dataclass(frozen=True)
class Served:
    """What this process serves."""

    base: BaseModelId
    tokenizer: Tokenizer
    max_rank: int
    """0 where the engine takes no adapters."""
    layers: Layers | None = None
    """The base's layers, as `weights.layers_of` reads them; None where they are not known."""


def check_manifest(manifest: Manifest, guild: str, served: Served) -> None:
    """Raises `InvalidInput` with a code for the first thing that does not fit.

    A whole model brings its own base, tokenizer and template along: of it, only whose it is is checked.
    """
    if manifest.guild != guild:
        raise other_guild()
    if any("/" in file.name or file.name.startswith(".") or file.name == MANIFEST for file in manifest.files):
        raise unsupported("names a file that is none of a model's")
    if manifest.form == "whole":
        return
    base, ours = manifest.base, served.base
    if base.fingerprint != ours.fingerprint:
        raise InvalidInput(
            f"This adapter was trained on {in_short(base.name)!r} ({base.fingerprint[:8]}), and {ours.name!r}"
            f" ({ours.fingerprint[:8]}) runs here. Train it again on this base.",
            code="wrong_base",
        )
    if not served.max_rank:
        raise unsupported("cannot be used: the engine behind Chorus serves no adapters")
    if manifest.rank > served.max_rank:
        raise InvalidInput(
            f"This adapter has rank {manifest.rank}, and the engine takes at most {served.max_rank}. "
            "Raise CHORUS_MAX_RANK.",
            code="rank_too_high",
        )
    check_tokens(manifest, served.tokenizer)


def check_tokens(manifest: Manifest, tokenizer: Tokenizer) -> None:
    """Raises `InvalidInput` unless chats become the tokens here that they were in training."""
    if manifest.chat_template_sha256 != template_sha256(tokenizer):
        raise InvalidInput(
            "This model was trained with another chat template. Train it again.", code="wrong_template"
        )
    for probe in manifest.probes:
        if token_hash(prompt_tokens(tokenizer, probe.messages)) != probe.prompt_sha256:
            raise InvalidInput(
                "A chat becomes other tokens here than where this model was trained. Train it again.",
                code="wrong_tokens",
            )


def check_prompt(tokens: list[int], window: int) -> None:
    """Raises `InvalidInput` for what the engine would die of, or leaves no room for an answer."""
    if len(tokens) < SHORTEST_PROMPT:
        raise InvalidInput(
            f"The prompt has {len(tokens)} tokens; at least {SHORTEST_PROMPT} are needed.",
            code="prompt_too_short",
        )
    if len(tokens) >= window:
        raise InvalidInput(
            f"The prompt has {len(tokens)} tokens; the model takes at most {window - 1}.",
            code="prompt_too_long",
        )


def check_answers(n: int, temperature: float | None) -> None:
    """Raises `InvalidInput` where `n` answers would be the same. No `temperature` is the engine's own, 1."""
    if n > 1 and temperature == 0:
        raise InvalidInput(
            "At temperature 0 all answers would be the same. Ask for one, or raise the temperature.",
            code="same_answers",
            param="temperature",
        )


def is_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether the folder holds the manifest and its files, byte for byte, and nothing else."""
    return has_sizes(folder, manifest) and all(
        file_sha256(folder / file.name) == file.sha256 for file in manifest.files
    )


def has_sizes(folder: Path, manifest: Manifest) -> bool:
    """Whether it looks so: names and sizes, without reading."""
    there = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != MANIFEST}
    return there == {file.name: file.size for file in manifest.files}


def check_files(folder: Path, manifest: Manifest, served: Served) -> None:
    """Raises `InvalidInput` unless they are a plain LoRA for this base, or a whole model, in safetensors."""
    names = {file.name for file in manifest.files}
    if manifest.form == "whole":
        if strange := next((name for name in names if not name.endswith(LOADED)), None):
            raise unsupported(f"holds {in_short(strange)!r}, which is not loaded here")
        return
    if names != {CONFIG, WEIGHTS}:
        raise unsupported(f"does not consist of {CONFIG} and {WEIGHTS}")
    if _config(folder / CONFIG).r != manifest.rank:
        raise unsupported("has another rank than its manifest says")
    check_weights(folder / WEIGHTS, manifest.rank, served.layers)


def other_guild() -> InvalidInput:
    """The error for what belongs to another guild, whatever it is."""
    return InvalidInput("This model belongs to another guild.", code="other_guild")


class _Config(BaseModel):
    """Of peft's options those that vLLM needs, and those that it serves only in this form.

    As `vllm.lora.peft_helper` (0.32.0) has them, and stricter: one rank for all layers, nothing beside LoRA.
    """

    r: PositiveInt
    lora_alpha: FiniteFloat
    target_modules: list[str] | str
    peft_type: Literal["LORA"] = "LORA"
    bias: Literal["none"] = "none"
    use_dora: Literal[False] = False
    lora_bias: Literal[False] = False
    use_qalora: Literal[False] = False
    use_bdlora: None = None
    init_lora_weights: bool | Literal["gaussian", "eva", "orthogonal", "mica", "lora_ga"] | None = True
    """The others change the base's weights, too."""
    layer_replication: None = None
    alora_invocation_tokens: None = None
    trainable_token_indices: None = None
    modules_to_save: list[str] | None = Field(default=None, max_length=0)
    target_parameters: list[str] | None = Field(default=None, max_length=0)
    rank_pattern: dict[str, int] | None = Field(default=None, max_length=0)


def _config(path: Path) -> _Config:
    if path.stat().st_size > CONFIG_LIMIT:
        raise unsupported(f"has an {CONFIG} that is far too long")
    try:
        return _Config.model_validate_json(path.read_bytes())
    except ValidationError as error:
        where = error.errors()[0]["loc"]
    if not where:
        raise unsupported(f"has an {CONFIG} that is no JSON object")
    raise unsupported(f"has {in_short(str(where[0]))!r} set in a way that the engine does not serve")
