"""What `chorus doctor` sees of this machine: room, memory, a GPU or none, what is installed."""

import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

from chorus.common.local.folder import DataFolder
from chorus.common.operations import machine
from chorus.common.operations.findings import Verdict


@pytest.mark.parametrize(
    ("free", "verdict"), [(10**6, Verdict.WRONG), (10**9, Verdict.DOUBTFUL), (10**11, Verdict.GOOD)]
)
def test_room_on_the_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, verdict: Verdict
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    (found,) = machine.disk(DataFolder(tmp_path / "not" / "there" / "yet"))
    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("mib", "limit", "verdict"),
    [
        (64_000, "max", Verdict.GOOD),
        (700, "max", Verdict.DOUBTFUL),
        (64_000, str(200 * 1024**2), Verdict.WRONG),
    ],
)
def test_memory_is_what_the_machine_or_the_container_has_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mib: int, limit: str, verdict: Verdict
) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:   {mib * 1024} kB\n")
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("5001000\n")
    (tmp_path / "memory.stat").write_text("anon 1000\ninactive_file 5000000\n")
    monkeypatch.setattr(machine, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    (found,) = machine.memory()
    assert found.verdict is verdict


async def gpu_of(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> list[tuple[Verdict, str]]:
    program = folder / "nvidia-smi"
    program.write_text(f"#!{sys.executable}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return [(found.verdict, found.what) for found in await machine.gpu()]


async def test_a_gpu_is_told_as_its_driver_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = "NVIDIA H100, 81559 MiB, 81079 MiB, 570.1"
    assert await gpu_of(monkeypatch, tmp_path, f"print({line!r})") == [(Verdict.GOOD, line)]


async def test_a_gpu_whose_driver_fails_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = "print('No devices were found'); raise SystemExit(9)"
    found = await gpu_of(monkeypatch, tmp_path, script)
    assert found == [(Verdict.WRONG, "nvidia-smi fails: No devices were found")]


async def test_a_driver_that_hangs_keeps_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "GPU_WITHIN", 0.2)
    found = await gpu_of(monkeypatch, tmp_path, "import time; time.sleep(600)")
    assert found == [(Verdict.WRONG, "nvidia-smi does not answer.")]


async def test_no_gpu_is_fine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [found.verdict for found in await machine.gpu()] == [Verdict.GOOD]


def test_what_is_not_as_locked_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requirements").mkdir()
    lock = tmp_path / "requirements/cpu.lock"
    lock.write_text(f"# Written by\npydantic=={version('pydantic')}\nminio==0.0.1\nnot-there-at-all==1.0\n")
    python, packages = machine.versions()
    assert python.verdict is Verdict.GOOD
    assert packages.verdict is Verdict.DOUBTFUL
    assert "minio" in packages.what
    assert "not-there-at-all missing" in packages.what
    assert "pydantic" not in packages.what


def test_what_is_installed_here_is_as_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    assert machine.versions()[1].verdict is Verdict.GOOD


async def test_the_servers_of_one_machine_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert [found.verdict for found in await machine.programs()] == [Verdict.GOOD, Verdict.GOOD]
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    assert [found.verdict for found in await machine.programs()] == [Verdict.WRONG]


def test_a_secret_that_others_may_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "open.nk").write_text("")
    (tmp_path / "open.nk").chmod(0o644)
    (tmp_path / "closed.nk").touch(0o600)
    (found,) = machine.private([tmp_path / name for name in ("open.nk", "closed.nk", "none.nk")])
    assert found.fix == f"chmod 600 {tmp_path}/open.nk"
