"""The training process: one child a job."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from chorus.trainer.process import Child, Program, Standby, child_process
from chorus.trainer.training.report import REPORT, Failed, Order, Paused, Report, Trained

ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",
    # A thread that waits for another one sleeps: on two cores that are shared with five other processes, ten
    # steps on the starter took more than a minute where threads spin, and less than a second so.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Whether there is a GPU is asked without waking it: a process that has done so cannot be forked.
    # docs.pytorch.org, "CUDA Environment Variables"
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}

PROGRAM: Program[Report] = Program("child", "training", REPORT, (Trained, Paused, Failed), ENVIRONMENT)

Start = Callable[[Order, Path], AbstractAsyncContextManager[Child[Report]]]
"""Starts a child on an order, with a folder to write it to; on leaving, nothing of it is left."""


def training_process(
    order: Order, folder: Path, *, ranks: int = 1
) -> AbstractAsyncContextManager[Child[Report]]:
    """Start a child that trains, in so many processes."""
    return child_process(PROGRAM, order, folder, ranks=ranks)


def learners(niceness: int = 0) -> Standby[Report]:
    """Processes that train, each alone, and have torch already: five seconds of a core that nobody waits.

    They step back so much for others.
    """
    return Standby(PROGRAM, niceness)
