"""From trained weights to a model that people have, on real NATS and S3: published, promoted, taken away."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.datasets import FORGOTTEN, DatasetRecord, dataset_key
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import (
    LOSSES,
    MODEL_CARD,
    ModelRecord,
    Stale,
    model_key,
)
from chorus.common.contracts.storage import CHECKPOINTS, MODELS, ObjectRef
from chorus.common.contracts.topology import DATASETS, JOBS, SETTINGS
from chorus.common.contracts.topology import MODELS as MODEL_RECORDS
from chorus.common.contracts.training import Committed, JobRecord, JobState, Parent
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError
from chorus.gateway.backends.models import BusModels
from chorus.trainer.datasets.stale import Models
from chorus.trainer.training import publish
from tests.support.servers import Servers
from tests.support.shop import DIFFERS, SAME, Shop
from tests.unit.gateway.fake_data import dataset


@pytest.fixture
async def shop(servers: Servers, guild: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with servers.connected("trainer") as trainer, servers.connected("gateway") as gateway:
        store = servers.store()
        (tmp_path / "made").mkdir()
        yield Shop(
            guild,
            store,
            await open_bucket(trainer, MODEL_RECORDS, ModelRecord),
            await open_bucket(trainer, SETTINGS, GuildSettings),
            await open_bucket(trainer, JOBS, JobRecord),
            await open_bucket(trainer, DATASETS, DatasetRecord),
            BusModels(
                gateway,
                await open_bucket(gateway, MODEL_RECORDS, ModelRecord),
                await open_bucket(gateway, SETTINGS, GuildSettings),
                store,
            ),
            tmp_path / "made",
        )


# --- publishing ----------------------------------------------------------------------------------
async def test_a_job_has_one_version_however_often_it_is_published(shop: Shop) -> None:
    answers, manifest, committed = await shop.published()
    assert answers
    assert await publish.announce(shop.records, manifest, committed) == 1
    assert await publish.promote(shop.records, shop.settings, manifest, committed, DIFFERS)
    record = await shop.record()
    assert [version.parity for version in record.versions] == [SAME], "the first verdict stands"
    assert (record.aliases, await shop.voice()) == ({"latest": 1, "prod": 1}, "main")


async def test_what_was_trained_anew_takes_the_damaged_versions_place(shop: Shop) -> None:
    """A retried job whose stored model was damaged: the version is what the job's result tells of."""
    await shop.published()
    await shop.published("bbbbbbbbbb")
    manifest, ref = await shop.stored(rank=8)
    again = Committed(manifest=ref, final=ref, steps=9, seconds=1, promote=True)
    assert await publish.announce(shop.records, manifest, again) == 1
    assert await publish.announce(shop.records, manifest, again) == 1
    record = await shop.record()
    assert [(v.version, v.job, v.parity) for v in record.versions] == [
        (1, "aaaaaaaaaa", None),
        (2, "bbbbbbbbbb", SAME),
    ]
    assert record.versions[0].manifest == ref
    assert [(c.label, c.manifest) for c in record.checkpoints] == [("1-final", ref)]
    assert record.aliases["latest"] == 2, "it is no newer than what came after it"


async def test_that_it_imitates_somebody_is_known_of_a_version_and_of_no_other(shop: Shop) -> None:
    await shop.published()
    manifest, ref = await shop.stored("bbbbbbbbbb")
    imitates = manifest.model_copy(update={"imitates": True})
    await publish.announce(shop.records, imitates, Committed(manifest=ref, steps=9, seconds=1, promote=False))
    asked = ("main", "main@1", "main@2", "main@latest", "other")
    known = [await shop.models.imitates(shop.guild, model) for model in asked]
    assert known == [False, False, True, True, False]


async def test_a_choice_that_was_made_meanwhile_stays(shop: Shop) -> None:
    await shop.published("aaaaaaaaaa")
    _, manifest, committed = await shop.published("bbbbbbbbbb")
    assert await shop.models.use(shop.guild, "main", "1") == "main@1"
    await shop.models.use_base(shop.guild)
    assert not await publish.promote(shop.records, shop.settings, manifest, committed, SAME)
    assert (await shop.record()).aliases == {"latest": 2, "prod": 1, "previous": 2}
    assert await shop.models.voice(shop.guild) is None


