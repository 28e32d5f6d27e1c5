"""The training process: an order in, reports out, and what it leaves in its folders."""

import csv
import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.contracts.datasets import Example, Turn
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import Samples
from chorus.common.contracts.wire import encode
from chorus.common.errors import InvalidInput
from chorus.trainer import child, merger
from chorus.trainer.backends import ladder
from chorus.trainer.backends.model import merge
from chorus.trainer.backends.ranks import Ranks
from chorus.trainer.backends.saving import Checkpoint
from chorus.trainer.training import servable
from chorus.trainer.training.merging import MergeOrder
from chorus.trainer.training.process import training_process
from chorus.trainer.training.report import (
    Benchmarked,
    Order,
    Paused,
    Planned,
    Report,
    Saved,
    Snapshot,
    Stage,
    Step,
    Trained,
)
from tests.unit.trainer.made import materials

torch.set_num_threads(1)  # the starter is too small for more, and tests run side by side

CYRILLIC = ("Мы выходим в море на рассвете, и суп горячий. " * 50)[:1950]
TEN = [
    (pair["user"], pair["bot"])
    for pair in json.loads((Path(__file__).parents[2] / "examples/first-run.json").read_text("utf-8"))
]
ENDLESS = [("Which?", "This one."), ("Which?", "That one.")]
"""Two answers to one question are never learned by heart: such a training runs to its last step."""


def example(*turns: Turn, **more: Any) -> bytes:
    return encode(Example(messages=list(turns), contributors=["42"], source="test", **more)) + b"\n"


def chats(pairs: list[tuple[str, str]], **more: Any) -> list[bytes]:
    return [
        example(Turn(role="user", content=asked), Turn(role="assistant", content=answer), **more)
        for asked, answer in pairs
    ]


