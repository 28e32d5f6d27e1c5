"""Models on this machine's disk: fetched once, whole or not at all, checked, and the oldest make room."""

import asyncio
import errno
import fcntl
import os
from pathlib import Path

import pytest

from chorus.common.contracts.models import MANIFEST
from chorus.common.errors import ChorusError, TooLarge, Unavailable
from chorus.common.objects import CorruptObject
from chorus.inference.generation import disk as disk_module
from chorus.inference.generation.catalogue import Found
from chorus.inference.generation.checks import CONFIG, WEIGHTS
from chorus.inference.generation.disk import Disk
from chorus.inference.generation.shelf import Shelf
from tests.unit.inference.engines import until
from tests.unit.inference.shelves import Store, shelf_of, size_of, written


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    return written(folder)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


async def fetched(shelf: Shelf, found: Found, guild: str = "1") -> Path:
    async with shelf.borrow(guild, *found) as kept:
        return kept.folder


def kept(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()}


def sha256(found: Found) -> str:
    return found.version.manifest.sha256


# --- from S3 -------------------------------------------------------------------------------------
async def test_a_folder_holds_the_manifest_and_its_files(store: Store, adapter: Path, cache: Path) -> None:
    found = store.publish(adapter)
    folder = await fetched(shelf_of(store, cache), found)
    assert folder == cache / sha256(found)
    assert {path.name for path in folder.iterdir()} == {MANIFEST, CONFIG, WEIGHTS}
    assert (folder / WEIGHTS).read_bytes() == (adapter / WEIGHTS).read_bytes()


async def test_it_is_fetched_once_however_many_ask_and_whoever_leaves(
    store: Store, adapter: Path, cache: Path
) -> None:
    found = store.publish(adapter)
    shelf = shelf_of(store, cache)
    store.open.clear()
    first, *others = [asyncio.create_task(fetched(shelf, found)) for _ in range(20)]
    async with asyncio.timeout(5):
        while not store.gets:
            await asyncio.sleep(0.001)
    first.cancel()
    store.open.set()
    assert set(await asyncio.gather(*others)) == {cache / sha256(found)}
    assert first.cancelled()
    assert set(store.gets.values()) == {1}


async def test_what_is_on_disk_is_served_while_s3_is_away(store: Store, adapter: Path, cache: Path) -> None:
    found = store.publish(adapter)
    await fetched(shelf_of(store, cache), found)
    store.wrong = Unavailable("away", code="objects_unavailable")
    assert await fetched(shelf_of(store, cache), found), "by the next process, too"


@pytest.mark.parametrize("damage", ["one byte", "shorter", "gone", "one more", "manifest"])
async def test_what_was_damaged_on_disk_is_fetched_again(
    store: Store, adapter: Path, cache: Path, damage: str
) -> None:
    found = store.publish(adapter)
    folder = await fetched(shelf_of(store, cache), found)
    weights = folder / WEIGHTS
    data = weights.read_bytes()
    if damage == "gone":
        weights.unlink()
    elif damage == "one more":
        (folder / "more.bin").write_bytes(b"")
    elif damage == "manifest":
        (folder / MANIFEST).write_bytes(b"{}")
    else:
        weights.write_bytes(data[:-1] + (b"\x01" if damage == "one byte" else b""))
    assert await fetched(shelf_of(store, cache), found) == folder
    assert weights.read_bytes() == data
    assert {path.name for path in folder.iterdir()} == {MANIFEST, CONFIG, WEIGHTS}


async def test_a_folder_that_somebody_removed_is_fetched_again(
    store: Store, adapter: Path, cache: Path
) -> None:
    found = store.publish(adapter)
    shelf = shelf_of(store, cache)
    folder = await fetched(shelf, found)
    (folder / WEIGHTS).unlink()
    assert (await fetched(shelf, found) / WEIGHTS).exists()


# --- what is wrong has a code, and leaves nothing ------------------------------------------------
async def refused(store: Store, cache: Path, found: Found, guild: str = "1") -> ChorusError:
    with pytest.raises(ChorusError) as error:
        await fetched(shelf_of(store, cache), found, guild)
    assert kept(cache) == set(), "nothing half-made is left"
    return error.value


@pytest.mark.parametrize("name", [MANIFEST, CONFIG, WEIGHTS])
async def test_a_missing_object(store: Store, adapter: Path, cache: Path, name: str) -> None:
    found = store.publish(adapter)
    del store.objects[found.version.manifest.key.replace(MANIFEST, name)]
    assert (await refused(store, cache, found)).code == "no_object"


