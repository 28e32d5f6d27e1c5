"""Set-up says what cannot work before minutes have gone into it."""

import re
import sys
import zipfile
from collections import namedtuple
from hashlib import sha256
from pathlib import Path

import pytest
from scripts import setup

Usage = namedtuple("Usage", "total used free")
Version = namedtuple("Version", "major minor micro releaselevel serial")


def test_no_room_is_said_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "PYTHON", tmp_path / "none")
    monkeypatch.setattr(setup.shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 10**9))
    monkeypatch.setattr(setup, "run", lambda command: pytest.fail(f"it runs {command}"))
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert setup.main() == 1
    told = capsys.readouterr().err
    assert "GB of disk are needed" in told
    assert "1.0 GB are free. Make room." in told


def test_an_environment_that_was_cut_short_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """As after Ctrl-C in the first second: there is a python, and no pip yet."""
    monkeypatch.setattr(setup, "VENV", tmp_path)
    monkeypatch.setattr(setup, "PYTHON", tmp_path / "bin/python")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text("")
    ran: list[str] = []
    monkeypatch.setattr(setup, "run", lambda command: ran.append(" ".join(map(str, command))))
    setup.make_environment()
    setup.make_environment()
    assert len(ran) == 2
    assert "venv --clear" in ran[0]
    assert "--no-deps --require-hashes -r" in ran[1]


def test_each_package_of_a_lock_has_one_version_and_a_hash_at_least() -> None:
    locks = sorted(setup.LOCKS.glob("*.lock"))
    assert {lock.name for lock in locks} >= {"pip.lock", "cpu.lock", "dev.lock", "bench.lock"}
    for lock in locks:
        for package in setup.locked(lock):
            pin, *hashes = package.split()
            assert re.fullmatch(r"[a-z0-9-]+==[^=]+", pin), f"{lock.name}: {package}"
            assert hashes, f"{lock.name}: {pin} has no hash"
            assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), pin


def test_other_bytes_than_those_that_were_locked_are_not_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A package of ours with a name that nothing has, and the hash of something else."""
    wheel = tmp_path / "chorus_no_such-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("chorus_no_such-1.0.dist-info/METADATA", "Name: chorus-no-such\nVersion: 1.0\n")
        archive.writestr("chorus_no_such-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("chorus_no_such-1.0.dist-info/RECORD", "")
    monkeypatch.setattr(setup, "PYTHON", Path(sys.executable))
    here = ("--no-index", "--find-links", str(tmp_path), "--dry-run")
    setup.install([f"chorus-no-such==1.0 --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}"], *here)
    with pytest.raises(setup.SetupFailed, match="hands out another file than the one that was locked"):
        setup.install([f"chorus-no-such==1.0 --hash=sha256:{sha256(b'').hexdigest()}"], *here)


def test_another_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.sys, "version_info", Version(3, 9, 2, "final", 0))
    with pytest.raises(setup.SetupFailed, match=r"Python 3\.11 is needed, this is 3\.9\.2"):
        setup.check_machine()


def test_a_full_disk_on_the_way_is_told_in_pips_words_and_how_much_is_needed() -> None:
    fails = [sys.executable, "-c", "import sys; sys.exit('ERROR: [Errno 28] No space left on device')"]
    with pytest.raises(setup.SetupFailed, match="No space left on device") as failure:
        setup.run(fails)
    assert "5 GB of disk are needed" in str(failure.value)
    assert "Make room, then run again." in str(failure.value)
    assert "index" not in str(failure.value)


def test_any_other_failure_may_be_the_networks() -> None:
    with pytest.raises(setup.SetupFailed, match=r"Is the package index reachable\?"):
        setup.run([sys.executable, "-c", "import sys; sys.exit('ERROR: no matching distribution')"])


@pytest.mark.parametrize(
    ("options", "locks"),
    [
        ([], ["cpu.lock"]),
        (["--dev"], ["cpu.lock", "dev.lock"]),
        (["--bench"], ["cpu.lock", "dev.lock", "bench.lock"]),
    ],
)
def test_each_purpose_has_its_packages(
    monkeypatch: pytest.MonkeyPatch, options: list[str], locks: list[str]
) -> None:
    installed: list[str] = []
    for name in ("check_machine", "make_environment", "install_chorus"):
        monkeypatch.setattr(setup, name, lambda: None)
    monkeypatch.setattr(setup, "bring_up_to", lambda lock: installed.append(lock.name))
    monkeypatch.setattr(sys, "argv", ["setup.py", *options])
    assert setup.main() == 0
    assert installed == locks
