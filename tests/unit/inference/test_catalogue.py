"""Which version a question means: by number, alias, label or job; and which ones may not answer."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chorus.common.bus.state import Entry
from chorus.common.contracts.models import BaseModelId, ModelRecord, ModelVersion, Stale
from chorus.common.contracts.storage import ObjectRef
from chorus.common.errors import ChorusError, Unavailable
from chorus.inference.generation import catalogue as module
from chorus.inference.generation.catalogue import Catalogue, Known
from tests.unit.inference.engines import until

AT = datetime(2026, 1, 2, tzinfo=UTC)
JOB = "k7f3m2qxab"


def version(number: int, **changes: Any) -> ModelVersion:
    return ModelVersion(
        version=number,
        manifest=ObjectRef(bucket="models", key=f"1/main/{number}/manifest.json", size=1, sha256="0" * 64),
        base=BaseModelId(name="starter", fingerprint="0" * 64),
        dataset="club@1",
        job="a" * 10,
        created_at=AT,
    ).model_copy(update=changes)


GONE = Stale(since=AT, blocked_at=AT)
RECORD = ModelRecord(
    guild="1",
    name="main",
    versions=[version(1, stale=GONE), version(2), version(3, form="whole")],
    checkpoints=[
        version(2, label="2-final"),
        version(1, label=f"{JOB}-1", job=JOB),
        version(2, label=f"{JOB}-2", job=JOB),
        version(3, label="bbbbbbbbbb-3", job="b" * 10, stale=GONE),
    ],
    aliases={"latest": 3, "prod": 2},
)


class Bucket:
    """What the catalogue reads of a bucket."""

    def __init__(self, record: ModelRecord | None) -> None:
        self.record = record
        self.reads = 0
        self.wrong: ChorusError | None = None
        self.news = asyncio.Queue[ModelRecord]()

    async def get(self, key: str) -> Entry[ModelRecord] | None:
        self.reads += 1
        return Entry(key, self.record, self.reads) if key == "1.main" and self.record else None

    async def entries(self) -> list[Entry[ModelRecord]]:
        if self.wrong is not None:
            raise self.wrong
        entry = await self.get("1.main")
        return [entry] if entry else []

    async def follow(self) -> AsyncIterator[Entry[ModelRecord]]:
        while True:
            self.record = await self.news.get()
            self.reads += 1
            yield Entry("1.main", self.record, self.reads)


def catalogue(bucket: Bucket) -> Catalogue:
    of: Any = bucket
    return Catalogue(of)


async def tags(record: ModelRecord, asked: str, guild: str = "1") -> list[str]:
    """Of all that may answer."""
    found = await catalogue(Bucket(record)).choices(guild, asked)
    assert all(each.name == f"main@{each.version.tag}" for each in found)
    return [each.version.tag for each in found]


@pytest.mark.parametrize(
    ("asked", "tag"),
    [
        ("main", "2"),
        ("main@2", "2"),
        ("main@best", "2"),
        ("main@final", "2-final"),
        ("main@2-best", "2"),
        ("main@2-final", "2-final"),
        (f"main@{JOB}", f"{JOB}-2"),
        (f"main@{JOB}-1", f"{JOB}-1"),
        ("main@3", "3"),
        ("main@latest", "3"),
    ],
)
async def test_versions_and_checkpoints_are_found(asked: str, tag: str) -> None:
    assert await tags(RECORD, asked) == [tag]


@pytest.mark.parametrize("asked", [None, "base"])
async def test_nobody_else_answers_for_the_base(asked: str | None) -> None:
    assert await catalogue(Bucket(RECORD)).choices("1", asked) == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("main@1", "model_withdrawn"),
        ("main@bbbbbbbbbb", "model_withdrawn"),
        ("main@9", "unknown_version"),
        ("main@previous", "unknown_version"),
        ("main@cccccccccc-1", "unknown_version"),
        ("other", "unknown_model"),
        ("main@../x", "invalid_model_name"),
    ],
)
async def test_what_may_not_answer_says_why(asked: str, code: str) -> None:
    with pytest.raises(ChorusError) as refused:
        await tags(RECORD, asked)
    assert refused.value.code == code


async def test_a_guild_cannot_name_anothers() -> None:
    with pytest.raises(ChorusError) as refused:
        await tags(RECORD, "main", guild="2")
    assert refused.value.code == "unknown_model"


# --- who stands in -------------------------------------------------------------------------------
def promoted(*versions: ModelVersion, **aliases: int) -> ModelRecord:
    return RECORD.model_copy(update={"versions": list(versions), "aliases": aliases})


async def test_what_answered_before_stands_in_for_a_name_alone() -> None:
    record = promoted(version(1), version(2), prod=2, previous=1)
    assert await tags(record, "main") == ["2", "1"]
    for asked in ("main@2", "main@prod", "main@best"):
        assert await tags(record, asked) == ["2"], "who names a version gets that one"


async def test_nobody_stands_in_who_may_not_answer_or_is_a_whole_model() -> None:
    assert await tags(promoted(version(1, stale=GONE), version(2), prod=2, previous=1), "main") == ["2"]
    assert await tags(promoted(version(1, form="whole"), version(2), prod=2, previous=1), "main") == ["2"]
    assert await tags(promoted(version(1), version(2, form="whole"), prod=2, previous=1), "main") == ["2"]
    assert await tags(promoted(version(1), version(2, stale=GONE), prod=2, previous=1), "main") == ["1"]


async def test_a_version_that_was_not_heard_of_is_looked_up() -> None:
    """The parity probes of a new version come faster than its news."""
    bucket = Bucket(RECORD)
    voices = catalogue(bucket)
    await voices.choices("1", "main@2")
    bucket.record = RECORD.model_copy(update={"versions": [*RECORD.versions, version(4)]})
    assert await voices.choices("1", "main@4")
    assert bucket.reads == 2
    await voices.choices("1", "main@4")
    assert bucket.reads == 2


async def test_a_deadline_that_has_not_come_lets_it_answer() -> None:
    soon = Stale(since=AT, blocked_at=datetime.now(UTC) + timedelta(days=1))
    record = RECORD.model_copy(update={"versions": [version(2, stale=soon)]})
    assert await tags(record, "main") == ["2"]


# --- news ----------------------------------------------------------------------------------------
class Listener:
    """Who follows a catalogue."""

    def __init__(self, bucket: Bucket) -> None:
        self.news: list[ModelRecord] = []
        self.permitted: Mapping[str, Known] | None = None
        self.catalogue = catalogue(bucket)
        self.task = asyncio.create_task(self.catalogue.follow(self.news.append, self._keep))

    def _keep(self, permitted: Mapping[str, Known]) -> None:
        self.permitted = permitted

    def names(self) -> set[str] | None:
        return None if self.permitted is None else {known.name for known in self.permitted.values()}


def told_apart(record: ModelRecord) -> ModelRecord:
    """With a manifest of its own for each."""

    def own(each: ModelVersion) -> ModelVersion:
        sha256 = each.tag.encode().hex().rjust(64, "0")
        return each.model_copy(update={"manifest": each.manifest.model_copy(update={"sha256": sha256})})

    versions, checkpoints = map(own, record.versions), map(own, record.checkpoints)
    return record.model_copy(update={"versions": list(versions), "checkpoints": list(checkpoints)})


async def test_what_may_stay_is_told_at_the_start_and_with_each_change() -> None:
    bucket = Bucket(told_apart(RECORD))
    listener = Listener(bucket)
    may = {"main@2", "main@3", "main@2-final", f"main@{JOB}-1", f"main@{JOB}-2"}
    await until(lambda: listener.names() == may)
    assert listener.news == []
    changed = told_apart(RECORD.model_copy(update={"checkpoints": [], "versions": [version(2, stale=GONE)]}))
    await bucket.news.put(changed)
    await until(lambda: listener.names() == set())
    assert listener.news == [changed]
    listener.task.cancel()


async def test_deletions_and_deadlines_bring_no_news_and_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = AT
    monkeypatch.setattr(module, "SWEEP_EVERY", 0.01)
    monkeypatch.setattr(module, "now", lambda: clock)
    soon = Stale(since=AT, blocked_at=AT + timedelta(days=1))
    bucket = Bucket(told_apart(promoted(version(1), version(2, stale=soon), prod=1)))
    bucket.record = bucket.record and bucket.record.model_copy(update={"checkpoints": []})
    listener = Listener(bucket)
    await until(lambda: listener.names() == {"main@1", "main@2"})
    clock += timedelta(days=1)
    await until(lambda: listener.names() == {"main@1"})
    bucket.wrong = Unavailable("away", code="state_unavailable")
    reads, bucket.record = bucket.reads, None
    assert await listener.catalogue.choices("1", "main")
    assert (bucket.reads, listener.names()) == (reads, {"main@1"}), (
        "what is known is known while NATS is away"
    )
    bucket.wrong = None
    await until(lambda: listener.names() == set())
    with pytest.raises(ChorusError) as refused:
        await listener.catalogue.choices("1", "main")
    assert refused.value.code == "unknown_model"
    listener.task.cancel()
