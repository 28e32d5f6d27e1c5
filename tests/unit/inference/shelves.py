"""Adapters for the starter, a store to fetch them from, and an engine as easily killed as vLLM, in memory."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER, STARTER_FOLDER, find
from chorus.common.chat import prompt_tokens, template_sha256
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.models import (
    MANIFEST,
    AdapterFile,
    Evaluation,
    Manifest,
    ModelVersion,
    Probe,
    token_hash,
)
from chorus.common.contracts.storage import MODELS, ObjectRef
from chorus.common.contracts.wire import encode
from chorus.common.errors import ChorusError, NotFound, Unavailable
from chorus.common.objects import CorruptObject, ObjectStore, file_sha256
from chorus.inference.generation.catalogue import Found
from chorus.inference.generation.checks import CONFIG, WEIGHTS, Served
from chorus.inference.generation.disk import Disk
from chorus.inference.generation.ports import Adapter, Piece, Work
from chorus.inference.generation.shelf import Shelf
from chorus.inference.generation.weights import layers_of

AT = datetime(2026, 1, 2, tzinfo=UTC)
TOKENIZER: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER)
SERVED = Served(find(STARTER).id, TOKENIZER, max_rank=32, layers=layers_of(STARTER_FOLDER))
QUESTION = [Turn(role="user", content="Hello!")]

LAYER = "base_model.model.model.layers.0.mlp.up_proj"
GOOD_CONFIG = {"r": 16, "lora_alpha": 16, "target_modules": ["up_proj"], "bias": "none", "use_dora": False}
GOOD_TENSORS = {f"{LAYER}.lora_A.weight": torch.ones(16, 128), f"{LAYER}.lora_B.weight": torch.ones(384, 16)}


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
        "files": [AdapterFile(name=name, size=0, sha256="0" * 64) for name in (CONFIG, WEIGHTS)],
        "datasets": ["d@1"],
        "contributors": ["42"],
        "evaluation": Evaluation(loss_before=5, loss_after=1, held_out=False, examples=1),
        "hyperparameters": {},
        "job": "a" * 10,
        "created_at": AT,
    }
    return Manifest.model_validate({**good, **changes})


def written(
    folder: Path, config: dict[str, object] | None = None, tensors: dict[str, torch.Tensor] | None = None
) -> Path:
    """A good adapter in a folder, or what becomes of one with other options and tensors."""
    (folder / CONFIG).write_text(json.dumps({**GOOD_CONFIG, **(config or {})}))
    save_file(GOOD_TENSORS if tensors is None else tensors, folder / WEIGHTS)
    return folder


def described(folder: Path) -> list[AdapterFile]:
    return [
        AdapterFile(name=path.name, size=path.stat().st_size, sha256=file_sha256(path))
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    ]


class Store(ObjectStore):
    """What a shelf reads of the object store."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.gets = Counter[str]()
        self.wrong: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def get(self, ref: ObjectRef) -> bytes:
        self.gets[ref.key] += 1
        await self.open.wait()
        if self.wrong is not None:
            raise self.wrong
        if ref.key not in self.objects:
            raise NotFound(f"The object {ref.key} does not exist.", code="no_object")
        data = self.objects[ref.key]
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise CorruptObject(f"{ref.key} is not what was stored.")
        return data

    async def get_file(self, ref: ObjectRef, path: Path) -> None:
        path.write_bytes(await self.get(ref))

    def replace(self, found: Found, data: bytes) -> ObjectRef:
        """Put another manifest in a version's place."""
        changes = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        self.objects[found.version.manifest.key] = data
        return found.version.manifest.model_copy(update=changes)

    def publish(self, folder: Path, name: str = "main", number: int = 1, **changes: Any) -> Found:
        """Store what is in a folder as a version that nobody has fetched yet."""
        about = manifest(name=name, files=described(folder), **changes)
        data = encode(about)
        place = f"{about.guild}/{name}/{hashlib.sha256(data).hexdigest()}/"
        for file in about.files:
            self.objects[place + file.name] = (folder / file.name).read_bytes()
        self.objects[place + MANIFEST] = data
        sha256 = hashlib.sha256(data).hexdigest()
        version = ModelVersion(
            version=number,
            manifest=ObjectRef(bucket=MODELS, key=place + MANIFEST, size=len(data), sha256=sha256),
            form=about.form,
            base=about.base,
            dataset="d@1",
            job="a" * 10,
            created_at=AT,
        )
        return Found(f"{name}@{number}", version)


def shelf_of(store: Store, folder: Path, limit: int = 10**9) -> Shelf:
    return Shelf(store, SERVED, Disk(folder, limit))


def size_of(store: Store, found: Found) -> int:
    """Bytes of a published version."""
    place = found.version.manifest.key.removesuffix(MANIFEST)
    return sum(len(data) for key, data in store.objects.items() if key.startswith(place))


class StrictEngine:
    """It dies as vLLM does: of an adapter in `generate` that it has not, or whose folder is gone."""

    window, max_rank = 64, 32

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.loaded: dict[str, Path] = {}
        self.loads = Counter[str]()
        self.canaries = 0
        self.answering = Counter[str]()
        self.dead: str | None = None
        self.refuses: ChorusError | Exception | None = None
        self.fatal: str | None = None
        """The adapter that ends it by its first answer."""
        self.unloads: list[str] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    def die(self, why: str) -> None:
        self.dead = self.dead or why
        raise Unavailable(why, code="engine_died")

    def _check(self, adapter: Adapter) -> None:
        if self.loaded.get(adapter.sha256) != adapter.folder:
            self.die(f"{adapter.name} is not loaded")
        if not (adapter.folder / WEIGHTS).exists():
            self.die(f"the folder of {adapter.name} is gone")

    async def load(self, adapter: Adapter) -> None:
        await asyncio.sleep(0)
        if self.refuses is not None:
            raise self.refuses
        assert adapter.sha256 not in self.loaded, "loaded twice"
        self.loaded[adapter.sha256] = adapter.folder
        self.loads[adapter.name] += 1
        self._check(adapter)
        if len(self.loaded) > self.capacity:
            self.die("more adapters than it holds")

    async def unload(self, adapter: Adapter) -> None:
        assert not self.answering[adapter.sha256], "unloaded in mid-answer"
        await asyncio.sleep(0)
        self.unloads.append(adapter.name)
        self.loaded.pop(adapter.sha256, None)

    async def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        adapter = work.adapter
        assert adapter is not None
        self.canaries += work.id.startswith("canary")
        if adapter.name == self.fatal:
            assert not work.again, "the next engine would end, too"
            raise Unavailable("dead", code="engine_died")
        self.answering[adapter.sha256] += 1
        try:
            for _ in range(3):
                self._check(adapter)
                await asyncio.sleep(0)
                if not work.id.startswith("canary"):
                    await self.go_on.wait()
                yield Piece(adapter.name, 1)
        finally:
            self.answering[adapter.sha256] -= 1

    async def score(self, tokens: list[int], start: int, adapter: Adapter | None) -> list[float]:
        return [-1.0] * (len(tokens) - start)
