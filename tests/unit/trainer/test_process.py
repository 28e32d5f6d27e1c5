"""What is left when a child is ended, and a folder for work in hand."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from chorus.trainer import process
from chorus.trainer.process import Child
from chorus.trainer.scratch import scratch


async def test_what_outlives_a_child_does_not_hold_up_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in a session of its own, with the child's standard output still open."""
    monkeypatch.setattr(process, "ENDS_WITHIN", 0.2)
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(
        *("sh", "-c", "setsid sleep 60 & echo $!; wait"),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    )
    assert running.stdout is not None
    left = int(await running.stdout.readline())
    try:
        async with asyncio.timeout(5):
            await Child(running, "test", TypeAdapter(str), (str,)).end()
        os.kill(left, 0)  # it is there still, or this would raise
    finally:
        os.kill(left, signal.SIGKILL)
    await running.wait()
    assert running.returncode == -signal.SIGKILL


async def test_a_folder_for_work_in_hand_is_removed_off_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    cleanup = tempfile.TemporaryDirectory[str].cleanup

    def noted(made: tempfile.TemporaryDirectory[str]) -> None:
        threads.append(threading.current_thread())
        cleanup(made)

    monkeypatch.setattr(tempfile.TemporaryDirectory, "cleanup", noted)
    with pytest.raises(RuntimeError, match="a fault"):
        async with scratch(tmp_path, "job-") as folder:
            (folder / "file").write_text("x")
            raise RuntimeError("a fault")
    assert not list(tmp_path.iterdir())
    assert threads
    assert threading.main_thread() not in threads


def test_a_child_ends_itself_when_the_gpu_is_anothers_whatever_it_does() -> None:
    program = (
        "from datetime import datetime, timedelta, UTC\n"
        "from chorus.trainer.process import end_at\n"
        "end_at(datetime.now(UTC) + timedelta(seconds=0.2))\n"
        "while True: pass\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], timeout=20)
    assert ended.returncode == 1
