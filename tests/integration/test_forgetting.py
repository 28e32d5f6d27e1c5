"""`!privacy delete` on real servers: afterwards a search of all S3 and all NATS finds no word of theirs."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chorus.common.bus.connection import Connection
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.consent import ConsentRecord, SetConsent, consent_key
from chorus.common.contracts.datasets import (
    FORGOTTEN,
    Basis,
    Building,
    BuildOptions,
    Dataset,
    DatasetRecord,
    Source,
)
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.mining import Mined, MinedPart, mining_key
from chorus.common.contracts.models import Manifest, ModelRecord, model_key
from chorus.common.contracts.storage import FILES, MODELS
from chorus.common.contracts.topology import CONSENT, SETTINGS
from chorus.common.contracts.topology import DATASETS as DATASET_RECORDS
from chorus.common.contracts.topology import MODELS as MODEL_RECORDS
from chorus.common.contracts.training import Hyperparameters, JobState
from chorus.common.contracts.wire import decode
from chorus.common.errors import NotFound
from chorus.common.local.process import Process
from chorus.gateway.backends.privacy import BusPrivacy
from chorus.gateway.commands.ports import NewDataset
from chorus.trainer.datasets.building import Builder, Limits, Plan
from chorus.trainer.datasets.consent import Ledger
from chorus.trainer.datasets.library import Library
from chorus.trainer.training.lineage import stale_if_withdrawn
from tests.integration.test_datasets import chat
from tests.support.leftovers import places_of
from tests.support.servers import Servers
from tests.support.training import Gateway, a_gateway, a_trainer, built

PHRASES = ["heliotrope ferry", "nine blue lanterns"]
MARA = str(sum(b"Mara"))  # the id that `chat` gives her
CHAT = chat(
    ("Tom", "What shall we take?"),
    ("Mara", f"The {PHRASES[0]} leaves at nine"),
    ("Tom", "And what do we bring along?"),
    ("Mara", f"{PHRASES[1]} and bread"),
    ("Tom", "Fine, who cooks?"),
    ("Iva", "I can cook something"),
    ("Tom", "Then we have it all"),
)
TXT = f"""{"=" * 62}
Guild: G
Channel: C / general
{"=" * 62}

[12/24/2024 1:05 PM] tom
Where was it that we met?


[12/24/2024 1:06 PM] MARA
Under the {PHRASES[1]}, surely


[12/24/2024 1:07 PM] iva
And I was there as well


[12/24/2024 1:09 PM] tom
So it was