async def test_a_rollback_is_one_step_back_and_another_one_undoes_it(shop: Shop) -> None:
    for job in ("aaaaaaaaaa", "bbbbbbbbbb"):
        await shop.published(job)
    assert await shop.models.rollback(shop.guild, "main") == ("main@2", "main@1")
    assert (await shop.record()).aliases == {"latest": 2, "prod": 1, "previous": 2}
    assert await shop.models.rollback(shop.guild, "main") == ("main@1", "main@2")
    assert (await shop.record()).aliases == {"latest": 2, "prod": 2, "previous": 1}


async def test_there_is_not_always_a_version_to_go_back_to(shop: Shop) -> None:
    async def refused(name: str) -> str:
        with pytest.raises(ChorusError) as error:
            await shop.models.rollback(shop.guild, name)
        return error.value.code

    await shop.published()
    assert await refused("main") == "nothing_to_roll_back"
    assert await refused("nobody") == "unknown_model"
    await shop.published("bbbbbbbbbb")
    gone = Stale(since=now(), blocked_at=now())
    await shop.records.change(model_key(shop.guild, "main"), lambda old: old.marked(gone, {"aaaaaaaaaa"}))
    assert await refused("main") == "model_withdrawn"
    assert (await shop.record()).aliases["prod"] == 2


async def test_a_version_that_answers_otherwise_is_held_back(shop: Shop) -> None:
    answers, *_ = await shop.published(parity=DIFFERS)
    assert not answers
    assert ((await shop.record()).aliases, await shop.voice()) == ({"latest": 1}, None)
    for name in ("1", "prod"):
        with pytest.raises(ChorusError) as held:
            await shop.models.use(shop.guild, "main", name)
        assert held.value.code == "parity_failed"
        assert DIFFERS.reason in held.value.message
    assert await shop.models.use(shop.guild, "main", "1", force=True) == "main@1"
    assert await shop.voice() == "main"


async def test_a_whole_model_answers_only_once_somebody_has_chosen_it(shop: Shop) -> None:
    answers, *_ = await shop.published(form="whole", method="full", rank=0)
    assert not answers
    assert await shop.voice() is None
    assert await shop.models.use(shop.guild, "main", "1") == "main@1"
    assert await shop.voice() == "main"


async def test_what_went_stale_meanwhile_is_not_promoted(shop: Shop) -> None:
    manifest, ref = await shop.stored()
    committed = Committed(manifest=ref, steps=9, seconds=1, promote=True)
    await publish.announce(shop.records, manifest, committed)
    stale = Stale(since=now(), blocked_at=now() + timedelta(days=7))
    await shop.records.change(model_key(shop.guild, "main"), lambda old: old.marked(stale, {manifest.job}))
    assert not await publish.promote(shop.records, shop.settings, manifest, committed, SAME)
    record = await shop.record()
    assert (record.versions[0].parity, record.aliases) == (SAME, {"latest": 1})
    assert await shop.voice() is None


async def test_the_last_step_is_kept_beside_the_best_one(shop: Shop) -> None:
    manifest, ref = await shop.stored()
    _, final = await shop.stored(step=30)
    committed = Committed(manifest=ref, final=final, steps=30, seconds=1, promote=True)
    await publish.announce(shop.records, manifest, committed)
    record = await shop.record()
    found = record.find("1-final")
    assert found is not None
    assert (found.manifest, found.tag, len(record.checkpoints)) == (final, "1-final", 1)
    with pytest.raises(ChorusError) as refused:
        await shop.models.use(shop.guild, "main", "1-final")
    assert refused.value.code == "not_a_version"


async def test_of_snapshots_the_newest_are_kept(shop: Shop) -> None:
    refs: list[ObjectRef] = []
    for epoch in range(1, 6):
        manifest, ref = await shop.stored(step=epoch)
        assert await publish.snapshot(shop.records, shop.store, manifest, ref, epoch) == f"aaaaaaaaaa-{epoch}"
        refs.append(ref)
    again, twice = await shop.stored(step=5, rank=8)
    assert await publish.snapshot(shop.records, shop.store, again, twice, 5) == "aaaaaaaaaa-5"
    record = await shop.record()
    assert [version.manifest for version in record.checkpoints] == refs[2:]
    assert await shop.folders() == {ref.key.rpartition("/")[0] for ref in refs[2:]}
    newest = record.find("aaaaaaaaaa")
    assert newest is not None
    assert newest.label == "aaaaaaaaaa-5"
    await publish.snapshot(shop.records, shop.store, again, refs[4], 5)
    assert await shop.folders() == {ref.key.rpartition("/")[0] for ref in refs[2:]}


