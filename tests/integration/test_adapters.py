"""Adapters on a real vLLM: what is wrong with one has a code, the engine lives, and the others answer.

They are made by hand, of weights that change nothing: which one answers is told by the end message.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from chorus.common.bus.calls import ask, ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import (
    CANCEL,
    GENERATE,
    SERVED,
    Delta,
    End,
    Generate,
    GenerateReply,
    ListServed,
    Sampling,
    Served,
    Waiting,
)
from chorus.common.contracts.models import MANIFEST, ModelRecord, ModelVersion, Stale, model_key
from chorus.common.contracts.storage import MODELS as OBJECTS
from chorus.common.contracts.topology import MODELS
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError
from chorus.common.objects import ObjectStore, open_store
from chorus.common.settings import PREFIX, CommonSettings
from chorus.inference.settings import InferenceSettings
from chorus.trainer.training.publish import upload
from tests.support.chorus import RunningChorus
from tests.unit.inference.shelves import GOOD_TENSORS, LAYER, described, manifest, written

GUILD = "local"
REPLY: TypeAdapter[Waiting | Delta | End] = TypeAdapter(GenerateReply)
A, B = f"{LAYER}.lora_A.weight", f"{LAYER}.lora_B.weight"
NOTHING = {A: GOOD_TENSORS[A], B: torch.zeros(384, 16)}


class Place:
    """Where adapters are published, asked and looked for."""

    def __init__(
        self, chorus: RunningChorus, folder: Path, connection: Connection, records: Bucket[ModelRecord]
    ) -> None:
        given = chorus.environment("trainer")
        settings = {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
        self.store: ObjectStore = open_store(CommonSettings.model_validate(settings))
        self.cache = chorus.folder / "cache/adapters"
        self.folder = folder
        self.connection = connection
        self.records = records

    async def version(
        self,
        name: str,
        number: int = 1,
        *,
        config: dict[str, object] | None = None,
        tensors: dict[str, torch.Tensor] | None = None,
        **facts: Any,
    ) -> ModelVersion:
        """Upload an adapter; nobody knows of it yet."""
        folder = self.folder / f"{name}-{number}"
        folder.mkdir()
        written(folder, config, {**NOTHING, **(tensors or {})})
        about = {"guild": GUILD, "name": name, "files": described(folder), "step": number, **facts}
        made = manifest(**about)
        ref = await upload(self.store, made, folder, folder)
        return ModelVersion(
            version=number,
            manifest=ref,
            base=made.base,
            dataset="club@1",
            job=made.job,
            created_at=now(),
        )

    async def publish(self, name: str, *versions: ModelVersion, **aliases: int) -> None:
        new = ModelRecord(
            guild=GUILD, name=name, versions=list(versions), aliases=aliases or {"prod": 1, "latest": 1}
        )
        await self.records.change(model_key(GUILD, name), lambda _: new, initial=new)

    async def ask(self, model: str | None) -> str:
        """Who answers, or the code of what is wrong."""
        question = Generate(
            guild=GUILD,
            model=model,
            messages=[Turn(role="user", content="Hello!")],
            sampling=Sampling(temperature=0, max_tokens=4),
        )
        try:
            async with aclosing(
                ask_stream(self.connection, GENERATE, question, REPLY, cancel=CANCEL)
            ) as replies:
                said = [piece async for piece in replies]
        except ChorusError as error:
            return error.code
        assert isinstance(said[-1], End)
        return said[-1].model

    async def at_hand(self) -> Served:
        return await ask(self.connection, SERVED, ListServed(guild=GUILD), Served)

    def on_disk(self, version: ModelVersion) -> Path:
        return self.cache / version.manifest.sha256


@pytest.fixture
async def place(chorus: RunningChorus, tmp_path: Path) -> AsyncIterator[Place]:
    async with chorus.connected("operator") as operator, chorus.connected("trainer") as trainer:
        yield Place(chorus, tmp_path, operator, await open_bucket(trainer, MODELS, ModelRecord))


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await true():
            await asyncio.sleep(0.05)


SMALL = {A: torch.ones(16, 64), B: torch.zeros(192, 16)}
"""Of a base half as wide: vLLM loads them, and fills up with zeros."""

BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "base": ({"base": {"name": "other", "fingerprint": "0" * 64}}, "wrong_base"),
    "rank": ({"rank": 64, "config": {"r": 64}}, "rank_too_high"),
    "template": ({"chat_template_sha256": "0" * 64}, "wrong_template"),
    "shape": ({"tensors": SMALL}, "unsupported_adapter"),
    "dora": ({"config": {"use_dora": True}}, "unsupported_adapter"),
    "bias": ({"config": {"bias": "all"}}, "unsupported_adapter"),
    "head": ({"tensors": {"base_model.model.lm_head.weight": torch.zeros(2048, 128)}}, "unsupported_adapter"),
    "nan": ({"tensors": {B: torch.full((384, 16), torch.nan)}}, "unsupported_adapter"),
    "module": (
        {"tensors": {n.replace("up_proj", "nothing"): t.clone() for n, t in NOTHING.items()}},
        "unsupported_adapter",
    ),
}
"""What vLLM refuses, and what it would serve as nonsense. Only the last one is left for vLLM to refuse."""


async def test_what_is_wrong_has_a_code_and_the_engine_lives(place: Place) -> None:
    for name, (facts, _) in BROKEN.items():
        await place.publish(f"bad-{name}", await place.version(f"bad-{name}", **facts))
    missing, corrupt = await place.version("bad-missing"), await place.version("bad-corrupt")
    weights = corrupt.manifest.key.replace(MANIFEST, "adapter_model.safetensors")
    await place.store.put(OBJECTS, weights, b"others")
    await place.store.delete(OBJECTS, [missing.manifest.key.replace(MANIFEST, "adapter_config.json")])
    await place.publish("bad-missing", missing)
    await place.publish("bad-corrupt", corrupt)
    await place.publish("good", await place.version("good"))

    names = [*(f"bad-{name}" for name in BROKEN), "bad-missing", "bad-corrupt", "good", None]
    said = dict(zip(names, await asyncio.gather(*(place.ask(name) for name in names)), strict=True))
    assert said == {
        **{f"bad-{name}": code for name, (_, code) in BROKEN.items()},
        "bad-missing": "no_object",
        "bad-corrupt": "object_corrupt",
        "good": "good@1",
        None: "starter",
    }
    assert not list(place.cache.glob(".*")), "nothing half-made is left"
    assert not place.on_disk(corrupt).exists()


async def test_the_version_before_stands_in_for_a_name_alone(place: Place) -> None:
    first, second = await place.version("turn"), await place.version("turn", 2)
    await place.store.delete(OBJECTS, [second.manifest.key])
    await place.publish("turn", first, second, prod=2, latest=2, previous=1)
    assert await place.ask("turn") == "turn@1"
    assert await place.ask("turn@2") == "no_object"


async def test_more_than_the_engine_holds_and_folders_that_somebody_removed(place: Place) -> None:
    """Each of the two ends vLLM, where it has to look for an adapter that it had put out of its memory."""
    capacity = InferenceSettings.model_fields["adapters_in_memory"].default
    names = [f"many-{number}" for number in range(capacity + 4)]
    versions = await asyncio.gather(*(place.version(name) for name in names))
    await asyncio.gather(*(place.publish(*each) for each in zip(names, versions, strict=True)))
    assert await asyncio.gather(*map(place.ask, names)) == [f"{name}@1" for name in names]

    async def is_full() -> bool:
        served = await place.at_hand()
        assert served.resident <= served.capacity == capacity
        return served.resident == capacity

    await until(is_full)
    for version in versions:
        shutil.rmtree(place.on_disk(version))
    assert await asyncio.gather(*map(place.ask, reversed(names))) == [f"{name}@1" for name in reversed(names)]
    assert await place.ask(None) == "starter"


async def test_a_new_version_is_loaded_before_anybody_asks(place: Place) -> None:
    await place.publish("fresh", await place.version("fresh"))

    async def is_there() -> bool:
        states = {model.model: model.state for model in (await place.at_hand()).models}
        return states.get("fresh@1") == "resident"

    await until(is_there)
    assert await place.ask("fresh") == "fresh@1"


async def test_nothing_of_a_blocked_one_stays_on_this_machine(place: Place) -> None:
    version = await place.version("withdrawn")
    await place.publish("withdrawn", version)
    assert await place.ask("withdrawn") == "withdrawn@1"
    assert place.on_disk(version).exists()
    blocked = version.model_copy(
        update={"stale": Stale(since=now(), blocked_at=now() - timedelta(seconds=1))}
    )
    await place.publish("withdrawn", blocked)

    async def is_gone() -> bool:
        return not place.on_disk(version).exists()

    await until(is_gone)
    assert await place.ask("withdrawn") == "model_withdrawn"
    assert "withdrawn@1" not in {model.model for model in (await place.at_hand()).models}
