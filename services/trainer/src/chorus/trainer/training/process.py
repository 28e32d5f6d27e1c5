"""The training process: one child a job."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from chorus.trainer.process import Child, child_process
from chorus.trainer.training.report import REPORT, Failed, Order, Paused, Report, Trained

ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",
    # A thread that waits for another one sleeps: on two cores that are shared with five other processes, ten
    # steps on the starter took more than a minute where threads spin, and less than a second so.
    "OMP_WAIT_POLICY": "PASSIVE",
}


def training_process(
    order: Order, folder: Path, *, ranks: int = 1
) -> AbstractAsyncContextManager[Child[Report]]:
    """Start a child that trains, in so many processes; on leaving, nothing of it is left."""
    return child_process(
        *("child", "training"),
        order,
        folder,
        REPORT,
        last=(Trained, Paused, Failed),
        environment=ENVIRONMENT,
        ranks=ranks,
    )