async def test_what_a_running_job_goes_on_from_is_kept(shop: Shop) -> None:
    before, ref = await shop.stored()
    await publish.snapshot(shop.records, shop.store, before, ref, 1)
    for epoch in range(1, 5):
        manifest, ref = await shop.stored("bbbbbbbbbb", step=epoch)
        manifest = manifest.model_copy(update={"parent": "main@aaaaaaaaaa-1"})
        await publish.snapshot(shop.records, shop.store, manifest, ref, epoch)
    tags = [version.tag for version in (await shop.record()).checkpoints]
    assert tags == ["aaaaaaaaaa-1", "bbbbbbbbbb-2", "bbbbbbbbbb-3", "bbbbbbbbbb-4"]


# --- taking away ---------------------------------------------------------------------------------
async def test_a_model_is_written_to_a_folder_of_its_own(shop: Shop, tmp_path: Path) -> None:
    _, manifest, _ = await shop.published()
    folder = tmp_path / "mine"
    shown = await shop.run("export", "main", "--to", str(folder))
    assert f"✓ main@1 is in {folder}: 4 files" in shown
    names = {*(file.name for file in manifest.files), LOSSES, MODEL_CARD}
    assert {path.name for path in folder.iterdir()} == names, "sample replies stay where they can be deleted"
    assert (folder / MODEL_CARD).read_text().startswith(MODEL_CARD)
    assert "[file_exists]" in await shop.run("export", "main@1", "--to", str(folder))
    assert not list(tmp_path.glob(".*")), "nothing half-done is left"


async def test_a_whole_model_says_how_it_is_started(shop: Shop, tmp_path: Path) -> None:
    await shop.published(form="whole", method="full", rank=0)
    folder = tmp_path / "whole"
    folder.mkdir()
    assert f"CHORUS_BASE_MODEL={folder}" in await shop.run("export", "main@1", "--to", str(folder))
    assert (folder / "model.safetensors").exists()


async def test_what_is_damaged_or_to_be_forgotten_is_not_handed_out(shop: Shop, tmp_path: Path) -> None:
    _, manifest, committed = await shop.published()
    key = committed.manifest.key.replace("manifest.json", "adapter_model.safetensors")
    await shop.store.put(MODELS, key, b"x" * manifest.files[1].size)
    assert "[object_corrupt]" in await shop.run("export", "main@1", f"--to={tmp_path / 'mine'}")
    assert not (tmp_path / "mine").exists()
    stale = Stale(since=now(), blocked_at=now() + timedelta(days=7))
    await shop.records.change(model_key(shop.guild, "main"), lambda old: old.marked(stale, {manifest.job}))
    assert "[model_withdrawn]" in await shop.run("export", "main@1", f"--to={tmp_path / 'mine'}")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("export", "nobody", "--to", "x"), "unknown_model"),
        (("push", "main@1"), "missing_parameter"),
    ],
)
async def test_what_is_wrong_is_told(shop: Shop, words: Sequence[str], code: str) -> None:
    try:
        assert f"[{code}]" in await shop.run(*words)
    except ChorusError as error:
        assert error.code == code


# --- what nobody needs ---------------------------------------------------------------------------
async def test_adapters_that_nobody_names_are_found(shop: Shop) -> None:
    _, lost = await shop.stored(step=99)
    await shop.published()
    models = Models(shop.records, shop.settings, shop.store)
    soon = now() + timedelta(minutes=1)

    async def found(*busy: str) -> set[str]:
        keys = await models.unnamed(soon, busy)
        return {key.rpartition("/")[0] for key in keys if key.startswith(f"{shop.guild}/")}

    assert await found() == {lost.key.rpartition("/")[0]}
    assert await found(model_key(shop.guild, "main")) == set(), "a job is at work on it"
    assert await models.unnamed(now() - timedelta(hours=1), ()) == [], "it is too new to be lost"


