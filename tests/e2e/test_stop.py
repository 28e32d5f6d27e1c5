"""However it ends, nothing is left: no process, no port, no file that says it runs."""

import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest

from chorus.common.errors import Misconfigured
from chorus.common.local.folder import DataFolder
from chorus.common.local.servers import free_ports
from tests.support.chorus import STOP_WITHIN, session_pids, started, still_running

CHORUS = str(Path(sysconfig.get_path("scripts")) / "chorus")


def until_started(folder: Path, errors: Path, part: str) -> None:
    """Wait until a part of the stack is ready."""
    give_up_at = time.monotonic() + 60
    while not any(line.split()[:2] == ["ready", part] for line in errors.read_text().splitlines()):
        assert time.monotonic() < give_up_at, errors.read_text()
        time.sleep(0.05)


def nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_while_starting(tmp_path: Path, number: int) -> None:
    """Ctrl-C, `kill`, and a launcher that is killed: with the servers up and vLLM on its way."""
    (port,) = free_ports(1)
    with started(tmp_path, CHORUS_NATS_PORT=str(port)) as running:
        until_started(tmp_path, running.errors, "trainer")
        assert not nobody_listens(port)
        pids = session_pids(running.process.pid)
        assert len(pids) >= 5
        os.kill(running.process.pid, number)
        running.process.wait(STOP_WITHIN)
        give_up_at = time.monotonic() + STOP_WITHIN
        while still_running(pids):
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
        assert nobody_listens(port)
        assert not (tmp_path / "stack.json").exists()
        if number != signal.SIGKILL:  # else the next start clears it away
            assert not (tmp_path / "chorus-tmp").exists()
            told = running.errors.read_text()
            assert told.index("Chorus is stopping.") < told.index("Everything is stopped.")


def test_a_second_stack_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with started(tmp_path) as first:
        until_started(tmp_path, first.errors, "nats")
        other = tmp_path / "elsewhere"
        other.mkdir()
        with started(other, CHORUS_DATA=str(tmp_path)) as second:
            assert second.process.wait(30) == 78
            assert "already runs" in second.errors.read_text()


def test_a_base_model_that_cannot_be_had_ends_the_start_in_one_sentence(tmp_path: Path) -> None:
    with started(tmp_path, CHORUS_BASE_MODEL="./nowhere/at/all") as running:
        assert running.process.wait(90) != 0
        told = running.errors.read_text()
    assert "inference cannot start. CHORUS_BASE_MODEL: './nowhere/at/all' cannot be had" in told
    assert "Traceback" not in told


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with started(tmp_path, CHORUS_NATS_PORT=str(port)) as running:
            assert running.process.wait(60) != 0
            told = running.errors.read_text()
    assert f"CHORUS_NATS_PORT: {port} is taken" in told


def test_a_second_console_of_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{}")  # left by a launcher that was killed
    environment = {**os.environ, "CHORUS_DATA": str(tmp_path)}
    alone = subprocess.run(
        [CHORUS, "console"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert alone.returncode == 1
    assert "No Chorus runs on" in alone.stderr


@pytest.mark.parametrize("name", ["operator.nk", "speech.s3"])
def test_a_damaged_key_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / name).write_text("{")
    with started(tmp_path) as running:
        assert running.process.wait(60) == 78
        told = running.errors.read_text()
    assert f"{name}isdamaged.Putitback" in "".join(told.split())  # lines break anywhere in a long path
    assert "Traceback" not in told


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2_000_000))
    with pytest.raises(Misconfigured, match="2 MB are free"), DataFolder(tmp_path).held():
        pytest.fail("it goes on")