@pytest.mark.parametrize("name", [MANIFEST, CONFIG, WEIGHTS])
async def test_a_corrupt_object(store: Store, adapter: Path, cache: Path, name: str) -> None:
    found = store.publish(adapter)
    key = found.version.manifest.key.replace(MANIFEST, name)
    store.objects[key] = bytes(len(store.objects[key]))
    assert (await refused(store, cache, found)).code == CorruptObject.default_code == "object_corrupt"


async def test_what_does_not_fit_is_refused_before_it_is_fetched(
    store: Store, adapter: Path, cache: Path
) -> None:
    found = store.publish(adapter, base={"name": "other", "fingerprint": "0" * 64})
    assert (await refused(store, cache, found)).code == "wrong_base"
    assert set(store.gets) == {found.version.manifest.key}


async def test_what_the_engine_does_not_serve_never_appears(store: Store, adapter: Path, cache: Path) -> None:
    found = store.publish(written(adapter, {"use_dora": True}))
    assert (await refused(store, cache, found)).code == "unsupported_adapter"


async def test_another_guilds_is_refused_by_its_key_and_by_its_manifest(
    store: Store, adapter: Path, cache: Path
) -> None:
    found = store.publish(adapter)
    assert (await refused(store, cache, found, "2")).code == "other_guild"
    theirs = found.version.manifest.key.removeprefix("1/")
    store.objects |= {key.replace("1/", "2/", 1): data for key, data in store.objects.items()}
    ref = found.version.manifest.model_copy(update={"key": f"2/{theirs}"})
    copied = Found(found.name, found.version.model_copy(update={"manifest": ref}))
    assert (await refused(store, cache, copied, "2")).code == "other_guild"


@pytest.mark.parametrize("name", ["../evil", "/evil", ".hidden", MANIFEST])
async def test_a_file_can_lie_nowhere_else(store: Store, adapter: Path, cache: Path, name: str) -> None:
    evil = {"name": name, "size": 0, "sha256": "0" * 64}
    found = store.publish(adapter)
    bad = store.objects[found.version.manifest.key].replace(
        b'"files":[', b'"files":[' + str(evil).replace("'", '"').encode() + b","
    )
    found = Found(found.name, found.version.model_copy(update={"manifest": store.replace(found, bad)}))
    assert (await refused(store, cache, found)).code == "unsupported_adapter"


async def test_a_full_disk_is_told(
    store: Store, adapter: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store, "get_file", full)
    error = await refused(store, cache, store.publish(adapter))
    assert (error.code, error.retryable) == ("disk_failed", True)
    assert "No space left" in error.message


# --- the least recently used make room -----------------------------------------------------------
def several(store: Store, adapter: Path, count: int) -> tuple[list[Found], int]:
    """Versions of the same size, and that."""
    found = [store.publish(adapter, f"m{number:02}") for number in range(count)]
    (size,) = {size_of(store, each) for each in found}
    return found, size


async def test_the_least_recently_used_goes_for_the_next_one(
    store: Store, adapter: Path, cache: Path
) -> None:
    (a, b, c), size = several(store, adapter, 3)
    shelf = shelf_of(store, cache, 2 * size)
    for found in (a, b, a, c):
        await fetched(shelf, found)
    assert kept(cache) == {sha256(a), sha256(c)}


async def test_what_was_used_when_survives_a_restart(store: Store, adapter: Path, cache: Path) -> None:
    (a, b, c), size = several(store, adapter, 3)
    shelf = shelf_of(store, cache, 2 * size)
    for found in (a, b, a):
        await fetched(shelf, found)
    await fetched(shelf_of(store, cache, 2 * size), c)
    assert kept(cache) == {sha256(a), sha256(c)}


async def test_what_is_borrowed_stays_and_a_full_disk_is_told(
    store: Store, adapter: Path, cache: Path
) -> None:
    (a, b, c), size = several(store, adapter, 3)
    shelf = shelf_of(store, cache, 2 * size)
    async with shelf.borrow("1", *a), shelf.borrow("1", *b):
        with pytest.raises(Unavailable) as error:
            await fetched(shelf, c)
        assert error.value.code == "no_room_on_disk"
        assert kept(cache) == {sha256(a), sha256(b)}
    await fetched(shelf, c)
    assert sha256(c) in kept(cache)


async def test_several_at_once_do_not_exceed_the_limit(store: Store, adapter: Path, cache: Path) -> None:
    found, size = several(store, adapter, 12)
    shelf = shelf_of(store, cache, 3 * size)
    await asyncio.gather(*(fetched(shelf, each) for each in found[:3]))
    await asyncio.gather(*(fetched(shelf, each) for each in found), return_exceptions=True)
    assert 0 < sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) <= 3 * size


