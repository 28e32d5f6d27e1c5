"""`python -m chorus.speech`: words into sound, and sound into words."""

import sys

from chorus.common.service import run
from chorus.speech.app import build
from chorus.speech.settings import SpeechSettings

if __name__ == "__main__":
    sys.exit(run("speech", SpeechSettings, build))
