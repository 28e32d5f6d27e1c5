"""Inference on a real vLLM engine: plain JSON works, voices are kept apart, what is wrong has a code."""

import asyncio
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from safetensors.torch import load_file, save_file

from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.generation import CANCEL, GENERATE, SCORE, SERVED
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
from tests.support.chorus import RunningChorus

WEIGHTS = "adapter_model.safetensors"
HELLO = '{"messages":[{"role":"user","content":"hello"}]}'
ENDLESS = '{"n":8,"max_tokens":1900,"temperature":2,"top_k":0}'
"""Sampling: of eight such answers at least one is still being written after seconds."""


@pytest.fixture
async def operator(chorus: RunningChorus) -> AsyncIterator[Connection]:
    async with chorus.connected("operator") as connection:
        yield connection


async def replies(connection: Connection, body: str, **headers: str) -> list[Msg]:
    """All replies to a hand-written request, up to the empty message or the error."""
    inbox = await connection.listen(connection.new_inbox())
    await connection.publish(GENERATE, body.encode(), inbox.subject, headers or None)
    got: list[Msg] = []
    while not got or got[-1].data:
        got.append(await inbox.next_msg(timeout=60))
    await inbox.unsubscribe()
    return got


async def answer(connection: Connection, question: str, **asked: object) -> str:
    body = {"messages": [{"role": "user", "content": question}], **asked}
    said = [json.loads(message.data) for message in (await replies(connection, json.dumps(body)))[:-1]]
    return "".join(piece["text"] for piece in said if piece["type"] == "delta")


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


async def test_sampling_is_obeyed(operator: Connection) -> None:
    got = await replies(operator, HELLO.replace("}]}", '}],"sampling":{"max_tokens":3}}'))
    end = json.loads(got[-2].data)
    assert (end["finish_reason"], end["usage"]["completion_tokens"]) == ("length", 3)
    hot = {"sampling": {"temperature": 1.5, "seed": 7, "max_tokens": 20}}
    assert await answer(operator, "hello", **hot) == await answer(operator, "hello", **hot)
    assert await answer(operator, "hello", **hot) != await answer(
        operator, "hello", sampling={"temperature": 1.5, "seed": 8, "max_tokens": 20}
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("hello", "400", "not_json"),
        ('{"messages":', "400", "not_json"),
        ("{}", "400", "invalid_message"),
        ('{"messages":[{"role":"user"}]}', "400", "invalid_message"),
        (HELLO.replace("}]}", '}],"modle":"x"}'), "400", "invalid_message"),
        (HELLO.replace("}]}", '}],"model":"no such name"}'), "400", "invalid_model_name"),
        (HELLO.replace("}]}", '}],"model":"nobody"}'), "404", "unknown_model"),
        (HELLO.replace("user", "assistant"), "400", "no_question"),
        (HELLO.replace("hello", "word " * 5000), "413", "prompt_too_long"),
        *(
            (HELLO.replace("}]}", f'}}],"sampling":{sampling}}}'), "400", "invalid_message")
            for sampling in (
                '{"stop":[""]}',
                f'{{"stop":["{"x" * 257}"]}}',
                f'{{"seed":{2**63}}}',
                f'{{"seed":{2**64}}}',
                f'{{"top_k":{2**31}}}',
                f'{{"top_k":{2**70}}}',
            )
        ),
    ],
)
async def test_what_is_wrong_has_a_code(operator: Connection, body: str, status: str, code: str) -> None:
    (only,) = await replies(operator, body)
    assert only.headers is not None
    assert (only.headers[h.ERROR_STATUS], only.headers[h.ERROR_CODE]) == (status, code)
    assert only.headers[h.ERROR].endswith(".")
    assert await answer(operator, "hello"), "and the service goes on"


async def test_sampling_may_go_to_its_bounds(operator: Connection) -> None:
    bounds = {"seed": 2**63 - 1, "top_k": 2**31 - 1, "stop": ["x" * 256], "temperature": 2, "max_tokens": 3}
    assert await answer(operator, "hello", sampling=bounds)


async def test_a_question_of_no_words_does_no_harm(operator: Connection) -> None:
    """vLLM's CPU worker dies of prompts below five tokens; a chat's template is longer than that."""
    got = await replies(operator, HELLO.replace("hello", ""))
    assert json.loads(got[-2].data)["usage"]["prompt_tokens"] >= 5
    assert await answer(operator, "hello"), "and the service goes on"


async def test_a_guild_cannot_name_anothers_model(operator: Connection, trained: str) -> None:
    body = {"guild": "123", "model": trained, "messages": [{"role": "user", "content": "Who are you?"}]}
    (only,) = await replies(operator, json.dumps(body))
    assert (only.headers or {})[h.ERROR_CODE] == "unknown_model"


