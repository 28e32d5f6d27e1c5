"""`!privacy delete` while other things go on, and when something dies on the way."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

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
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import Manifest, ModelRecord
from chorus.common.contracts.storage import FILES
from chorus.common.contracts.topology import CONSENT, SETTINGS
from chorus.common.contracts.topology import DATASETS as DATASET_RECORDS
from chorus.common.contracts.topology import MODELS as MODEL_RECORDS
from chorus.common.contracts.training import JobState
from chorus.common.contracts.wire import decode
from chorus.common.errors import Conflict, InternalError, NotFound
from chorus.trainer.datasets.building import Builder, Limits, Plan, curators
from chorus.trainer.datasets.consent import Ledger
from chorus.trainer.datasets.library import Library
from chorus.trainer.training.lineage import Lineage
from tests.integration.test_forgetting import CHAT, MARA, PHRASES, privacy, texts_of
from tests.support.chats import chat
from tests.support.leftovers import places_of
from tests.support.servers import Servers
from tests.support.training import Gateway, a_trainer


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
    people = await privacy(servers, gateway)
    async with a_trainer(servers, tmp_path, "another"), asyncio.timeout(30):  # it looks when it starts
        while (record := await people.record(una.guild, una.person)) is None or not record.forgotten_at:
            await asyncio.sleep(0.1)
    assert record.forget_since is None
    assert await places_of([phrase], servers.store(), operator) == []


async def built_while(gateway: Gateway, servers: Servers, folder: Path, wish: SetConsent) -> Dataset:
    """CHAT as a dataset; somebody says what they want while it is stored."""
    async with servers.connected("trainer") as connection, curators() as curation:
        library = Library(await open_bucket(connection, DATASET_RECORDS, DatasetRecord), servers.store())
        ledger = Ledger(await open_bucket(connection, CONSENT, ConsentRecord))
        parts = (library, ledger, servers.store(), curation)
        builder = Builder(*parts, base="starter", folder=folder, limits=Limits(2**31, 60))
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

        async def say_it_when_stored(step: Building) -> None:
            if step.stage == "storing" and await ledger.get(gateway.guild, wish.person) is None:
                await ledger.set(wish)

        return await builder.build(plan, say_it_when_stored)


async def test_who_opts_out_while_a_build_runs_is_not_in_it(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    wish = SetConsent(guild=gateway.guild, person=MARA, state="out", said_by=MARA)
    dataset = await built_while(gateway, servers, tmp_path, wish)
    assert dataset.version == 2
    assert dataset.sources == [], "an upload with such words is not kept"
    assert PHRASES[0] not in await texts_of(dataset, servers)
    with pytest.raises(NotFound) as withdrawn:
        await gateway.datasets.preview(gateway.guild, "late@1", 1)
    assert withdrawn.value.code == "dataset_withdrawn"


@pytest.mark.parametrize("state", ["in", "out"])
async def test_a_strangers_word_while_a_build_runs_changes_nothing(
    gateway: Gateway, servers: Servers, tmp_path: Path, state: Literal["in", "out"]
) -> None:
    wish = SetConsent(guild=gateway.guild, person="999", state=state, said_by="999")
    dataset = await built_while(gateway, servers, tmp_path, wish)
    assert (await gateway.datasets.list(gateway.guild)).datasets == [dataset]
    assert PHRASES[0] in await texts_of(dataset, servers)


async def test_nobody_opts_in_while_their_words_are_being_deleted(gateway: Gateway, servers: Servers) -> None:
    at = datetime.now(UTC)
    una = ConsentRecord(guild=gateway.guild, person="77", state="out", said_by="77", at=at, forget_since=at)
    async with servers.connected("trainer") as connection:
        ledger = await open_bucket(connection, CONSENT, ConsentRecord)
        await ledger.create(consent_key(una.guild, una.person), una)
        with pytest.raises(Conflict) as refused:
            await (await privacy(servers, gateway)).opt(gateway.guild, "77", "in", names=[], said_by="77")
        assert refused.value.code == "deletion_under_way"
        await ledger.change(
            consent_key(una.guild, "77"), lambda old: old.model_copy(update={"forget_since": None})
        )


async def test_a_job_whose_data_is_gone_says_so(gateway: Gateway) -> None:
    dataset = await gateway.dataset()
    await gateway.datasets.delete(gateway.guild, "data")
    job = await gateway.jobs.submit([dataset], "main", Hyperparameters(), submitted_by="42", key="k")
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
        chosen = await open_bucket(connection, SETTINGS, GuildSettings)
        lineage = Lineage(datasets, models, chosen)
        await lineage.pass_on(manifest)
        assert (await gateway.model()) == model
        library = Library(datasets, servers.store())
        await library.withdraw(await library.find(gateway.guild, job.job.dataset), FORGOTTEN)
        await lineage.pass_on(manifest)
    after = await gateway.model()
    assert after is not None
    assert after.versions[0].stale is not None


async def test_a_deletion_that_dies_between_the_entry_and_the_bytes_is_ended_by_the_next(
    gateway: Gateway, servers: Servers, operator: Connection
) -> None:
    phrase = "cobalt umbrella"
    dataset = await gateway.dataset(chat(("Tom", "What is it?"), ("Una", phrase), ("Tom", "Ah, I see")))
    async with servers.connected("trainer") as connection:
        records = await open_bucket(connection, DATASET_RECORDS, DatasetRecord)
        dying = dataset.model_copy(update={"withdrawn": FORGOTTEN})
        await records.change(f"{gateway.guild}.data", lambda old: DatasetRecord(versions=[dying]))
    assert await places_of([phrase], servers.store(), operator)
    people = await privacy(servers, gateway)
    await people.forget(gateway.guild, str(sum(b"Una")), names=[], said_by="x")
    assert await places_of([phrase], servers.store(), operator) == []


async def test_a_deletion_that_cannot_be_done_stops_no_other(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    """One guild's data is damaged; another's deletion was cut short after it."""
    async with servers.connected("trainer") as connection:
        ledger = await open_bucket(connection, CONSENT, ConsentRecord)
        broken = await gateway.dataset(chat(("Tom", "Hm?"), ("Una", "Yes")))
        await servers.store().delete("datasets", [broken.people.key])
        await servers.store().put("datasets", broken.people.key, b"damaged")
        long_ago = datetime.now(UTC) - timedelta(minutes=20)
        una = ConsentRecord(
            guild=gateway.guild, person="1", state="out", said_by="x", at=long_ago, forget_since=long_ago
        )
        other = una.model_copy(update={"guild": f"{gateway.guild}9", "person": "2"})
        for record in (una, other):
            await ledger.create(consent_key(record.guild, record.person), record)
        async with a_trainer(servers, tmp_path, "another"), asyncio.timeout(30):
            while (
                entry := await ledger.get(consent_key(other.guild, "2"))
            ) is None or entry.value.forget_since:
                await asyncio.sleep(0.1)
        still = await ledger.get(consent_key(una.guild, "1"))
        assert still is not None
        assert still.value.forget_since, "it is not called done"
        with pytest.raises(InternalError) as told:
            await (await privacy(servers, gateway)).forget(gateway.guild, "1", names=[], said_by="x")
        assert told.value.code == "not_all_forgotten"
        await ledger.change(
            consent_key(una.guild, "1"), lambda old: old.model_copy(update={"forget_since": None})
        )
