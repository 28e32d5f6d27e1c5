"""The training process: one child a job."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from chorus.trainer.process import Child, child_process
from chorus.trainer.training.report import REPORT, Failed, Order, Report, Trained


def training_process(order: Order, folder: Path) -> AbstractAsyncContextManager[Child[Report]]:
    """Start a child that trains; on leaving, nothing of it is left."""
    return child_process(
        *("child", "training"),
        order,
        folder,
        REPORT,
        last=(Trained, Failed),
        environment={"TOKENIZERS_PARALLELISM": "false"},
    )
