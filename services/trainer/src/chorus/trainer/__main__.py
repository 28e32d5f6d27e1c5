"""`python -m chorus.trainer`: datasets and training jobs.

`python -m chorus.trainer --once`: one job of the queue; the process ends when the job has.
"""

import argparse
import sys
from functools import partial

from chorus.common.service import run
from chorus.trainer.app import build
from chorus.trainer.settings import TrainerSettings


def main() -> int:
    """All that this process does; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m chorus.trainer", description="Datasets and training jobs."
    )
    parser.add_argument("--once", action="store_true", help="take one job from the queue, do it, and end")
    return run("trainer", TrainerSettings, partial(build, once=parser.parse_args().once))


if __name__ == "__main__":
    sys.exit(main())
