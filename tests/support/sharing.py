"""Which tests go to the same one of the processes that share them (pytest-xdist).

What is costly to start is started once: a file's servers and engines, and the one running Chorus, which
several files use. All other tests go one by one to whoever is free. (The groups of `--dist loadgroup` stand
in the ids of tests, where pytest 9.2 does not look for them any more: they would do nothing.)
"""

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent.parent.parent
USES_CHORUS = "chorus: RunningChorus"  # a fixture or a test takes it so


class Sharing(LoadScopeScheduling):
    """Hands out whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """The group of a test: `chorus`, its file, or itself alone."""
    path = nodeid.partition("::")[0]
    if path.startswith(("tests/integration/", "tests/e2e/")):
        return "chorus" if _uses_chorus(path) else path
    return nodeid


@cache
def _uses_chorus(path: str) -> bool:
    return USES_CHORUS in (ROOT / path).read_text("utf-8")
