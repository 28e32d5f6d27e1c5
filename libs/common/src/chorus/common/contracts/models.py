"""Models a guild has trained: versions, aliases and the manifest that makes an adapter servable.

    KV models  <guild>.<name>                       ModelRecord
    S3 models  <guild>/<name>/<sha256>/…            the adapter's files, manifest.json last

`latest` is the newest version, `prod` the one that answers, `previous` what `prod` was before.
"""

import hashlib
import re
from datetime import datetime
from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.names import NAME, Guild, JobId, Name, Sha256
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import Part, Time, Wire
from chorus.common.errors import InvalidInput

BASE = "base"
"""The word for the base model itself, where a model can be named."""

MANIFEST = "manifest.json"


class BaseModelId(Part):
    """A base model, exactly: an adapter fits only the base it was trained on."""

    name: str
    fingerprint: Sha256
    """Over the configuration, the tokenizer and the layout of the weights."""


class Probe(Part):
    """A fixed question that proves training and serving turn the same chat into the same tokens."""

    messages: list[Turn]
    prompt_sha256: Sha256
    """Of the prompt's token ids, as `token_hash` counts them."""


class Evaluation(Part):
    """Loss in nats a token on the same examples, before and after."""

    loss_before: NonNegativeFloat
    loss_after: NonNegativeFloat
    held_out: bool
    examples: PositiveInt


class AdapterFile(Part):
    """One file of an adapter."""

    name: str
    size: NonNegativeInt
    sha256: Sha256


class Manifest(Wire):
    """Everything the serving side checks before it lets an adapter near the engine."""

    guild: Guild
    name: Name
    base: BaseModelId
    method: Literal["lora"]
    rank: PositiveInt
    chat_template_sha256: Sha256
    eos_token_ids: list[int]
    probes: list[Probe]
    files: list[AdapterFile]
    datasets: list[str]
    contributors: list[str]
    evaluation: Evaluation
    hyperparameters: dict[str, float | int | str]
    job: JobId
    created_at: Time


class Stale(Part):
    """Somebody's words that this version learned from were deleted."""

    since: Time
    blocked_at: Time
    """From then on it does not answer, and its files are deleted."""


class ModelVersion(Part):
    """One immutable version; `manifest` leads to its files."""

    version: PositiveInt
    manifest: ObjectRef
    base: BaseModelId
    dataset: str
    job: JobId
    created_at: Time
    stale: Stale | None = None

    def is_blocked(self, at: datetime) -> bool:
        """Whether it may not answer any more."""
        return self.stale is not None and self.stale.blocked_at <= at


class ModelRecord(Wire):
    """All versions of one name, oldest first, and where the aliases point."""

    guild: Guild
    name: Name
    versions: list[ModelVersion]
    aliases: dict[str, PositiveInt]

    def find(self, selector: str) -> ModelVersion | None:
        """The version that a number or an alias names."""
        number = int(selector) if selector.isdigit() else self.aliases.get(selector)
        return next((v for v in self.versions if v.version == number), None)

    def promote(self, version: int) -> "ModelRecord":
        """The record with `prod` moved to `version`, and `previous` to where `prod` was."""
        if self.aliases.get("prod") == version:
            return self
        aliases = {**self.aliases, "prod": version}
        if "prod" in self.aliases:
            aliases["previous"] = self.aliases["prod"]
        return self.model_copy(update={"aliases": aliases})


def model_key(guild: str, name: str) -> str:
    """Key of a model's entry."""
    return f"{guild}.{name}"


def parse_model(text: str) -> tuple[str, str]:
    """`name`, `name@3` or `name@previous` as (name, selector); the selector defaults to `prod`."""
    match = re.fullmatch(rf"({NAME})(?:@([a-z]+|[0-9]{{1,6}}))?", text)
    if match is None:
        raise InvalidInput(
            f"{text!r} is not a model's name. Write `name`, `name@3` or `name@previous`.",
            code="invalid_model_name",
            param="model",
        )
    return match[1], match[2] or "prod"


def token_hash(token_ids: list[int]) -> str:
    """sha256 of token ids, each as four bytes, little-endian."""
    return hashlib.sha256(b"".join(token.to_bytes(4, "little") for token in token_ids)).hexdigest()
