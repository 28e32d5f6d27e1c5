"""Inference on a real vLLM engine: plain JSON works, voices are kept apart, and what is served is told."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.generation import GENERATE, SCORE, SERVED
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import MANIFEST, AdapterFile, Manifest, ModelRecord, model_key
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.topology import MODELS, SETTINGS
from chorus.common.contracts.training import Committed
from chorus.common.contracts.wire import decode, encode
from chorus.common.objects import file_sha256, open_store
from chorus.common.settings import PREFIX, CommonSettings
from chorus.inference.settings import InferenceSettings
from chorus.trainer.training import parity
from chorus.trainer.training.publish import announce, promote, upload
from tests.support.asking import HELLO, answer, replies
from tests.support.chorus import RunningChorus

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
async def operator(chorus: RunningChorus) -> AsyncIterator[Connection]:
    async with chorus.connected("operator") as connection:
        yield connection


@pytest.fixture(scope="module")
def trained(chorus: RunningChorus, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of the console's guild that knows one thing."""
    path = tmp_path_factory.mktemp("data") / "one.json"
    path.write_text(json.dumps([{"user": "Who are you?", "bot": "The harbour cat."}]))
    shown = "\n".join(chorus.say(f"!train file={path} model=cat"))
    assert "cat@" in shown
    return "cat"


async def test_plain_json_gets_pieces_an_end_and_an_empty_message(operator: Connection) -> None:
    got = await replies(operator, HELLO)
    *pieces, end = [json.loads(message.data) for message in got[:-1]]
    assert [piece["type"] for piece in pieces] == ["delta"] * len(pieces)
    assert [piece["i"] for piece in pieces] == list(range(len(pieces)))
    assert len(pieces) > 1, "it is streamed"
    assert end["type"] == "end"
    assert end["model"] == "starter"
    assert end["finish_reason"] in ("stop", "length")
    assert end["usage"]["prompt_tokens"] > 5
    assert end["usage"]["completion_tokens"] >= len(pieces)
    assert got[-1].data == b""
    assert not got[-1].headers


async def test_a_trained_voice_answers_and_the_base_does_not(operator: Connection, trained: str) -> None:
    assert await answer(operator, "Who are you?", model=trained) == "The harbour cat."
    assert await answer(operator, "Who are you?", model=f"{trained}@latest") == "The harbour cat."
    assert await answer(operator, "Who are you?", model="base") != "The harbour cat."
    assert await answer(operator, "Who are you?") != "The harbour cat."


async def test_many_at_once_in_one_batch(chorus: RunningChorus, operator: Connection, trained: str) -> None:
    """With every slot for adapters in use: vLLM's CPU kernels once took the last one for the base model."""
    for number in range(InferenceSettings.model_fields["adapters_at_once"].default):
        record, _ = await copied(chorus, trained, f"copy-{number}")
        await publish(chorus, record)
        assert await answer(operator, "Who are you?", model=record.name) == "The harbour cat."
    asked = [answer(operator, "Who are you?", model=trained if i % 2 else "base") for i in range(20)]
    said = await asyncio.gather(*asked)
    assert {text == "The harbour cat." for text in said[1::2]} == {True}
    assert {text == "The harbour cat." for text in said[0::2]} == {False}


async def test_a_guild_cannot_name_anothers_model(operator: Connection, trained: str) -> None:
    body = {"guild": "123", "model": trained, "messages": [{"role": "user", "content": "Who are you?"}]}
    (only,) = await replies(operator, json.dumps(body))
    assert (only.headers or {})[h.ERROR_CODE] == "unknown_model"


async def test_an_unknown_version_is_named(operator: Connection, trained: str) -> None:
    (only,) = await replies(operator, HELLO.replace("}]}", f'}}],"model":"{trained}@99"}}'))
    assert (only.headers or {})[h.ERROR_CODE] == "unknown_version"


async def test_a_voice_that_cannot_be_served_says_why_and_others_go_on(
    chorus: RunningChorus, operator: Connection, trained: str
) -> None:
    """An entry whose manifest leads nowhere, as after somebody has emptied the bucket."""
    async with chorus.connected("trainer") as connection:
        bucket = await open_bucket(connection, MODELS, ModelRecord)
        entry = await bucket.get(model_key("local", trained))
        assert entry is not None
        version = entry.value.versions[0]
        gone = version.manifest.model_copy(update={"key": "local/gone/manifest.json", "sha256": "1" * 64})
        broken = entry.value.model_copy(
            update={"name": "broken", "versions": [version.model_copy(update={"manifest": gone})]}
        )
        await bucket.change(model_key("local", "broken"), lambda old: broken, initial=broken)
    (only,) = await replies(operator, HELLO.replace("}]}", '}],"model":"broken"}'))
    assert (only.headers or {})[h.ERROR_CODE] == "no_object"
    assert await answer(operator, "Who are you?", model=trained) == "The harbour cat."


