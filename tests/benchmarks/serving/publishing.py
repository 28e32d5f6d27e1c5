"""Adapters as a trainer publishes them: files and manifest in S3, then a record in KV."""

from pathlib import Path

from transformers import AutoTokenizer

from chorus.common import base_model
from chorus.common.bus.state import Bucket
from chorus.common.chat import prompt_tokens, template_sha256
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.models import (
    AdapterFile,
    Evaluation,
    Manifest,
    ModelRecord,
    ModelVersion,
    Probe,
    model_key,
    token_hash,
)
from chorus.common.contracts.wire import now
from chorus.common.objects import ObjectStore, file_sha256
from chorus.trainer.training.publish import upload
from tests.benchmarks.serving.models import RANK

JOB = "benchmarks"
PROBE = [Turn(role="user", content="Who are you?")]


class Publisher:
    """Publishes adapters of one base."""

    def __init__(self, store: ObjectStore, models: Bucket[ModelRecord], base: Path) -> None:
        self._store = store
        self._models = models
        self._base = base_model.find(str(base)).id
        tokenizer = AutoTokenizer.from_pretrained(base)
        self._template = template_sha256(tokenizer)
        self._probe = Probe(messages=PROBE, prompt_sha256=token_hash(prompt_tokens(tokenizer, PROBE)))

    async def upload(self, guild: str, name: str, folder: Path, *, version: int = 1) -> ModelVersion:
        """Put an adapter's files; nobody knows of it yet."""
        manifest = self._manifest(guild, name, folder, version)
        return ModelVersion(
            version=version,
            manifest=await upload(self._store, manifest, folder, folder),
            base=self._base,
            dataset="none@1",
            job=JOB,
            created_at=now(),
        )

    async def publish(self, guild: str, name: str, versions: list[ModelVersion], *, prod: int = 1) -> None:
        """Say in KV which versions there are, and which one answers."""
        aliases = {"latest": versions[-1].version, "prod": prod}
        record = ModelRecord(guild=guild, name=name, versions=versions, aliases=aliases)
        await self._models.change(model_key(guild, name), lambda _: record, initial=record)

    def _manifest(self, guild: str, name: str, folder: Path, version: int) -> Manifest:
        files = [folder / "adapter_config.json", folder / "adapter_model.safetensors"]
        return Manifest(
            guild=guild,
            name=name,
            base=self._base,
            method="lora",
            rank=RANK,
            chat_template_sha256=self._template,
            eos_token_ids=[2],
            probes=[self._probe],
            files=[
                AdapterFile(name=path.name, size=path.stat().st_size, sha256=file_sha256(path))
                for path in files
            ],
            datasets=[],
            contributors=[],
            step=version,
            evaluation=Evaluation(loss_before=1, loss_after=1, held_out=False, examples=1),
            hyperparameters={},
            job=JOB,
            created_at=now(),
        )
