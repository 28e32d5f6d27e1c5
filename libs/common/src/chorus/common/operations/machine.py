"""Checks of this machine: room on its disk, memory, a GPU, what is installed."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from chorus.common.errors import Misconfigured
from chorus.common.local.folder import ROOM, DataFolder
from chorus.common.local.servers import binary
from chorus.common.operations.findings import Finding, doubtful, good, wrong

GIB = 1024**3
ROOMY = 5 * GIB  # bytes: what the README asks for
TIGHT, SCANT = 1 * GIB, GIB // 4  # bytes of memory: a base model of some size, and the starter
OLDEST_PYTHON = (3, 11)
GPU_WITHIN = 5.0  # seconds: a driver that hangs never answers
LOCKS = ("requirements/cpu.lock",)
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s+;]+)", re.MULTILINE)
SHOWN = 5  # packages

MEMORY = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def disk(folder: DataFolder) -> list[Finding]:
    """Room for what is kept."""
    there = next(path for path in (folder.root, *folder.root.parents) if path.exists())
    free = shutil.disk_usage(there).free
    told = f"{free / GIB:.1f} GiB are free in {there}"
    if not os.access(there, os.W_OK | os.X_OK):
        return [wrong("disk", f"{there} cannot be written.", "Name a folder of yours in CHORUS_DATA.")]
    if free < ROOM:
        return [wrong("disk", f"{told}; {ROOM / 1e6:.0f} MB are needed.", "Make room, or set CHORUS_DATA.")]
    if free < ROOMY:
        return [doubtful("disk", f"{told}.", "5 GiB are better: models and checkpoints are kept there.")]
    return [good("disk", f"{told}.")]


def memory() -> list[Finding]:
    """What may still be taken, of the machine or of this container."""
    if not MEMORY.exists():
        return [doubtful("memory", "This system does not say how much there is.")]
    kib = int(re.findall(r"^MemAvailable:\s+(\d+)", MEMORY.read_text(), re.MULTILINE)[0])
    free = min(kib * 1024, left_in_group(CGROUP))
    told = f"{free / GIB:.1f} GiB are free."
    if free < SCANT:
        return [wrong("memory", told, "End other programs, or give the container more.")]
    if free < TIGHT:
        return [doubtful("memory", told, "Enough for the starter model, not for one of some size.")]
    return [good("memory", told)]


def left_in_group(group: Path) -> float:
    """Bytes that a container may still take; infinite without a limit."""
    names = ("memory.max", "memory.current", "memory.stat")
    try:
        most, used, stat = ((group / name).read_text().strip() for name in names)
    except OSError:
        return float("inf")
    if not most.isdigit():
        return float("inf")
    cached = re.search(r"^inactive_file (\d+)$", stat, re.MULTILINE)  # files, which make room by themselves
    return float(most) - float(used) + float(cached[1] if cached else 0)


async def gpu() -> list[Finding]:
    """An NVIDIA GPU, as its driver tells of it. None at all is fine."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return [good("gpu", "None here (no nvidia-smi): models run on the CPU.")]
    fields = "--query-gpu=name,memory.total,memory.free,driver_version"
    child = await asyncio.create_subprocess_exec(
        *[program, fields, "--format=csv,noheader"],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said = (await asyncio.wait_for(child.communicate(), GPU_WITHIN))[0].decode("utf-8", "replace").strip()
    except TimeoutError:
        child.kill()
        await child.wait()
        return [wrong("gpu", "nvidia-smi does not answer.", "The driver hangs: look into `dmesg`, reboot.")]
    if child.returncode:
        first = said.splitlines()[0] if said else f"exit code {child.returncode}"
        return [wrong("gpu", f"nvidia-smi fails: {first}", "Install the driver for this kernel.")]
    return [good("gpu", line) for line in said.splitlines()]


def versions() -> list[Finding]:
    """Python, and what is installed beside what the locks say."""
    here = sys.version_info[:3]
    shown = ".".join(map(str, here))
    python = (
        good("python", f"{shown}, Chorus {version('chorus-common')}.")
        if here >= OLDEST_PYTHON
        else wrong("python", f"{shown} is too old.", "Chorus needs 3.11 or newer.")
    )
    return [python, *(_lock(Path(name)) for name in LOCKS)]


def _lock(path: Path) -> Finding:
    try:
        wanted = dict(PINNED.findall(path.read_text("utf-8")))
    except OSError:
        return good("packages", f"There is no {path} here to compare them with.")
    different = differences(wanted)
    if not different:
        return good("packages", f"All {len(wanted)} are as {path} has them.")
    more = f", and {len(different) - SHOWN} more" if len(different) > SHOWN else ""
    return doubtful(
        "packages",
        f"Not as {path} has them: {', '.join(different[:SHOWN])}{more}.",
        f"pip install --no-deps -r {path}",
    )


def differences(wanted: Mapping[str, str]) -> list[str]:
    """Packages that are not there, or in another version. A build's label (`+cpu`) does not count."""
    found: list[str] = []
    for name, pinned in wanted.items():
        try:
            have = version(name).partition("+")[0]
        except PackageNotFoundError:
            have = "missing"
        if have != pinned:
            found.append(f"{name} {have} (not {pinned})")
    return found


async def programs() -> list[Finding]:
    """The two servers that `chorus up` starts."""
    try:
        return [await _version_of("nats-server", "--version"), await _version_of("weed", "version")]
    except Misconfigured as error:
        return [wrong("servers", error.message)]


async def _version_of(name: str, *words: str) -> Finding:
    child = await asyncio.create_subprocess_exec(
        binary(name), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        said = (await child.communicate())[0].decode("utf-8", "replace").strip()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        return wrong(name, f"It ends with {child.returncode}.", "Install it anew: `make setup`.")
    return good(name, said.splitlines()[0] if said else "It starts.")


def private(files: Sequence[Path]) -> list[Finding]:
    """Files with secrets in them that others can read."""
    open_to_others = [path for path in files if path.is_file() and path.stat().st_mode & 0o077]
    return [
        doubtful("secrets", f"Others on this machine may read {path}.", f"chmod 600 {path}")
        for path in open_to_others
    ]