async def test_what_is_larger_than_the_limit_is_refused(store: Store, adapter: Path, cache: Path) -> None:
    with pytest.raises(TooLarge, match="CHORUS_ADAPTERS_ON_DISK"):
        await fetched(shelf_of(store, cache, 100), store.publish(adapter))


async def test_what_another_process_holds_stays(store: Store, adapter: Path, cache: Path) -> None:
    """Two processes may share a cache, and vLLM dies when the folder of a loaded adapter goes."""
    (a, b), size = several(store, adapter, 2)
    await fetched(shelf_of(store, cache, size), a)
    theirs = os.open(cache / sha256(a), os.O_RDONLY)
    fcntl.flock(theirs, fcntl.LOCK_SH)
    with pytest.raises(Unavailable):
        await fetched(shelf_of(store, cache, size), b)
    os.close(theirs)
    await fetched(shelf_of(store, cache, size), b)
    assert kept(cache) == {sha256(b)}


async def test_one_that_is_borrowed_is_locked_for_other_processes(
    store: Store, adapter: Path, cache: Path
) -> None:
    found = store.publish(adapter)
    shelf = shelf_of(store, cache)
    async with shelf.borrow("1", *found), shelf.borrow("1", *found):
        assert not Disk(cache, 0).drop(sha256(found))
    assert Disk(cache, 0).drop(sha256(found))


def is_locked(folder: Path) -> bool:
    """For another process, as it sees it."""
    theirs = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(theirs)
    return False


def test_who_locks_it_again_never_lets_go_of_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(cache, 100)
    (cache / "a").mkdir()
    locked: list[bool] = []
    lock = disk_module._locked

    def looked(folder: Path, kind: int) -> int | None:
        locked.append(is_locked(folder))
        return lock(folder, kind)

    monkeypatch.setattr(disk_module, "_locked", looked)
    with disk.hold("a"):
        assert disk.lock("a")
        assert disk.lock("a")
    assert locked == [False, True]
    assert not is_locked(cache / "a")


async def test_a_damaged_one_that_is_in_use_is_replaced_in_one_moment(
    store: Store, adapter: Path, cache: Path
) -> None:
    """An engine may look for its folder at any time, and dies where there is none."""
    found = store.publish(adapter)
    shelf = shelf_of(store, cache)
    async with shelf.borrow("1", *found) as used:
        (used.folder / WEIGHTS).unlink()
        before = store.gets.total()
        store.open.clear()
        again = asyncio.create_task(fetched(shelf, found))
        await until(lambda: store.gets.total() > before)
        assert used.folder.is_dir()
        store.open.set()
        assert (await again / WEIGHTS).exists()
        assert is_locked(used.folder)
    assert kept(cache) == {sha256(found)}


def test_what_a_killed_process_left_is_removed_and_what_one_fetches_now_is_not(cache: Path) -> None:
    (cache / ".fetching-left").mkdir(parents=True)
    (cache / ".fetching-left" / WEIGHTS).write_bytes(b"half")
    disk = Disk(cache, 100)
    assert kept(cache) == set()
    with disk.partial() as folder:
        Disk(cache, 100)
        assert kept(cache) == {folder.name}
    assert kept(cache) == set()


# --- what may not stay ---------------------------------------------------------------------------
async def test_what_is_not_wanted_any_more_goes_when_nobody_borrows_it(
    store: Store, adapter: Path, cache: Path
) -> None:
    (a, b, c), _ = several(store, adapter, 3)
    shelf = shelf_of(store, cache)
    await fetched(shelf, c)
    async with shelf.borrow("1", *a):
        await fetched(shelf, b)
        await shelf.keep_only({sha256(b)})
        assert kept(cache) == {sha256(a), sha256(b)}, "one is in use"
    assert kept(cache) == {sha256(b)}


# --- whole models --------------------------------------------------------------------------------
async def test_a_whole_model_is_fetched_whatever_its_base(store: Store, cache: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model-00001-of-00002.safetensors", "chat_template.jinja"):
        (tmp_path / name).write_text(name)
    other = {"name": "other", "fingerprint": "0" * 64}
    found = store.publish(tmp_path, base=other, form="whole", method="full", rank=0)
    folder = await fetched(shelf_of(store, cache), found)
    assert (folder / "config.json").read_text() == "config.json"


async def test_a_whole_model_with_a_pickle_is_refused(store: Store, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_text("code")
    found = store.publish(tmp_path, form="whole", method="full", rank=0)
    assert (await refused(store, cache, found)).code == "unsupported_adapter"
