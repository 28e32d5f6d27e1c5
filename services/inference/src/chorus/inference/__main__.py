"""`python -m chorus.inference`: many voices on one engine."""

import sys

from chorus.common.service import run
from chorus.inference.app import build
from chorus.inference.settings import InferenceSettings

if __name__ == "__main__":  # vLLM starts processes that import this file again
    sys.exit(run("inference", InferenceSettings, build))