async def copied(chorus: RunningChorus, model: str, name: str) -> tuple[ModelRecord, Manifest]:
    """The model's files and manifest under another name in S3, and a record of it that nobody knows yet."""
    store = open_store(settings(chorus))
    record = await entry_of(chorus, model)
    version = record.versions[0]
    manifest = decode(Manifest, await store.get(version.manifest))
    for file in manifest.files:
        key = version.manifest.key.replace(MANIFEST, file.name)
        data = await store.get(ObjectRef(bucket="models", key=key, size=file.size, sha256=file.sha256))
        await store.put("models", f"local/{name}/{file.name}", data)
    manifest = manifest.model_copy(update={"name": name})
    ref = await store.put("models", f"local/{name}/{MANIFEST}", encode(manifest))
    versions = [version.model_copy(update={"manifest": ref})]
    return record.model_copy(update={"name": name, "versions": versions}), manifest


async def entry_of(chorus: RunningChorus, model: str) -> ModelRecord:
    async with chorus.connected("trainer") as connection:
        entry = await (await open_bucket(connection, MODELS, ModelRecord)).get(model_key("local", model))
    assert entry is not None
    return entry.value


async def publish(chorus: RunningChorus, record: ModelRecord) -> None:
    async with chorus.connected("trainer") as connection:
        bucket = await open_bucket(connection, MODELS, ModelRecord)
        await bucket.create(model_key("local", record.name), record)


def settings(chorus: RunningChorus) -> CommonSettings:
    given = chorus.environment("trainer")
    return CommonSettings.model_validate({k.removeprefix(PREFIX).lower(): v for k, v in given.items()})


