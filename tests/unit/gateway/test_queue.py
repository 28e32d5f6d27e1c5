"""What people are told when a job cannot be queued, or when a model's files are not as they should be."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.errors import APIError

from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.training import JobRecord, JobState
from chorus.common.errors import ChorusError, InternalError
from chorus.gateway.backends.queue import FULL, publish
from chorus.gateway.commands.ports import ModelFiles
from chorus.gateway.frontends.cli.models import export
from tests.unit.trainer.made import AT, a_job


class Failing:
    """A queue that fails in one way."""

    def __init__(self, error: NatsError) -> None:
        self._error = error

    async def publish(self, *_: object, **__: object) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (APIError(err_code=FULL), "queue_full", "Wait for one to end"),
        (APIError(err_code=1, description="no room"), "queue_refused", "no room"),
        (NatsTimeout(), "queue_unavailable", "!job aaaaaaaaaa"),
    ],
)
async def test_a_queue_that_does_not_take_a_job_says_why(error: NatsError, code: str, words: str) -> None:
    js: Any = Failing(error)
    with pytest.raises(ChorusError, match=words) as raised:
        await publish(js, JobRecord(state=JobState.QUEUED, job=a_job(), updated_at=AT))
    assert raised.value.code == code


async def test_a_file_that_would_land_elsewhere_is_not_written(tmp_path: Path) -> None:
    ref = ObjectRef(bucket="models", key="1/x", size=1, sha256="0" * 64)

    async def files(*_: object) -> ModelFiles:
        return ModelFiles("main@1", {"../outside": ref})

    ctx: Any = SimpleNamespace(guild="1", chorus=SimpleNamespace(models=SimpleNamespace(files=files)))
    with pytest.raises(InternalError) as raised:
        await export(ctx, "main", tmp_path / "model")
    assert raised.value.code == "unsupported_model"
    assert not list(tmp_path.iterdir())