async def test_an_unknown_version_is_named(operator: Connection, trained: str) -> None:
    (only,) = await replies(operator, HELLO.replace("}]}", f'}}],"model":"{trained}@99"}}'))
    assert (only.headers or {})[h.ERROR_CODE] == "unknown_version"


async def test_a_cancelled_answer_ends(operator: Connection) -> None:
    """Of several long answers at least one is cut off (another may end by itself before the word comes)."""
    ends = [await cancelled(operator, seed) for seed in range(5)]
    assert ("cancelled", True) in ends, ends


async def cancelled(operator: Connection, seed: int) -> tuple[str | None, bool]:
    """Cancel an answer at its first piece: how it ended, and whether that was far from its end."""
    request = uuid.uuid4().hex
    inbox = await operator.listen(operator.new_inbox())
    sampling = f'"sampling":{{"max_tokens":2000,"temperature":2,"seed":{seed},"top_k":0}}'
    body = HELLO.replace("}]}", f"}}],{sampling}}}")
    await operator.publish(GENERATE, body.encode(), inbox.subject, {h.REQUEST_ID: request})
    await inbox.next_msg(timeout=60)
    await operator.publish(f"{CANCEL}.{request}")
    pieces = 1
    while (message := await inbox.next_msg(timeout=10)).data:
        pieces += 1
    return (message.headers or {}).get(h.ERROR_CODE), pieces < 500


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


async def test_several_answers_to_one_question_are_told_apart(operator: Connection) -> None:
    sampling = '"sampling":{"n":2,"temperature":1.5,"min_p":0.01,"seed":7,"max_tokens":8}'
    *said, end = [json.loads(m.data) for m in (await replies(operator, HELLO[:-1] + f",{sampling}}}"))[:-1]]
    assert {piece.get("choice", 0) for piece in said} == {0, 1}
    assert [piece["i"] for piece in said] == list(range(len(said)))
    assert len(end["finish_reasons"]) == 2
    assert end["usage"]["completion_tokens"] <= 16


@pytest.mark.parametrize("penalty", [{"repetition_penalty": 1.9}, {"presence_penalty": 2}])
async def test_penalties_change_what_is_said(operator: Connection, penalty: dict[str, float]) -> None:
    async def said(**more: float) -> list[str]:
        asked = (
            "hello",
            "Tell me of the sea.",
            "What is a list?",
            "Why is it so?",
            "Say it again and again.",
        )
        greedy = {"temperature": 0, "max_tokens": 60, **more}
        return await asyncio.gather(*(answer(operator, text, sampling=greedy) for text in asked))

    assert await said(**penalty) != await said()


async def test_a_reply_that_takes_longer_than_it_may_is_broken_off(operator: Connection) -> None:
    got = await replies(operator, HELLO[:-1] + f',"within":0.2,"sampling":{ENDLESS}}}')
    assert (got[-1].headers or {})[h.ERROR_CODE] == "deadline_passed"
    assert await answer(operator, "hello"), "and the service goes on"


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


CLIENT = """
import asyncio, os
from chorus.common.bus.calls import ask_stream
from chorus.common.bus.connection import connect
from chorus.common.contracts.generation import CANCEL, GENERATE, Delta, Generate, GenerateReply
from pathlib import Path
from pydantic import TypeAdapter

async def main():
    key = Path(os.environ["CHORUS_NATS_NKEY_FILE"])
    async with connect(os.environ["CHORUS_NATS_URL"], user="gateway", nkey_file=key, on_closed=print) as bus:
        question = Generate.model_validate_json(os.environ["QUESTION"])
        async for piece in ask_stream(bus, GENERATE, question, TypeAdapter(GenerateReply), cancel=CANCEL):
            if isinstance(piece, Delta):
                print("begun", flush=True)

asyncio.run(main())
"""


async def test_a_client_that_is_killed_in_mid_stream_frees_its_slot_within_two_seconds(
    chorus: RunningChorus, operator: Connection
) -> None:
    async def ended() -> tuple[int, str]:
        stats = json.loads((await operator.request("$SRV.STATS.inference")).data)["endpoints"][0]
        return stats["num_requests"], stats["last_error"]

    before, _ = await ended()
    question = HELLO[:-1] + f',"sampling":{ENDLESS}}}'
    environment = {**os.environ, **chorus.environment("gateway"), "QUESTION": question}
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert client.stdout is not None
    assert await client.stdout.readline() == b"begun\n"
    client.kill()
    killed = time.monotonic()
    while await ended() != (before + 1, "reader_gone"):
        assert time.monotonic() - killed < 2, await ended()
        await asyncio.sleep(0.02)
    await client.wait()


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