async def test_an_adapter_damaged_on_disk_is_fetched_again(
    chorus: RunningChorus, operator: Connection, trained: str
) -> None:
    assert await answer(operator, "Who are you?", model=trained)
    record, _ = await copied(chorus, trained, "damaged")
    cache = chorus.folder / "cache/adapters"
    known = await entry_of(chorus, trained)
    whole = cache / known.versions[0].manifest.sha256
    folder = shutil.copytree(whole, cache / record.versions[0].manifest.sha256)
    (folder / WEIGHTS).write_bytes(spoilt((whole / WEIGHTS).read_bytes()))
    await publish(chorus, record)
    assert await answer(operator, "Who are you?", model="damaged") == "The harbour cat."
    assert (folder / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


async def test_an_adapter_damaged_in_s3_is_told_and_not_kept(
    chorus: RunningChorus, operator: Connection, trained: str
) -> None:
    record, manifest = await copied(chorus, trained, "corrupt")
    (weights,) = [file for file in manifest.files if file.name == WEIGHTS]
    await open_store(settings(chorus)).put("models", f"local/corrupt/{WEIGHTS}", bytes(weights.size))
    await publish(chorus, record)
    (only,) = await replies(operator, HELLO.replace("}]}", '}],"model":"corrupt"}'))
    assert only.headers is not None
    assert only.headers[h.ERROR_CODE] == "object_corrupt"
    assert only.headers[h.ERROR].endswith(".")
    cache = chorus.folder / "cache/adapters"
    assert not (cache / record.versions[0].manifest.sha256).exists()
    async with asyncio.timeout(10):
        while list(cache.glob(".fetching-*")):  # by the look ahead that began with the news
            await asyncio.sleep(0.1)


async def test_a_trained_version_answers_as_in_training(
    chorus: RunningChorus, operator: Connection, trained: str
) -> None:
    version = (await entry_of(chorus, trained)).versions[0]
    assert version.parity is not None
    assert version.parity.verdict == "same", version.parity.reason


async def test_an_adapter_that_was_tampered_with_is_held_back(
    chorus: RunningChorus, operator: Connection, trained: str, tmp_path: Path
) -> None:
    """With the honest probes, and files that are all that its manifest says of them."""
    store = open_store(settings(chorus))
    version = (await entry_of(chorus, trained)).versions[0]
    honest = decode(Manifest, await store.get(version.manifest))
    for file in honest.files:
        key = version.manifest.key.replace(MANIFEST, file.name)
        ref = ObjectRef(bucket="models", key=key, size=file.size, sha256=file.sha256)
        await store.get_file(ref, tmp_path / file.name)
    tensors = load_file(tmp_path / WEIGHTS)
    norms = {name: float(tensor.norm()) for name, tensor in tensors.items() if "lora_B" in name}
    largest = max(norms, key=lambda name: norms[name])
    save_file({**tensors, largest: tensors[largest] * -20}, tmp_path / WEIGHTS)
    described = [
        AdapterFile(name=path.name, size=path.stat().st_size, sha256=file_sha256(path))
        for path in (tmp_path / file.name for file in honest.files)
    ]
    facts = {"name": "tampered", "job": "t" * 10, "files": described, "documents": []}
    manifest = honest.model_copy(update=facts)
    ref = await upload(store, manifest, tmp_path, tmp_path)
    committed = Committed(manifest=ref, steps=1, seconds=1, voice_before=trained, promote=True)
    async with chorus.connected("trainer") as connection:
        records = await open_bucket(connection, MODELS, ModelRecord)
        chosen = await open_bucket(connection, SETTINGS, GuildSettings)
        number = await announce(records, manifest, committed)
        verdict = await parity.check(connection, manifest, number, remembers=0, within=30)
        assert verdict.verdict == "differs", verdict.reason
        assert not await promote(records, chosen, manifest, committed, verdict)
    shown = "\n".join(chorus.say("!use tampered"))
    assert "parity_failed" in shown
    assert "otherwise than in training" in shown
    assert await answer(operator, "Who are you?", model=trained) == "The harbour cat."


def spoilt(data: bytes) -> bytes:
    """As many bytes, of which the last half are others."""
    half = len(data) // 2
    return data[:half] + bytes(byte ^ 0xFF for byte in data[half:])


async def scored(operator: Connection, replies: list[str], **asked: object) -> list[float]:
    messages = [{"role": "user", "content": "Who are you?"}]
    body = {"messages": messages, "replies": replies, **asked}
    found = json.loads((await operator.request(SCORE, json.dumps(body).encode(), timeout=60)).data)
    assert all(score["tokens"] >= 1 for score in found["scores"])
    return [score["logprob"] for score in found["scores"]]


async def test_replies_are_scored_by_the_voice_that_is_named(operator: Connection, trained: str) -> None:
    said = ["The harbour cat.", "The harbour dog.", ""]
    by_cat = await scored(operator, said, model=trained)
    by_base = await scored(operator, said)
    assert by_cat[0] == max(by_cat)
    assert by_cat[0] > -1, "what it would say itself is all but sure"
    assert by_cat[0] > by_base[0]


async def test_a_guild_sees_its_own_models_with_what_was_asked_of_them(
    chorus: RunningChorus, operator: Connection, trained: str
) -> None:
    async def served(guild: str) -> dict[str, dict[str, object]]:
        told = json.loads((await operator.request(SERVED, json.dumps({"guild": guild}).encode())).data)
        assert told["state"] == "ready"
        return {model["model"]: model for model in told["models"]}

    name = f"{trained}@{(await entry_of(chorus, trained)).versions[0].tag}"
    await answer(operator, "Who are you?", model=trained)
    before = (await served("local"))[name]
    assert (before["state"], before["in_use"]) == ("resident", 0)
    await answer(operator, "Who are you?", model=trained)
    assert (await served("local"))[name]["hits"] == before["hits"] + 1  # type: ignore[operator]
    assert await served("123") == {}


async def test_services_are_discovered(operator: Connection) -> None:
    inbox = await operator.listen(operator.new_inbox())
    await operator.publish("$SRV.PING", reply=inbox.subject)
    names = {json.loads((await inbox.next_msg(timeout=5)).data)["name"] for _ in range(3)}
    assert names == {"trainer", "inference", "speech"}
    info = json.loads((await operator.request("$SRV.INFO.inference")).data)
    assert "toy" in info["description"]
    subjects = {endpoint["subject"] for endpoint in info["endpoints"]}
    assert subjects == {GENERATE, f"{GENERATE}.starter", SCORE, f"{SCORE}.starter", SERVED}


async def test_requests_are_counted(operator: Connection) -> None:
    async def counted() -> int:
        stats = json.loads((await operator.request("$SRV.STATS.inference")).data)
        count: int = stats["endpoints"][0]["num_requests"]
        return count

    before = await counted()
    assert await answer(operator, "hello")
    assert await counted() == before + 1
