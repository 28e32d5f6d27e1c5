"""Models a guild has trained: versions, aliases and the manifest that makes an adapter servable.

    KV models  <guild>.<name>                       ModelRecord
    S3 models  <guild>/<name>/<sha256>/…            the model's files and documents, manifest.json last

`latest` is the newest version, `prod` the one that answers, `previous` what `prod` was before. A version
holds the weights that did best; where the last step's are others, they are `main@3-final` (and `main@final`
those of `prod`). While a job
runs, its newest checkpoint is `main@<job>`, and the one after its second epoch `main@<job>-2`.
"""

import hashlib
import re
from datetime import datetime
from itertools import chain
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

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
    """A fixed question that proves that training and serving are one.

    The same chat becomes the same tokens, and the same greedy choice of the next ones.
    """

    messages: list[Turn]
    prompt_sha256: Sha256
    """Of the prompt's token ids, as `token_hash` counts them."""
    reply_chars: NonNegativeInt = 0
    """Characters that the trainer's model wrote, greedily, before the first token that was a near tie."""
    reply_sha256: Sha256 | None = None
    """Of these characters in UTF-8, and not the words: they may be somebody's. None where nothing is sure."""
    whole: bool = False
    """Whether that is all of the reply, its end included."""


class Parity(Part):
    """Whether the served model answers the probes as the trained one did."""

    verdict: Literal["same", "differs", "unchecked"]
    reason: str
    """In words for people."""


class Evaluation(Part):
    """Loss in nats a token on the same examples, before and after."""

    loss_before: NonNegativeFloat
    loss_after: NonNegativeFloat
    held_out: bool
    examples: PositiveInt


class Benchmark(Part):
    """One look at what a model can do, in numbers: no words of anybody are in it."""

    name: str
    """`base`, `epoch 2`."""
    step: NonNegativeInt
    epoch: NonNegativeInt
    loss: NonNegativeFloat
    """Nats a token, of the replies."""
    perplexity: NonNegativeFloat
    chrf: NonNegativeFloat | None = None
    """Of greedy replies against the real ones, 0 to 100 (Popović 2015, as sacrebleu counts it)."""
    exact: NonNegativeInt = 0
    """Greedy replies that are the real ones, letter by letter."""
    replies: NonNegativeInt = 0
    """How many were written for it."""
    examples: PositiveInt
    held_out: bool
    """Whether on examples kept out of training."""


class Sample(Part):
    """One question with what was answered before and after, beside what a person wrote."""

    messages: list[Turn]
    before: str
    after: str
    expected: str | None = None
    """None for a fixed probe."""


class Samples(Part):
    """Replies to look at; deleted with the words they came from."""

    samples: list[Sample]


class AdapterFile(Part):
    """One file of a model."""

    name: str
    size: NonNegativeInt
    sha256: Sha256


LOSSES, SAMPLES, MODEL_CARD = "losses.csv", "samples.json", "README.md"
"""Documents beside a model's files."""


class Manifest(Wire):
    """Everything the serving side checks before it lets a model near the engine."""

    guild: Guild
    name: Name
    base: BaseModelId
    method: Literal["lora", "qlora", "full"]
    form: Literal["adapter", "whole"] = "adapter"
    """`whole`: a model of its own, for method `full` and where vLLM serves no adapters of the base."""
    rank: NonNegativeInt
    """0 where there is no adapter."""
    chat_template_sha256: Sha256
    eos_token_ids: list[int]
    probes: list[Probe]
    files: list[AdapterFile]
    """What the engine reads."""
    documents: list[AdapterFile] = Field(default=[])
    """What people read: losses, samples, the model card."""
    datasets: list[str]
    contributors: list[str]
    parent: str | None = None
    """The version that it went on from."""
    imitates: bool = False
    """Whether it has learned to answer as one person would, or goes on from what has."""
    step: NonNegativeInt = 0
    """The step whose weights these are."""
    evaluation: Evaluation
    benchmarks: list[Benchmark] = Field(default=[])
    hyperparameters: dict[str, float | int | str | bool | None]
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
    label: str | None = None
    """What a checkpoint is called in place of a number: `3-final`, `k7f3m2qxab-2`."""
    form: Literal["adapter", "whole"] = "adapter"
    base: BaseModelId
    imitates: bool = False
    """Whether it answers as a person would: whatever it says is labelled as AI where people read it."""
    dataset: str
    job: JobId
    created_at: Time
    parity: Parity | None = None
    stale: Stale | None = None

    @property
    def tag(self) -> str:
        """What follows the `@`."""
        return self.label or str(self.version)

    def is_blocked(self, at: datetime) -> bool:
        """Whether it may not answer any more."""
        return self.stale is not None and self.stale.blocked_at <= at