{"=" * 62}
Exported 4 message(s)
{"=" * 62}
"""


@pytest.fixture(scope="module")
async def trainer(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    async with a_trainer(servers, tmp_path_factory.mktemp("trainer")) as process:
        yield process


@pytest.fixture
async def gateway(servers: Servers, guild: str, trainer: Process) -> AsyncIterator[Gateway]:
    async with a_gateway(servers, guild) as gateway:
        yield gateway


@pytest.fixture
async def operator(servers: Servers) -> AsyncIterator[Connection]:
    async with servers.connected("operator") as connection:
        yield connection


async def privacy(gateway: Gateway) -> BusPrivacy:
    return BusPrivacy(gateway.connection, await open_bucket(gateway.connection, CONSENT, ConsentRecord))


def zipped(**files: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        for name, text in files.items():
            packed.writestr(f"{name}.json", text)
    return data.getvalue()


async def texts_of(dataset: Dataset, servers: Servers) -> str:
    return (await servers.store().get(dataset.examples)).decode()


async def test_nothing_of_a_person_is_left_anywhere(
    gateway: Gateway, servers: Servers, operator: Connection
) -> None:
    guild, store = gateway.guild, servers.store()
    theirs = await privacy(gateway)
    # --- everything that can hold their words ----------------------------------------------------
    chats = await gateway.dataset(CHAT, "chats", target="Tom")
    await gateway.dataset(CHAT, "chats", target="Iva")
    names_only = await gateway.dataset(TXT, "names", target="tom")
    packed = await gateway.dataset(zipped(a=CHAT, b=CHAT), "packed", target="Tom")
    await theirs.opt(guild, MARA, "in", names=[], said_by=MARA)
    mined = await harvested(gateway, servers)
    await gateway.datasets.archive(guild, "chats")
    await gateway.datasets.select(guild, "packed", positive=True)
    await theirs.export(guild, MARA, names=["mara"])
    job = await gateway.jobs.submit(chats, "main", Hyperparameters(epochs=1), submitted_by="42", key="k")
    await gateway.until(job, JobState.SUCCEEDED)
    found = await places_of(PHRASES, store, operator)
    assert len(found) > 12, "the search finds what is there"

    # --- the deletion ----------------------------------------------------------------------------
    told = await theirs.forget(guild, MARA, names=[], said_by=MARA)

    assert await places_of(PHRASES, store, operator) == []
    assert set(told.datasets) == {"chats@1", "chats@2", names_only.id, packed.id, mined.id}
    assert told.models == ["main@1"]
    assert told.blocked_at is not None
    assert told.blocked_at - datetime.now(UTC) > timedelta(days=6)
    record = await theirs.record(guild, MARA)
    assert record is not None
    assert (record.state, record.forget_since, "mara" in record.names) == ("out", None, True)
    # What others said is still there.
    left = {d.name: d for d in (await gateway.datasets.list(guild)).datasets}
    assert {"chats", "names", "packed"} <= set(left)
    assert "cook something" in await texts_of(left["chats"], servers)
    model = await gateway.model()
    assert model is not None
    assert model.versions[0].stale is not None

    # --- any later build -------------------------------------------------------------------------
    again = await gateway.dataset(CHAT, "later", target="Tom")
    assert again.card.dropped["opted out"] == 2
    for place in await places_of(PHRASES, store, operator):
        assert place.startswith(f"{FILES}/"), "only in the upload itself, which somebody has just handed over"
    harvests = await open_bucket(gateway.connection, SETTINGS, Mined)
    entry = await harvests.get(mining_key(guild, "mined"))
    assert entry is not None
    assert (entry.value.parts, entry.value.cursors) == ([], {})


async def harvested(gateway: Gateway, servers: Servers) -> Dataset:
    """What mining leaves behind: a part, its record, the dataset of it."""
    data = zipped(part=CHAT)
    file = await servers.store().put_by_hash(FILES, gateway.guild, data)
    source = Source(file=file, filename="mined.zip")
    harvests = await open_bucket(gateway.connection, SETTINGS, Mined)
    part = MinedPart(source=source, messages=7)
    record = Mined(guild=gateway.guild, name="mined", cursors={"10": "1006"}, parts=[part])
    await harvests.create(mining_key(gateway.guild, "mined"), record)
    basis = Basis(way="mined", mode="permitted", reference="R-1")
    people = await privacy(gateway)
    tom = str(sum(b"Tom"))
    await people.opt(gateway.guild, tom, "in", names=[], said_by=tom)
    new = NewDataset("mined", [source], True, "42", basis, BuildOptions(target="Tom"))
    dataset = await built(gateway.datasets.add(gateway.guild, new))
    assert dataset.card.dropped["not opted in"] == 1
    return dataset


async def test_a_deletion_that_was_cut_short_is_ended(
    gateway: Gateway, servers: Servers, operator: Connection, tmp_path: Path
) -> None:
    phrase = "amber weathercock"
    await gateway.dataset(chat(("Tom", "What is it?"), ("Una", phrase), ("Tom", "Ah"), ("Iva", "Oh")))
    long_ago = datetime.now(UTC) - timedelta(minutes=20)
    una = ConsentRecord(
        guild=gateway.guild,
        person=str(sum(b"Una")),
        state="out",
        said_by="x",
        at=long_ago,
        forget_since=long_ago,
    )
    async with servers.connected("trainer") as connection:
        ledger = await open_bucket(connection, CONSENT, ConsentRecord)
        await ledger.create(consent_key(una.guild, una.person), una)
    people = await privacy(gateway)
    async with a_trainer(servers, tmp_path, "another"), asyncio.timeout(30):  # it looks when it starts
        while (record := await people.record(una.guild, una.person)) is None or not record.forgotten_at:
            await asyncio.sleep(0.1)
    assert record.forget_since is None
    assert await places_of([phrase], servers.store(), operator) == []


async def test_a_model_past_its_deadline_is_blocked(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    guild = gateway.guild
    chosen = await open_bucket(gateway.connection, SETTINGS, GuildSettings)
    await chosen.change(
        guild, lambda old: old.model_copy(update={"forget_within_days": 0}), initial=GuildSettings()
    )
    for text in (chat(("Tom", "Hm?"), ("Iva", "Yes")), chat(("Tom", "Hm?"), ("Mara", "No"))):
        job = await gateway.submit(text, epochs=1)
        await gateway.until(job, JobState.SUCCEEDED)
    models = await open_bucket(gateway.connection, MODEL_RECORDS, ModelRecord)
    key = model_key(guild, "main")
    await models.change(key, lambda old: old.promote(2))

    told = await (await privacy(gateway)).forget(guild, MARA, names=[], said_by=MARA)
    assert told.models == ["main@2"]
    async with a_trainer(servers, tmp_path, "another"), asyncio.timeout(30):
        while (record := await gateway.model()) is None or record.aliases.get("prod") != 1:
            await asyncio.sleep(0.1)
    assert "latest" not in record.aliases
    assert record.versions[1].is_blocked(datetime.now(UTC))
    kept = {found.key.rpartition("/")[0] for found in await servers.store().list(MODELS, f"{guild}/")}
    assert kept == {record.versions[0].manifest.key.rpartition("/")[0]}

    told = await (await privacy(gateway)).forget(guild, str(sum(b"Iva")), names=[], said_by="x")
    assert told.models == ["main@1"]
    async with a_trainer(servers, tmp_path, "third"), asyncio.timeout(30):
        while (after := await chosen.get(guild)) is None or after.value.voice is not None:
            await asyncio.sleep(0.1)
    assert await servers.store().list(MODELS, f"{guild}/") == [], "the base answers"


async def test_who_opts_out_while_a_build_runs_is_not_in_it(
    gateway: Gateway, servers: Servers, operator: Connection, tmp_path: Path
) -> None:
    async with servers.connected("trainer") as connection:
        library = Library(await open_bucket(connection, DATASET_RECORDS, DatasetRecord), servers.store())
        ledger = Ledger(await open_bucket(connection, CONSENT, ConsentRecord))
        builder = Builder(
            library, ledger, servers.store(), base="starter", folder=tmp_path, limits=Limits(2**31, 60)
        )
        file = await servers.store().put_by_hash(FILES, gateway.guild, CHAT.encode())
        plan = Plan(
            guild=gateway.guild,
            name="late",
            contributor="42",
            label=True,
            basis=Basis(),
            options=BuildOptions(target="Tom"),
            sources=(Source(file=file, filename="chat.json"),),
        )

        async def opt_out_when_stored(step: Building) -> None:
            if step.stage == "storing" and await ledger.get(gateway.guild, MARA) is None:
                await ledger.set(SetConsent(guild=gateway.guild, person=MARA, state="out", said_by=MARA))

        dataset = await builder.build(plan, opt_out_when_stored)
    assert dataset.version == 2
    assert PHRASES[0] not in await texts_of(dataset, servers)
    with pytest.raises(NotFound) as withdrawn:
        await gateway.datasets.preview(gateway.guild, "late@1", 1)
    assert withdrawn.value.code == "dataset_withdrawn"


async def test_a_job_whose_data_is_gone_says_so(gateway: Gateway) -> None:
    dataset = await gateway.dataset()
    await gateway.datasets.delete(gateway.guild, "data")
    job = await gateway.jobs.submit(dataset, "main", Hyperparameters(), submitted_by="42", key="k")
    failed = await gateway.until(job, JobState.FAILED)
    assert failed.error is not None
    assert failed.error.code == "dataset_withdrawn"


async def test_a_model_published_after_the_deletion_is_stale_at_once(
    gateway: Gateway, servers: Servers
) -> None:
    job = await gateway.submit(epochs=1)
    await gateway.until(job, JobState.SUCCEEDED)
    model = await gateway.model()
    assert model is not None
    manifest = decode(Manifest, await servers.store().get(model.versions[0].manifest))
    async with servers.connected("trainer") as connection:
        datasets = await open_bucket(connection, DATASET_RECORDS, DatasetRecord)
        models = await open_bucket(connection, MODEL_RECORDS, ModelRecord)
        await stale_if_withdrawn(datasets, models, manifest)
        assert (await gateway.model()) == model
        library = Library(datasets, servers.store())
        await library.withdraw(await library.find(gateway.guild, job.job.dataset), FORGOTTEN)
        await stale_if_withdrawn(datasets, models, manifest)
    after = await gateway.model()
    assert after is not None
    assert after.versions[0].stale is not None
