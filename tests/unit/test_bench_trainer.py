"""The trainer's benchmark where it can be run without its peers and without a GPU."""

from pathlib import Path
from statistics import mean

import pytest
import torch

from tests.benchmarks.training import large
from tests.benchmarks.training.lessons import MEAN, ROW, SHORTEST, Shape, write_chats
from tests.benchmarks.training.stopwatch import tokens_a_second

TINY = Shape(layers=1, hidden=64, intermediate=128, heads=2, key_heads=1, vocabulary=2048, tied=False)


def test_a_large_models_speed_is_measured_by_training_it_from_a_configuration_alone(tmp_path: Path) -> None:
    found = large.measure(TINY, tmp_path, rows=1, steps=2, compiled=False)
    assert found.tokens_per_s > 0
    assert found.peak_gib >= 0
    assert not list(tmp_path.glob("*.safetensors"))


def test_chats_are_short_and_their_second_half_is_learned() -> None:
    chats = write_chats(2000, seed=3)
    lengths = [len(chat.ids) for chat in chats]
    assert mean(lengths) == pytest.approx(MEAN, rel=0.1)
    assert SHORTEST <= min(lengths) < MEAN < max(lengths) <= ROW
    assert all(sum(chat.learn) == len(chat.ids) - len(chat.ids) // 2 for chat in chats)
    assert chats == write_chats(2000, seed=3)


def test_first_steps_do_not_count() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)

    def learn(steps: int) -> list[int]:
        for _ in range(steps):
            weight.grad = torch.ones(1)
            optimizer.step()
        return [10**12, 7, 5]

    assert 0 < tokens_a_second(learn, warm_up=1, steps=2) < 10**10
