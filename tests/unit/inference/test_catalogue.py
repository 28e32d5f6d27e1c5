"""Which version a question means: by number, alias, label or job; and which ones are not served."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chorus.common.bus.state import Entry
from chorus.common.contracts.models import BaseModelId, ModelRecord, ModelVersion, Stale
from chorus.common.contracts.storage import ObjectRef
from chorus.common.errors import ChorusError
from chorus.inference.generation.catalogue import Catalogue

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

    def __init__(self, record: ModelRecord) -> None:
        self.record = record
        self.reads = 0

    async def get(self, key: str) -> Entry[ModelRecord] | None:
        self.reads += 1
        return Entry(key, self.record, self.reads) if key == "1.main" else None


def catalogue(bucket: Bucket) -> Catalogue:
    of: Any = bucket
    return Catalogue(of)


@pytest.mark.parametrize(
    ("asked", "tag"),
    [
        ("main", "2"),
        ("main@2", "2"),
        ("main@2-best", "2"),
        ("main@2-final", "2-final"),
        (f"main@{JOB}", f"{JOB}-2"),
        (f"main@{JOB}-1", f"{JOB}-1"),
    ],
)
async def test_versions_and_checkpoints_are_found(asked: str, tag: str) -> None:
    found = await catalogue(Bucket(RECORD)).find("1", asked)
    assert found is not None
    assert (found[0], found[1].tag) == (f"main@{tag}", tag)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("main@1", "model_withdrawn"),
        ("main@bbbbbbbbbb", "model_withdrawn"),
        ("main@3", "whole_model"),
        ("main@latest", "whole_model"),
        ("main@9", "unknown_version"),
        ("main@cccccccccc-1", "unknown_version"),
        ("other", "unknown_model"),
    ],
)
async def test_what_is_not_served_says_why(asked: str, code: str) -> None:
    with pytest.raises(ChorusError) as refused:
        await catalogue(Bucket(RECORD)).find("1", asked)
    assert refused.value.code == code


async def test_a_whole_model_says_what_to_do() -> None:
    with pytest.raises(ChorusError) as refused:
        await catalogue(Bucket(RECORD)).find("1", "main@3")
    assert "chorus models export main@3" in refused.value.message
    assert "CHORUS_BASE_MODEL=" in refused.value.message


async def test_a_version_that_was_not_heard_of_is_looked_up() -> None:
    """The parity probes of a new version come faster than its news."""
    bucket = Bucket(RECORD)
    voices = catalogue(bucket)
    await voices.find("1", "main@2")
    bucket.record = RECORD.model_copy(update={"versions": [*RECORD.versions, version(4)]})
    found = await voices.find("1", "main@4")
    assert found is not None
    assert bucket.reads == 2
    await voices.find("1", "main@4")
    assert bucket.reads == 2


async def test_a_deadline_that_has_not_come_lets_it_answer() -> None:
    soon = Stale(since=AT, blocked_at=datetime.now(UTC) + timedelta(days=1))
    record = RECORD.model_copy(update={"versions": [version(2, stale=soon)]})
    assert await catalogue(Bucket(record)).find("1", "main") is not None
