"""The training process's end: what it tells of a failure, and what torchrun sees of it."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.errors import InvalidInput
from chorus.trainer import child
from chorus.trainer.backends.ranks import Ranks
from chorus.trainer.training.report import Failed, Order


def ended(
    error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch, *, count: int
) -> tuple[int, list[BaseModel]]:
    """The exit code of the last of so many ranks whose training fails so, and what it told."""
    order = Order(base="starter", examples=[], out="", checkpoints="", hyperparameters=Hyperparameters())
    (folder / "order.json").write_text(order.model_dump_json(), "utf-8")
    told: list[BaseModel] = []

    @contextmanager
    def joined() -> Generator[Ranks]:
        yield Ranks(count - 1, count)

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(child, "attached", lambda: (told.append, threading.Event()))
    monkeypatch.setattr(child.ranks, "joined", joined)
    monkeypatch.setattr(child, "train", fails)
    monkeypatch.setenv("WORLD_SIZE", str(count))
    return child.main(folder / "order.json"), told


@pytest.mark.parametrize(("count", "code"), [(1, 0), (2, 1)])
def test_a_rank_that_fails_ends_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, code: int
) -> None:
    error = InvalidInput("Nothing fits.", code="out_of_memory", param="max_tokens")
    exit_code, told = ended(error, tmp_path, monkeypatch, count=count)
    assert exit_code == code
    assert told == [Failed(code="out_of_memory", message="Nothing fits.", param="max_tokens")]


def test_a_cpu_that_runs_out_of_memory_anywhere_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    exit_code, told = ended(error, tmp_path, monkeypatch, count=1)
    assert exit_code == 0
    assert [report.code for report in told if isinstance(report, Failed)] == ["out_of_memory"]


def test_any_other_error_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        ended(RuntimeError("the shapes do not fit"), tmp_path, monkeypatch, count=1)
