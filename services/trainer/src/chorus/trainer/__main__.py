"""`python -m chorus.trainer`: datasets and training jobs."""

import sys

from chorus.common.service import run
from chorus.trainer.app import build
from chorus.trainer.settings import TrainerSettings

if __name__ == "__main__":
    sys.exit(run("trainer", TrainerSettings, build))
