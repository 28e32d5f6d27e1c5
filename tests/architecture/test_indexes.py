"""Where a package tells what its modules are, it tells of all of them, and of none that is not there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ENTRY = re.compile(r"^ *(?:· )?([a-z_]+(?:(?: ·|,) [a-z_]+)*)(?:  +\S.*)?$", re.MULTILINE)


def index(package: Path) -> set[str]:
    """Names that a package's docstring explains."""
    told = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
    return {name for entry in ENTRY.findall(told) for name in re.findall(r"\w+", entry)}


PACKAGES = [
    package
    for top in ("libs", "services")
    for package in sorted(init.parent for init in (ROOT / top).rglob("src/**/__init__.py"))
    if index(package)
]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.relative_to(ROOT).as_posix())
def test_an_index_tells_of_all_modules(package: Path) -> None:
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert modules - index(package) == set(), "these are not told of"
    assert index(package) - modules - folders == set(), "these are not there"
