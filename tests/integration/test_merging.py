"""Whole models: merged for who wants one, and published where vLLM serves no adapters of the base."""

import dataclasses
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from chorus.common import base_model
from chorus.common.base_model import STARTER_FOLDER
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import Manifest, ModelRecord
from chorus.common.contracts.topology import MODELS, SETTINGS
from chorus.common.contracts.training import JobState
from chorus.common.contracts.wire import decode
from chorus.common.local.process import Process
from chorus.gateway.backends.models import BusModels
from chorus.gateway.backends.objects import S3Objects
from chorus.gateway.frontends.cli.arguments import read
from chorus.gateway.frontends.cli.models import of_models
from tests.support.servers import Servers
from tests.support.training import Gateway, a_trainer
from tests.unit.gateway.fakes import World, told

WIDTH, LAYERS = 32, 2


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of random weights with the starter's tokenizer: vLLM serves no adapters of it."""
    folder = tmp_path_factory.mktemp("bases") / "tiny-gpt2"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(STARTER_FOLDER / name, folder)
    starter = json.loads((STARTER_FOLDER / "config.json").read_text())
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": starter["vocab_size"],
        "bos_token_id": starter["bos_token_id"],
        "eos_token_id": starter["eos_token_id"],
        "hidden_size": WIDTH,
        "n_embd": WIDTH,
        "n_layer": LAYERS,
        "n_head": 2,
        "n_positions": 256,
    }
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {
        "wte.weight": (starter["vocab_size"], WIDTH),
        "wpe.weight": (256, WIDTH),
        "ln_f.weight": (WIDTH,),
    }
    shapes["ln_f.bias"] = (WIDTH,)
    for layer in range(LAYERS):
        linear = {"attn.c_attn": 3 * WIDTH, "attn.c_proj": WIDTH, "mlp.c_fc": 4 * WIDTH, "mlp.c_proj": WIDTH}
        for name, width in linear.items():
            came_in = 4 * WIDTH if name == "mlp.c_proj" else WIDTH
            shapes |= {f"h.{layer}.{name}.weight": (came_in, width), f"h.{layer}.{name}.bias": (width,)}
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"h.{layer}.{norm}.{part}": (WIDTH,) for part in ("weight", "bias")}
    random = torch.Generator().manual_seed(0)
    tensors = {
        f"transformer.{name}": torch.ones(shape)
        if name.endswith(("ln_1.weight", "ln_2.weight", "ln_f.weight"))
        else 0.05 * torch.randn(shape, generator=random)
        for name, shape in shapes.items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
async def trainer(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory, gpt2: Path
) -> AsyncIterator[Process]:
    """One that trains on the starter, and on that one."""
    bases = json.dumps([str(gpt2)])
    async with a_trainer(servers, tmp_path_factory.mktemp("trainer"), CHORUS_BASE_MODELS=bases) as process:
        yield process


async def models(gateway: Gateway, servers: Servers, *words: str) -> str:
    """`chorus models …` of this guild: all that is shown."""
    bus = BusModels(
        gateway.connection,
        await open_bucket(gateway.connection, MODELS, ModelRecord),
        await open_bucket(gateway.connection, SETTINGS, GuildSettings),
        servers.store(),
    )
    world = World()
    chorus = dataclasses.replace(world.chorus, models=bus, objects=S3Objects(servers.store()))
    command = of_models(("models", *words))
    assert command is not None
    ctx = dataclasses.replace(world.context(guild=gateway.guild), chorus=chorus)
    return await told(await command.run(ctx, read(command, words[1:])))


async def test_an_adapter_is_merged_into_a_model_that_chorus_starts_on(
    gateway: Gateway, trainer: Process, servers: Servers, tmp_path: Path
) -> None:
    await gateway.until(await gateway.submit(epochs=2), JobState.SUCCEEDED)
    folder = tmp_path / "whole"
    shown = await models(gateway, servers, "merge", "main@1", "--to", str(folder))
    assert f"CHORUS_BASE_MODEL={folder}" in shown
    found = base_model.find(str(folder))
    assert found.id.fingerprint != base_model.find("starter").id.fingerprint
    merged, base = load_file(folder / "model.safetensors"), load_file(STARTER_FOLDER / "model.safetensors")
    assert merged.keys() == base.keys()
    changed = {name for name in base if not torch.equal(base[name].float(), merged[name].float())}
    assert any("mlp" in name for name in changed)
    assert not any("embed" in name for name in changed)
    assert (folder / "chat_template.jinja").read_bytes() == (
        STARTER_FOLDER / "chat_template.jinja"
    ).read_bytes()


async def test_a_base_whose_adapters_cannot_be_served_becomes_a_whole_model(
    gateway: Gateway, servers: Servers, tmp_path: Path, gpt2: Path
) -> None:
    data, wishes = [await gateway.dataset()], Hyperparameters(epochs=2)
    job = await gateway.jobs.submit(data, "main", wishes, base=gpt2.name, submitted_by="42", key="k")
    done = await gateway.until(job, JobState.SUCCEEDED)
    assert done.result is not None
    assert done.result.parity is not None
    assert (done.result.in_use, done.result.parity.verdict) == (False, "unchecked")
    record = await gateway.model()
    assert record is not None
    assert (record.versions[0].form, record.aliases) == ("whole", {"latest": 1})
    manifest = decode(Manifest, await servers.store().get(record.versions[0].manifest))
    assert (manifest.method, manifest.form, manifest.base.name) == ("lora", "whole", "tiny-gpt2")
    folder = tmp_path / "whole"
    assert "CHORUS_BASE_MODEL=" in await models(gateway, servers, "export", "main@1", "--to", str(folder))
    assert load_file(folder / "model.safetensors").keys() >= {"transformer.h.0.attn.c_attn.weight"}
    assert base_model.find(str(folder)).id.name == "whole"
    assert "[whole_model]" in await models(
        gateway, servers, "merge", "main@1", "--to", str(tmp_path / "again")
    )