async def test_checkpoints_go_with_their_job(shop: Shop) -> None:
    states = {"aaaaaaaaaa": JobState.PAUSED, "bbbbbbbbbb": JobState.SUCCEEDED, "cccccccccc": None}
    for job, state in states.items():
        await shop.store.put(CHECKPOINTS, f"{shop.guild}/{job}/00000001-1/state.json", b"{}")
        if state is not None:
            record = JobRecord(state=state, job=shop.job(job), updated_at=now())
            await shop.jobs.create(record.key, record)
    checkpoints = shop.checkpoints()
    await checkpoints.clear()
    (left,) = await shop.store.list(CHECKPOINTS, f"{shop.guild}/")
    assert left.key.split("/")[1] == "aaaaaaaaaa"
    assert await checkpoints.busy() >= {model_key(shop.guild, "main")}
    assert await checkpoints.forget(shop.guild, ["other@1"], ["main@1"]) == 0
    assert await checkpoints.forget(shop.guild, ["club@3"], []) == 1
    assert await shop.store.list(CHECKPOINTS, f"{shop.guild}/") == []


async def test_all_that_can_be_gone_on_from_is_named_when_it_goes_stale(shop: Shop) -> None:
    manifest, ref = await shop.stored()
    await publish.snapshot(shop.records, shop.store, manifest, ref, 1)
    _, final = await shop.stored(step=30)
    committed = Committed(manifest=ref, final=final, steps=30, seconds=1, promote=True)
    await publish.announce(shop.records, manifest, committed)
    models = Models(shop.records, shop.settings, shop.store)
    marked = await models.went_stale(shop.guild, "42", set(), now() + timedelta(days=7))
    assert marked == {"main@1": ["main@aaaaaaaaaa-1", "main@1-final", "main@1"]}


async def test_a_waiting_job_whose_data_or_parent_is_gone_fails_and_its_checkpoints_go(shop: Shop) -> None:
    version = dataset(name="club", version=3, guild=shop.guild, withdrawn=FORGOTTEN)
    await shop.datasets.create(dataset_key(shop.guild, "club"), DatasetRecord(versions=[version]))
    _, ref = await shop.stored()
    parent = Parent(model="main@1", manifest=ref)
    fixes = shop.job().data[1:]
    jobs = {
        "aaaaaaaaaa": (JobState.PAUSED, {}),
        "bbbbbbbbbb": (JobState.QUEUED, {"data": fixes, "parent": parent}),
        "cccccccccc": (JobState.RUNNING, {}),
        "dddddddddd": (JobState.PAUSED, {"data": fixes}),
    }
    for name, (state, changes) in jobs.items():
        await shop.store.put(CHECKPOINTS, f"{shop.guild}/{name}/00000001-1/state.json", b"{}")
        job = shop.job(name).model_copy(update=changes)
        record = JobRecord(state=state, job=job, updated_at=now())
        await shop.jobs.create(record.key, record)
    await shop.checkpoints().clear()
    left = await shop.store.list(CHECKPOINTS, f"{shop.guild}/")
    assert [found.key.split("/")[1] for found in left] == ["dddddddddd"]
    records = {e.value.job.job[0]: e.value for e in await shop.jobs.entries(f"{shop.guild}.")}
    codes = {name: record.error.code for name, record in records.items() if record.error}
    assert codes == {"a": "dataset_withdrawn", "b": "parent_gone"}
    assert records["a"].state is records["b"].state is JobState.FAILED
    assert records["c"].state is JobState.RUNNING, "its worker finds out itself"


async def test_the_bucket_does_not_forget_a_job_that_waits(shop: Shop) -> None:
    record = JobRecord(state=JobState.PAUSED, job=shop.job(), updated_at=now())
    ended = JobRecord(state=JobState.FAILED, job=shop.job("bbbbbbbbbb"), updated_at=now())
    before = [await shop.jobs.create(each.key, each) for each in (record, ended)]
    await shop.checkpoints().keep_waiting()
    after = [await shop.jobs.get(each.key) for each in before]
    assert [each.value for each in after if each] == [record, ended], "as it was: a pause is no work"
    assert after[0] is not None
    assert after[0].revision > before[0].revision, "its age is counted from now"
    assert after[1] == before[1]
