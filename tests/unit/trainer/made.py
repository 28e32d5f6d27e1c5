"""What a training tells of its result, and the job it did: for tests of what becomes of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.models import BaseModelId, Benchmark, Evaluation, Manifest, Probe, token_hash
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.training import Learned, TrainJob
from chorus.trainer.training.materials import Materials
from chorus.trainer.training.report import Made

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
SHA256 = "0" * 64
BASE = BaseModelId(name="starter", fingerprint=SHA256)


def a_job(job: str = "aaaaaaaaaa", **changes: Any) -> TrainJob:
    """A job of guild 1 on two datasets."""
    examples = ObjectRef(bucket="datasets", key="1/x", size=1, sha256=SHA256)
    data = [Learned(dataset=name, examples=examples) for name in ("club@3", "fixes@1")]
    return TrainJob(
        job=job, guild="1", model="main", data=data, submitted_by="42", submitted_at=AT
    ).model_copy(update=changes)


def made(**changes: Any) -> Made:
    """An adapter's facts."""
    look = {"perplexity": 9.5, "chrf": 31.25, "exact": 2, "replies": 10, "examples": 10, "held_out": False}
    return Made(
        base=BASE,
        method="lora",
        form="adapter",
        rank=16,
        step=20,
        chat_template_sha256=SHA256,
        eos_token_ids=[2],
        probes=[Probe(messages=[Turn(role="user", content="Hello!")], prompt_sha256=token_hash([1, 2]))],
        evaluation=Evaluation(loss_before=4.5, loss_after=0.25, held_out=False, examples=10),
        benchmarks=[
            Benchmark.model_validate({"name": "base", "step": 0, "epoch": 0, "loss": 4.5, **look}),
            Benchmark.model_validate({"name": "epoch 2", "step": 20, "epoch": 2, "loss": 0.25, **look}),
        ],
        hyperparameters={"learning_rate": 0.0005, "seed": 7, "max_seconds": None},
    ).model_copy(update=changes)


def materials(form: str = "adapter") -> Materials:
    """Of a training that goes on from a version of this form."""
    facts = made(rank=32, hyperparameters={"alpha": 64.0}).model_dump()
    manifest = Manifest.model_validate(
        {
            **facts,
            "form": form,
            "guild": "1",
            "name": "main",
            "files": [],
            "datasets": [],
            "contributors": [],
            "job": "aaaaaaaaaa",
            "created_at": AT,
        }
    )
    return Materials("starter", [], Path("parent"), [], manifest)
