"""Several processes that share a run, against one that does all of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from chorus.common.local.servers import HOST, free_ports
from chorus.trainer.backends.ranks import Ranks
from tests.unit.trainer.toy import Run, ToyModel, same

TOLERANCE = 1e-6  # between sums in another order, in fp32


@pytest.mark.slow  # each process needs seconds to import what it needs
def test_two_ranks_learn_what_one_learns(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    environment = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": HOST, "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "tests.unit.trainer.two_ranks", str(tmp_path)]
    both = [
        subprocess.Popen(
            command, env={**environment, "RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE
        )
        for rank in "01"
    ]
    alone = Run(tmp_path / "alone", model=ToyModel(dropout=0.0))
    alone.changes = {"rows_per_step": 5, "steps": 12, "epochs": 3}
    expected = alone.go()
    for process in both:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error.decode()

    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in "01")
    assert same(first, second), "the ranks' weights and losses are the same to the last bit"
    assert torch.allclose(first.pop("losses"), torch.tensor(expected.state.losses), atol=TOLERANCE)
    for name, weight in alone.weights.items():
        assert torch.allclose(first[name], weight, atol=TOLERANCE)
    assert (tmp_path / "0.told").read_text().split() == [type(report).__name__ for report in alone.told]
    assert (tmp_path / "1.told").read_text() == "", "the first rank alone tells"


def test_each_row_is_one_ranks() -> None:
    rows = list(range(7))
    shares = [Ranks(number, 3).share(rows) for number in range(3)]
    assert sorted(row for share in shares for row in share) == rows
    assert [len(share) for share in shares] == [3, 2, 2]
    assert Ranks(2, 3).share(rows[:2]) == []
