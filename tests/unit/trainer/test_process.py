"""What is left when a child is ended, and a folder for work in hand."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
import structlog

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InternalError
from chorus.trainer import process
from chorus.trainer.attached import PAUSE
from chorus.trainer.curation.orders import BuildOrder, Built, OrderedFile
from chorus.trainer.datasets.building import curators
from chorus.trainer.process import Host
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
            await Host(running, "test").end()
        os.kill(left, 0)  # it is there still, or this would raise
    finally:
        os.kill(left, signal.SIGKILL)
    await running.wait()
    assert running.returncode == -signal.SIGKILL


def an_order(folder: Path, *, out: str = "out") -> BuildOrder:
    """To build a dataset of one sentence."""
    words = folder / "words.txt"
    words.write_text("We meet on Fridays at eight.", "utf-8")
    return BuildOrder(
        base="starter",
        out=str(folder / out),
        options=BuildOptions(),
        label=True,
        contributor="42",
        opted_out=[],
        out_names=[],
        memory=2**31,
        files=[OrderedFile(name=words.name, path=str(words))],
    )


async def test_orders_are_forks_of_one_process_and_one_that_dies_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    start = Host.start

    async def noted(name: str, *arguments: str, environment: Mapping[str, str]) -> Host:
        started.append(name)
        return await start(name, *arguments, environment=environment)

    monkeypatch.setattr(Host, "start", noted)
    with structlog.testing.capture_logs() as logs:
        async with curators() as standing_by:
            for number in range(3):
                (tmp_path / f"{number}").mkdir()
                async with standing_by.child(an_order(tmp_path, out=f"{number}"), tmp_path) as child:
                    assert [isinstance(report, Built) async for report in child.reports()][-1]
            assert len(started) == 1
            async with standing_by.child(an_order(tmp_path, out="not there"), tmp_path) as child:
                with pytest.raises(InternalError, match="exit code 1") as died:
                    _ = [report async for report in child.reports()]
    assert died.value.code == "curation_process_died"
    (told,) = [line for line in logs if line["event"] == "child died"]
    assert "FileNotFoundError" in told["last_words"][-1]


async def test_what_dies_in_the_middle_of_a_line_is_seen_to_have_ended(tmp_path: Path) -> None:
    program = (
        "import os\n"
        "from chorus.trainer.attached import run\n"
        "def dies(order):\n"
        "    os.write(1, b'half a report')\n"
        "    os.write(2, b'half a word')\n"
        "    os.kill(os.getpid(), 9)\n"
        "run(dies)\n"
    )
    host = await Host.start("test", "-c", program, environment={})
    try:
        async with asyncio.timeout(20):
            await host.take(tmp_path)
            assert [line async for line in host.output()] == [b"half a report\n"]
        assert host.exit_code == -signal.SIGKILL
        assert list(host.last_words) == ["half a word"]
        assert host.alive
    finally:
        await host.end()


async def test_what_stands_by_has_stepped_back_before_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    before = children()
    async with curators(niceness=7) as standing_by:
        await standing_by.warm(0)
        (pid,) = children() - before
        assert os.getpriority(os.PRIO_PROCESS, int(pid)) == 7
        async with standing_by.child(an_order(tmp_path), tmp_path) as child:
            assert [isinstance(report, Built) async for report in child.reports()][-1]
        assert children() - before == {pid}, "that one was forked"


async def test_a_pause_that_comes_after_the_end_is_not_taken_for_an_order(tmp_path: Path) -> None:
    program = "from chorus.trainer.attached import run\nrun(lambda order: print(order.name) or 0)\n"
    host = await Host.start("test", "-c", program, environment={})
    try:
        async with asyncio.timeout(20):
            for name in ("first", "second"):
                await host.take(tmp_path / name)
                assert [line async for line in host.output()] == [f"{name}\n".encode()]
                await host.write(PAUSE)
    finally:
        await host.end()


async def test_an_order_that_is_left_in_the_middle_is_ended_with_its_process(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    before = children()
    async with curators() as standing_by:
        async with standing_by.child(an_order(tmp_path), tmp_path):
            running = children() - before
            assert running
        assert not running & children()


def children() -> set[str]:
    """Ids of the processes that this one has started."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


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
        "from chorus.trainer.attached import end_at\n"
        "end_at(datetime.now(UTC) + timedelta(seconds=0.2))\n"
        "while True: pass\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], timeout=20)
    assert ended.returncode == 1
