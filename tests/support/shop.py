"""A guild's models, as the trainer publishes them and the gateway shows them, on real NATS and S3."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chorus.common.bus.state import Bucket
from chorus.common.contracts.datasets import DatasetRecord
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import (
    LOSSES,
    MODEL_CARD,
    SAMPLES,
    Manifest,
    ModelRecord,
    Parity,
    model_key,
)
from chorus.common.contracts.storage import MODELS, ObjectRef
from chorus.common.contracts.training import Committed, JobRecord, TrainJob
from chorus.common.objects import ObjectStore
from chorus.gateway.backends.models import BusModels
from chorus.gateway.backends.objects import S3Objects
from chorus.gateway.commands.context import Context
from chorus.gateway.frontends.cli.arguments import read
from chorus.gateway.frontends.cli.models import of_models
from chorus.trainer.datasets.checkpoints import Checkpoints
from chorus.trainer.training import publish
from chorus.trainer.training.lineage import Lineage
from chorus.trainer.training.materials import Materials
from tests.unit.gateway.fakes import World, told
from tests.unit.trainer.made import a_job, made

OF_ADA = Materials("starter", [], None, ["42"])
SAME = Parity(verdict="same", reason="it answers 2 fixed questions as in training")
DIFFERS = Parity(verdict="differs", reason="it answers 1 of 2 fixed questions otherwise than in training")


@dataclass
class Shop:
    """A trainer's side and a gateway's side of one guild's models."""

    guild: str
    store: ObjectStore
    records: Bucket[ModelRecord]
    settings: Bucket[GuildSettings]
    jobs: Bucket[JobRecord]
    datasets: Bucket[DatasetRecord]
    models: BusModels
    folder: Path

    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.jobs, Lineage(self.datasets, self.records, self.settings), self.store)

    def job(self, job: str = "aaaaaaaaaa") -> TrainJob:
        return a_job(job, guild=self.guild)

    async def stored(self, job: str = "aaaaaaaaaa", **facts: Any) -> tuple[Manifest, ObjectRef]:
        """Weights with their documents in S3."""
        files = ["adapter_config.json", "adapter_model.safetensors"]
        if facts.get("form") == "whole":
            files = ["config.json", "model.safetensors"]
        for name in (*files, LOSSES, SAMPLES, MODEL_CARD):
            (self.folder / name).write_text(f"{name} of {job} {facts}")
        manifest = publish.manifest_of(self.job(job), made(**facts), self.folder, OF_ADA, self.folder)
        return manifest, await publish.upload(self.store, manifest, self.folder, self.folder)

    async def published(
        self, job: str = "aaaaaaaaaa", parity: Parity = SAME, *, wanted: bool = True, **facts: Any
    ) -> tuple[bool, Manifest, Committed]:
        """A version, and whether it answers."""
        manifest, ref = await self.stored(job, **facts)
        voice, _ = await publish.succession(self.settings, self.guild)
        committed = Committed(manifest=ref, steps=9, seconds=1, voice_before=voice, promote=wanted)
        await publish.announce(self.records, manifest, committed)
        answers = await publish.promote(self.records, self.settings, manifest, committed, parity)
        return answers, manifest, committed

    async def record(self) -> ModelRecord:
        entry = await self.records.get(model_key(self.guild, "main"))
        assert entry is not None
        return entry.value

    async def voice(self) -> str | None:
        entry = await self.settings.get(self.guild)
        return entry.value.voice if entry else None

    async def folders(self) -> set[str]:
        """Where there are any files of models."""
        return {found.key.rpartition("/")[0] for found in await self.store.list(MODELS, f"{self.guild}/")}

    async def run(self, *words: str) -> str:
        """`chorus models …`: all that is shown."""
        world = World()
        chorus = dataclasses.replace(world.chorus, models=self.models, objects=S3Objects(self.store))
        ctx: Context = dataclasses.replace(world.context(guild=self.guild), chorus=chorus)
        words = ("models", *words)
        command = of_models(words)
        assert command is not None
        return await told(await command.run(ctx, read(command, words[2:])))
