"""Programs of Debian's that some tests need (mark `system`): installed where we are root."""

import os
import shutil
import subprocess

import pytest

WITHIN = 300  # seconds, for lists and packages


def needs(program: str, *packages: str) -> None:
    """Have the program here; fails the test where it is missing and cannot be installed."""
    if shutil.which(program):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.fail(f"{program} is missing. Run `apt install {' '.join(packages)}` as root.")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", "--quiet", *command], env=quiet, check=True, timeout=WITHIN)
    assert shutil.which(program)