class ModelRecord(Wire):
    """All versions of one name, oldest first, and where the aliases point."""

    guild: Guild
    name: Name
    versions: list[ModelVersion]
    checkpoints: list[ModelVersion] = Field(default=[])
    """Oldest first: weights of a step that is no version, to be talked to by their labels. The `version` of
    a running job's is the number of the epoch."""
    aliases: dict[str, PositiveInt]

    def find(self, selector: str) -> ModelVersion | None:
        """The version that a number, an alias, a label or a job's id means.

        `best` and `final` are those of `prod`. `3-final` is version 3 itself where the last step's weights
        are the best ones. A job's id means what it made, or, while it runs, its newest checkpoint.
        """
        if selector in ("best", "final"):
            selector = f"prod-{selector}"
        alias, dash, which = selector.partition("-")
        selector = f"{self.aliases.get(alias, alias)}{dash}{which}"
        if (number := selector.removesuffix("-best")).isdigit():
            return next((v for v in self.versions if v.version == int(number)), None)
        ended = [version for version in self.versions if version.job == selector]
        of_job = (v for v in reversed(self.checkpoints) if v.label and selector in (v.label, v.job))
        if (found := next(chain(ended, of_job), None)) is None and selector.endswith("-final"):
            return self.find(selector.removesuffix("-final"))
        return found

    def imitates(self, selector: str) -> bool:
        """Whether what answers when `selector` is asked does so as a person would, or may do so.

        Where `prod` cannot answer, what was `prod` before stands in for it.
        """
        asked = (selector, "previous") if selector == "prod" else (selector,)
        return any(version is not None and version.imitates for version in map(self.find, asked))

    def marked(self, stale: "Stale", jobs: set[str]) -> "ModelRecord":
        """The record with all that came from these jobs marked as stale; an earlier deadline stands."""

        def mark(versions: list[ModelVersion]) -> list[ModelVersion]:
            return [
                v.model_copy(update={"stale": v.stale or stale}) if v.job in jobs else v for v in versions
            ]

        return self.model_copy(
            update={"versions": mark(self.versions), "checkpoints": mark(self.checkpoints)}
        )

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
    """`name`, `name@3`, `name@previous`, `name@3-final`, `name@best` as (name, selector): else `prod`."""
    match = re.fullmatch(rf"({NAME})(?:@([a-z0-9]{{1,10}}(?:-[a-z0-9]{{1,6}})?))?", text)
    if match is None:
        raise InvalidInput(
            f"{text!r} is not a model's name. Write `name`, `name@3` or `name@previous`.",
            code="invalid_model_name",
            param="model",
        )
    return match[1], match[2] or "prod"


def refuse_whole(model: str) -> InvalidInput:
    """The error for a whole model that is asked where inference starts no engines for such."""
    return InvalidInput(
        f"{model} is a whole model, and inference starts no engines for those here. "
        f"Set CHORUS_WHOLE_MODELS=1, or write it to a folder with `chorus models export {model} --to FOLDER` "
        "and start Chorus with CHORUS_BASE_MODEL=FOLDER.",
        code="whole_model",
        param="model",
    )


def token_hash(token_ids: list[int]) -> str:
    """sha256 of token ids, each as four bytes, little-endian."""
    return hashlib.sha256(b"".join(token.to_bytes(4, "little") for token in token_ids)).hexdigest()
