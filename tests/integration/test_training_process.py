"""The training process alone: an order in, reports out."""

from pathlib import Path

from chorus.common.contracts.datasets import Example, Turn
from chorus.common.contracts.training import Hyperparameters
from chorus.common.contracts.wire import encode
from chorus.trainer.training.process import training_process
from chorus.trainer.training.report import Order, Stage, Trained

CYRILLIC = ("Мы выходим в море на рассвете, и суп горячий. " * 50)[:1950]


def example(*turns: Turn) -> bytes:
    return encode(Example(messages=list(turns), contributors=["42"], source="test")) + b"\n"


async def told(folder: Path, *examples: bytes) -> tuple[list[str], Trained]:
    """The stages of a training on these examples, and what came of it."""
    (folder / "examples.jsonl").write_bytes(b"".join(examples))
    (folder / "adapter").mkdir()
    order = Order(
        base="starter",
        examples=str(folder / "examples.jsonl"),
        out=str(folder / "adapter"),
        hyperparameters=Hyperparameters(epochs=1),
    )
    async with training_process(order, folder) as process:
        reports = [report async for report in process.reports()]
    assert isinstance(reports[-1], Trained), reports[-1]
    return [report.text for report in reports if isinstance(report, Stage)], reports[-1]


async def test_a_long_text_is_several_examples(tmp_path: Path) -> None:
    stages, trained = await told(tmp_path, example(Turn(role="assistant", content=CYRILLIC)))
    assert "learning" in stages
    assert trained.evaluation.examples > 2


async def test_what_is_left_out_of_a_long_chat_is_said(tmp_path: Path) -> None:
    long = example(Turn(role="user", content=CYRILLIC), Turn(role="assistant", content="Да."))
    short = example(Turn(role="user", content="hi"), Turn(role="assistant", content="hello"))
    stages, trained = await told(tmp_path, long, short)
    assert "learning, of 1 long chat only the last 1,024 tokens" in stages
    assert trained.evaluation.examples == 2