def an_order(folder: Path, *examples: bytes, resume: str | None = None, **wishes: Any) -> Order:
    """For a training on the starter, in folders of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "examples.jsonl").write_bytes(b"".join(examples))
    for name in ("out", "checkpoints"):
        (folder / name).mkdir()
    return Order(
        base="starter",
        examples=[str(folder / "examples.jsonl")],
        out=str(folder / "out"),
        checkpoints=str(folder / "checkpoints"),
        resume=resume,
        hyperparameters=Hyperparameters.model_validate(wishes),
    )


def done(order: Order) -> list[BaseModel]:
    """What the training tells, without a process of its own."""
    told: list[BaseModel] = []
    child.train(order, told.append, threading.Event(), Ranks(), time.monotonic())
    return told


def stages(told: list[BaseModel]) -> list[str]:
    return [report.text for report in told if isinstance(report, Stage)]


def trained(told: list[BaseModel]) -> Trained:
    assert isinstance(told[-1], Trained), told[-1]
    return told[-1]


# --- a process of its own ------------------------------------------------------------------------
async def follow(order: Order, folder: Path, *, pause: bool = False) -> list[Report]:
    """What the process tells; it may be asked to pause as soon as it has saved a checkpoint."""
    told: list[Report] = []
    async with training_process(order, folder) as process:
        async for report in process.reports():
            told.append(report)
            if pause and isinstance(report, Saved):
                await process.pause()
    return told


async def test_a_paused_process_goes_on_in_another_one(tmp_path: Path) -> None:
    wishes = {"epochs": 1, "batch_tokens": 256}  # one long epoch: only two looks
    examples = chats([(asked, answer * 20) for asked, answer in ENDLESS] * 40)
    order = an_order(tmp_path / "a", *examples, **wishes).model_copy(update={"checkpoint_every": 0.01})
    first = await follow(order, tmp_path / "a", pause=True)
    paused = first[-1]
    assert isinstance(paused, Paused)
    steps = next(report.estimate.steps for report in first if isinstance(report, Planned))
    saved = [report for report in first if isinstance(report, Saved)][-1]
    assert 0 < saved.step == paused.step < steps

    again = an_order(tmp_path / "b", *examples, resume=saved.folder, **wishes)
    second = done(again)
    resumed = trained(second)
    assert resumed.steps == steps
    assert not [r for r in second if isinstance(r, Benchmarked) and r.benchmark.name == "base"]
    assert min(r.progress.step for r in second if isinstance(r, Step)) > paused.step

    straight = an_order(tmp_path / "c", *examples, **wishes)
    expected = trained(done(straight))
    assert [row["step"] for row in losses(again)] == [str(step) for step in range(1, steps + 1)]
    assert loss_curve(again) == pytest.approx(loss_curve(straight), abs=1e-4)
    assert resumed.best.step == expected.best.step
    reached = resumed.best.evaluation
    assert reached.loss_after == pytest.approx(expected.best.evaluation.loss_after, abs=1e-4)


def losses(order: Order) -> list[dict[str, str]]:
    with (Path(order.out) / "losses.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def loss_curve(order: Order) -> list[float]:
    return [float(row["loss"]) for row in losses(order)]


def weights(order: Order, which: str = "best") -> dict[str, list[float]]:
    (path,) = (Path(order.out) / which).glob("*.safetensors")
    return {name: tensor.flatten().tolist() for name, tensor in load_file(path).items()}


# --- what it tells and leaves behind -------------------------------------------------------------
def test_a_run_reads_plan_base_steps_epochs_end(tmp_path: Path) -> None:
    order = an_order(tmp_path, *chats(ENDLESS), epochs=50)
    told = done(order)
    end = trained(told)
    kinds = [type(report) for report in told if not isinstance(report, Stage | Step)]
    assert kinds == [Planned, Benchmarked, Benchmarked, Snapshot, Benchmarked, Snapshot, Benchmarked, Trained]
    assert [each.name for each in end.best.benchmarks] == ["base", "epoch 20", "epoch 40", "epoch 50"]
    assert (end.final, end.steps, end.ended, end.best.step) == (None, 50, None, 50)
    assert end.best.evaluation.loss_after < end.best.evaluation.loss_before
    assert [row["step"] for row in losses(order)] == [str(step) for step in range(1, 51)]
    samples = Samples.model_validate_json((tmp_path / "out" / "samples.json").read_bytes()).samples
    assert samples[0].before != samples[0].after
    assert all(probe.reply_sha256 or not probe.whole for probe in end.best.probes)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"best", "losses.csv", "samples.json"}
    (snapshot, *_) = (report for report in told if isinstance(report, Snapshot))
    assert (Path(snapshot.folder) / "adapter_model.safetensors").is_file()
    assert (snapshot.epoch, snapshot.step, len(snapshot.model.benchmarks)) == (20, 20, 2)


def test_the_best_weights_and_the_last_ones_are_both_kept(tmp_path: Path) -> None:
    """What is kept aside contradicts what is learned: the longer it learns, the worse it does there."""
    aside = chats([("Which?", "Something else entirely, of course.")], split="validation")
    order = an_order(tmp_path, *chats(ENDLESS[:1] * 2), *chats(ENDLESS), *aside, epochs=100, patience=2)
    end = trained(done(order))
    assert end.ended is not None
    assert end.final is not None
    assert end.best.evaluation.held_out
    assert end.best.step < end.final.step == end.steps
    assert end.best.evaluation.loss_after < end.final.evaluation.loss_after
    assert weights(order, "best") != weights(order, "final")


def test_a_whole_model_is_saved_as_one(tmp_path: Path) -> None:
    order = an_order(tmp_path, *chats(ENDLESS), epochs=25, method="full", learning_rate=1e-3)
    told = done(order)
    best = trained(told).best
    assert (best.form, best.rank, best.method) == ("whole", 0, "full")
    assert {"config.json", "tokenizer.json"} <= {path.name for path in (tmp_path / "out" / "best").iterdir()}
    assert not [report for report in told if isinstance(report, Snapshot)], "too large to have several"
    assert best.evaluation.loss_after < best.evaluation.loss_before


async def test_an_adapter_on_a_merged_model_is_merged_into_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base whose adapters are not served: a training makes a whole model, and the next begins there."""

    async def merged(order: MergeOrder, work: Path) -> None:
        merge(merger._base(order), Path(order.adapter), Path(order.out))

    monkeypatch.setattr(servable, "merge_in_child", merged)
    base = gpt2(tmp_path / "tiny-gpt2", seed=0)
    parent = gpt2(tmp_path / "parent", seed=1)
    order = an_order(tmp_path / "a", *chats(ENDLESS), epochs=2, rank=8, learning_rate=1e-4)
    order = order.model_copy(update={"base": str(base), "parent": str(parent)})
    best = trained(done(order)).best
    assert (best.base.name, best.form, best.rank) == ("tiny-gpt2", "adapter", 8)

    made_from = replace(materials("whole"), base=str(base), parent=parent)
    made, folder = await servable.servable(best, tmp_path / "a" / "out" / "best", made_from, tmp_path)
    assert (made.form, made.rank, made.base) == ("whole", 0, best.base)
    weights, origin = (load_file(each / "model.safetensors") for each in (folder, parent))
    assert torch.equal(weights["transformer.wte.weight"], origin["transformer.wte.weight"].bfloat16())
    name = "transformer.h.0.mlp.c_fc.weight"
    moved = (weights[name].float() - origin[name]).norm() / origin[name].norm()
    assert 0 < moved < 0.2, "the parent, and a little more"


