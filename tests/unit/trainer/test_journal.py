"""What counts as work on a job."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from chorus.common.contracts.training import JobRecord, JobState
from chorus.trainer.training import journal
from chorus.trainer.training.journal import Journal
from tests.unit.trainer.made import AT, a_job


def test_waiting_is_no_work_and_counts_for_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(at=1000.0)
    monkeypatch.setattr(journal, "time", SimpleNamespace(monotonic=lambda: clock.at))
    record = JobRecord(state=JobState.RUNNING, job=a_job(), updated_at=AT, seconds=50)
    job = Journal(MagicMock(), MagicMock(record=record))
    clock.at += 7
    with pytest.raises(RuntimeError), job.idle():
        clock.at += 300
        raise RuntimeError("it was cancelled meanwhile")
    clock.at += 3
    assert job.seconds == 60
