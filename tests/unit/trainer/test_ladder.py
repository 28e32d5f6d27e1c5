"""When memory runs out: the same steps in smaller pieces, and the same weights after them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chorus.common.chat import Tokens
from chorus.common.errors import InvalidInput
from chorus.trainer.backends import ladder
from chorus.trainer.backends.ladder import Rung, below, is_out_of_memory, narrowed, that_fits
from chorus.trainer.backends.packed import Batch
from chorus.trainer.backends.saving import read
from chorus.trainer.training.lessons import Group, Lesson
from chorus.trainer.training.report import Notice
from tests.unit.trainer.toy import IDENTITY, Run, ToyModel, recipe_for

TOLERANCE = 1e-6  # between sums in another order, in fp32


def allocator(tokens: int, checkpointed: int) -> Callable[[Batch, bool], bool]:
    """Memory for so many tokens at once, and for so many where activations are computed twice."""
    return lambda batch, checkpointing: batch.ids.numel() > (checkpointed if checkpointing else tokens)


def short_groups() -> list[Group]:
    """Twenty-four lessons of eight tokens: rows of 32 hold four."""
    generator = torch.Generator().manual_seed(3)
    texts = torch.randint(0, 24, (24, 8), generator=generator).tolist()
    return [(Lesson(Tokens(ids, [True] * len(ids))),) for ids in texts]


def a_run(folder: Path, model: ToyModel, **changes: object) -> Run:
    return Run(folder, groups=short_groups(), model=model, changes={"steps": 6, **changes})


def sober(fails: Callable[[Batch, bool], bool] = lambda batch, checkpointing: False) -> ToyModel:
    """Without dropout, whose draws are others in other pieces."""
    return ToyModel(fails, dropout=0.0)


def test_an_allocator_that_fails_drives_the_whole_ladder_and_the_weights_stay_the_same(
    tmp_path: Path,
) -> None:
    plenty = a_run(tmp_path / "a", sober())
    expected = plenty.go()
    # 2 rows of 32 fail, 1 row fails, with activations computed twice it fails, 16 tokens fail, 8 do
    scarce = a_run(tmp_path / "b", sober(allocator(tokens=31, checkpointed=8)))
    learned = scarce.go()
    told = [report.text for report in scarce.told if isinstance(report, Notice)]
    assert [text.split(": ")[1].split(" from here")[0] for text in told] == [
        "1 row at a time",
        "activations are computed twice",
        "rows have at most 16 tokens",
        "rows have at most 8 tokens",
    ]
    assert scarce.model.checkpointing
    assert set(scarce.model.computed) == {8}
    assert learned.state.step == expected.state.step == 6
    assert learned.state.losses == pytest.approx(expected.state.losses, abs=TOLERANCE)
    for name, weight in plenty.weights.items():
        assert torch.allclose(scarce.weights[name], weight, atol=TOLERANCE)


def test_a_resumed_run_begins_on_the_rung_where_it_stood(tmp_path: Path) -> None:
    scarce = a_run(tmp_path, sober(allocator(tokens=32, checkpointed=32)))
    scarce.model.on_batch = lambda: scarce.asked.set() if len(scarce.model.computed) == 5 else None
    scarce.go()
    saved = read(scarce.saved[-1], IDENTITY)
    assert saved.state.rung == Rung(rows=1, row_tokens=32)
    again = a_run(tmp_path, sober(allocator(tokens=32, checkpointed=32)))
    again.go(scarce.saved[-1])
    assert not [report for report in again.told if isinstance(report, Notice)]


def test_what_does_not_fit_one_by_one_is_given_up_in_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not even one example at a time") as raised:
        a_run(tmp_path, sober(allocator(tokens=7, checkpointed=7))).go()
    assert raised.value.code == "out_of_memory"


def test_other_errors_are_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    def broken(batch: Batch, checkpointing: bool) -> bool:
        raise RuntimeError("the shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        a_run(tmp_path, sober(broken)).go()
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert is_out_of_memory(raised.value), "what torch says of a CPU's memory"


def test_a_wish_for_no_checkpointing_is_kept(tmp_path: Path) -> None:
    run = a_run(tmp_path, sober(allocator(tokens=8, checkpointed=99)), activation_checkpointing=False)
    run.go()
    assert not run.model.checkpointing


@pytest.mark.parametrize(
    ("memory", "rung"),
    [
        (1000, Rung(rows=8, row_tokens=32)),
        (900, Rung(rows=4, row_tokens=32)),
        (150, Rung(rows=1, row_tokens=32)),
        (100, Rung(rows=1, row_tokens=32, checkpointing=True)),
    ],
)
def test_a_cpu_begins_where_its_memory_will_do(
    monkeypatch: pytest.MonkeyPatch, memory: int, rung: Rung
) -> None:
    monkeypatch.setattr(ladder, "machine_memory", lambda: memory)
    recipe = recipe_for(short_groups())
    found = that_fits(Rung(rows=8, row_tokens=32), recipe, lambda each: each.rows * 100)
    assert found == rung


def test_the_memory_of_a_machine_is_what_its_container_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(ladder, "CONTAINER_LIMIT", limit)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    whole = ladder.machine_memory()
    assert whole > 2**28
    limit.write_text("max\n")
    assert ladder.machine_memory() == whole
    limit.write_text("12345678\n")
    assert ladder.machine_memory() == 12345678


ROWS = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=6), min_size=1, max_size=6)


@given(ROWS, st.integers(1, 8), st.booleans())
def test_each_rung_is_lower_and_the_last_has_one_example_a_row(
    sizes: list[list[int]], at_once: int, may_checkpoint: bool
) -> None:
    lengths = [size for row in sizes for size in row]
    numbers = iter(range(len(lengths)))
    rows = [[next(numbers) for _ in row] for row in sizes]
    rung: Rung | None = Rung(rows=at_once, row_tokens=max(sum(row) for row in sizes))
    seen: list[Rung] = []
    while rung is not None:
        seen.append(rung)
        assert len(seen) < 50
        now = narrowed(rows, lengths, rung.row_tokens)
        assert [index for row in now for index in row] == list(range(len(lengths)))
        rung = below(rung, rows, lengths, may_checkpoint=may_checkpoint)
    assert seen[-1].rows == 1 or len(rows) == 1
    assert seen[-1].checkpointing is may_checkpoint
    assert all(len(row) == 1 for row in narrowed(rows, lengths, seen[-1].row_tokens))