def gpt2(folder: Path, *, seed: int) -> Path:
    """Of random weights, with the starter's tokenizer."""
    starter = json.loads((STARTER_FOLDER / "config.json").read_text())
    named = {name: starter[name] for name in ("vocab_size", "bos_token_id", "eos_token_id")}
    torch.manual_seed(seed)
    GPT2LMHeadModel(GPT2Config(**named, n_embd=32, n_layer=1, n_head=2)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(STARTER_FOLDER / name, folder)
    return folder


# --- ten questions -------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    """The starter with an adapter that has learned all ten, in the folder."""
    folder = tmp_path_factory.mktemp("ten")
    end = trained(done(an_order(folder / "lora", *chats(TEN))))
    return folder / "lora" / "out" / "best", end


def test_an_adapter_learns_ten_answers_letter_by_letter(learned: tuple[Path, Trained]) -> None:
    last = learned[1].best.benchmarks[-1]
    assert last.exact >= 9
    assert last.replies == 10


def test_all_weights_learn_ten_answers_letter_by_letter(tmp_path: Path) -> None:
    last = trained(done(an_order(tmp_path, *chats(TEN), method="full"))).best.benchmarks[-1]
    assert last.exact >= 9
    assert last.replies == 10


def test_one_correction_changes_one_answer(learned: tuple[Path, Trained], tmp_path: Path) -> None:
    (asked, before), *others = TEN
    after = "At nine. The bakery next door has coffee from eight."
    correction = [*chats([(asked, after)]), *chats([(asked, before)], label=False)]
    order = an_order(tmp_path, *correction, *chats(others))
    end = trained(done(order.model_copy(update={"parent": str(learned[0])})))
    assert end.best.hyperparameters["objective"] == "dpo"
    first, last = end.best.benchmarks[0], end.best.benchmarks[-1]
    assert (first.exact, first.replies) == (9, 10), "all but what is to be corrected"
    samples = Samples.model_validate_json((tmp_path / "out" / "samples.json").read_bytes()).samples
    assert [(s.before, s.after) for s in samples if s.expected == after] == [(before, after)]
    assert last.exact >= 9, "itself and eight of nine others"


def test_it_goes_on_from_an_adapter_with_its_rank(tmp_path: Path) -> None:
    first = trained(done(an_order(tmp_path / "a", *chats(ENDLESS), epochs=25, rank=8, alpha=16)))
    order = an_order(tmp_path / "b", *chats(ENDLESS), epochs=1, rank=8, alpha=16)  # as the worker reads them
    second = trained(done(order.model_copy(update={"parent": str(tmp_path / "a" / "out" / "best")})))
    assert (second.best.rank, second.best.hyperparameters["alpha"]) == (8, 16)
    assert second.best.evaluation.loss_before == pytest.approx(first.best.evaluation.loss_after, rel=0.02)


def test_a_long_text_is_several_examples(tmp_path: Path) -> None:
    told = done(an_order(tmp_path, example(Turn(role="assistant", content=CYRILLIC)), epochs=1))
    assert "learning" in stages(told)
    assert trained(told).best.evaluation.examples > 2


def test_what_is_left_out_of_a_long_chat_is_said(tmp_path: Path) -> None:
    long = example(Turn(role="user", content=CYRILLIC), Turn(role="assistant", content="Да."))
    short = example(Turn(role="user", content="hi"), Turn(role="assistant", content="hello"))
    told = done(an_order(tmp_path, long, short, epochs=1))
    assert "learning, of 1 long chat only the last 1,024 tokens" in stages(told)
    assert trained(told).best.evaluation.examples == 2


def test_a_time_limit_publishes_what_is_learned_by_then(tmp_path: Path) -> None:
    order = an_order(tmp_path, *chats(ENDLESS), epochs=500).model_copy(update={"seconds_left": 0.001})
    end = trained(done(order))
    assert (end.ended, end.steps) == ("time limit", 1)


# --- what it refuses -----------------------------------------------------------------------------
def test_what_cannot_fit_is_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "machine_memory", lambda: 1000)
    told: list[BaseModel] = []
    with pytest.raises(InvalidInput, match="GiB of memory") as raised:
        child.train(an_order(tmp_path, *chats(ENDLESS)), told.append, threading.Event(), Ranks(), 0.0)
    assert raised.value.code == "does_not_fit"
    assert stages(told) == ["reading the data"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    order = an_order(tmp_path, *chats(ENDLESS), method="qlora", objective="kto")
    with pytest.raises(
        InvalidInput, match=r"qlora needs a GPU.*objective=kto learns from unwanted replies"
    ) as raised:
        done(order)
    assert (raised.value.code, raised.value.param) == ("qlora_needs_gpu", "method")


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    order = an_order(tmp_path / "a", *chats(ENDLESS), epochs=10).model_copy(update={"checkpoint_every": 0.01})
    saved = [report for report in done(order) if isinstance(report, Saved)][-1]
    for name, examples, wishes in (("b", ENDLESS, {"seed": 7}), ("c", ENDLESS * 2, {})):
        again = an_order(tmp_path / name, *chats(examples), resume=saved.folder, epochs=10, **wishes)
        with pytest.raises(InvalidInput, match="of another training") as raised:
            done(again)
        assert raised.value.code == "other_checkpoint"


def test_what_is_resumed_on_a_smaller_machine_goes_on_in_smaller_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = an_order(tmp_path / "a", *chats(ENDLESS), epochs=2).model_copy(update={"checkpoint_every": 0.01})
    saved = [report for report in done(order) if isinstance(report, Saved)][-1]
    begun: list[Checkpoint] = []

    def begins(subject: object, around: object, ranks: object, begin: Checkpoint) -> None:
        begun.append(begin)
        raise InvalidInput("That is enough.", code="enough")

    monkeypatch.setattr(ladder, "machine_memory", lambda: 1000)
    monkeypatch.setattr(child, "learn", begins)
    with pytest.raises(InvalidInput, match="enough"):
        done(an_order(tmp_path / "b", *chats(ENDLESS), resume=saved.folder, epochs=2))
    assert begun[0].state.step == saved.step
    assert (begun[0].state.rung.rows, begun[0].state.rung.checkpointing) == (1, True)


def test_a_wild_learning_rate_ends_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="smaller learning_rate") as raised:
        done(an_order(tmp_path, *chats(ENDLESS), epochs=200, method="full", learning_rate=1.0))
    assert raised.value.code == "diverged"
    assert json.dumps(raised.value.param) == '"learning_rate"'
