"""Checkpoints: whole or not there, proved by hashes, and refused where they do not belong."""

import errno
import json
import threading
from pathlib import Path

import pytest
import torch

from chorus.common.errors import InvalidInput
from chorus.trainer.backends import saving
from chorus.trainer.backends.ladder import Rung
from chorus.trainer.backends.saving import Checkpoint, Saver, State, read, write
from chorus.trainer.training.report import Notice, Saved
from tests.unit.trainer.toy import IDENTITY

FILES = {"weights.safetensors", "optimizer.safetensors", "state.json"}


def a_checkpoint(step: int = 7) -> Checkpoint:
    state = State(
        identity=IDENTITY, rung=Rung(rows=3, row_tokens=256), step=step, losses=[1.5, 0.1 + 0.2], tokens=99
    )
    tensors = {
        "weights": {"a": torch.randn(3, 4), "b": torch.tensor(2.0)},
        "optimizer": {"a.step": torch.tensor(7.0)},
    }
    return Checkpoint(state, tensors)


def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    written = a_checkpoint()
    folder = write(tmp_path, written)
    found = read(folder, IDENTITY)
    assert found.state == written.state
    for name, tensors in written.tensors.items():
        assert found.tensors[name].keys() == tensors.keys()
        assert all(torch.equal(found.tensors[name][key], tensors[key]) for key in tensors)
    assert set(json.loads((folder / "manifest.json").read_text())) == FILES


@pytest.mark.parametrize("name", sorted(FILES | {"manifest.json"}))
@pytest.mark.parametrize("how", ["cut off", "one bit", "gone", "empty"])
def test_a_damaged_one_is_refused(tmp_path: Path, name: str, how: str) -> None:
    path = write(tmp_path, a_checkpoint()) / name
    data = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes({"cut off": data[: len(data) // 2], "one bit": data, "empty": b""}[how])
    with pytest.raises(InvalidInput, match="The checkpoint is damaged") as raised:
        read(path.parent, IDENTITY)
    assert raised.value.code == "damaged_checkpoint"
    assert str(tmp_path) not in raised.value.message


@pytest.mark.parametrize("what", ["recipe", "data", "base"])
def test_one_of_another_training_is_refused_and_the_difference_named(tmp_path: Path, what: str) -> None:
    folder = write(tmp_path, a_checkpoint())
    with pytest.raises(InvalidInput, match=f"its {what} differ") as raised:
        read(folder, IDENTITY.model_copy(update={what: "f" * 64}))
    assert raised.value.code == "other_checkpoint"


def test_the_newest_two_are_kept_and_nothing_unfinished(tmp_path: Path) -> None:
    (tmp_path / ".step-00000003").mkdir()  # of a process that was killed
    for step in (1, 2, 3, 3):
        write(tmp_path, a_checkpoint(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]


@pytest.mark.parametrize("breaks", ["save_file", "_to_disk"])
def test_a_full_disk_is_told_and_the_next_one_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    told: list[Saved | Notice] = []
    saver = Saver(tmp_path, told.append, every=0.0)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(saving, breaks, full)
        saver.save(a_checkpoint(1))
        saver.finish()
    assert saver.step == 0
    assert not list(tmp_path.iterdir())
    saver.save(a_checkpoint(2))
    saver.finish()
    notice, saved = told
    assert isinstance(notice, Notice)
    assert (notice.level, "No space left on device" in notice.text) == ("warn", True)
    assert saved == Saved(step=2, folder=str(tmp_path / "step-00000002"))
    assert saver.step == 2


def test_none_is_due_before_its_time_or_while_one_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not Saver(tmp_path, print, every=60.0).due
    saver = Saver(tmp_path, lambda told: None, every=0.0)
    looked = threading.Event()
    monkeypatch.setattr(saving, "save_file", lambda *_: looked.wait(60))
    assert saver.due
    saver.save(a_checkpoint())
    assert not saver.due
    looked.set()
    saver.finish()
    assert saver.due
