"""Files and functions small enough to read: a newcomer takes one in at a glance."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FILES = sorted(
    path for top in ("libs", "services", "scripts", "tests") for path in (ROOT / top).rglob("*.py")
)

MOST_LINES, USUAL_LINES = 400, 300
MOST_IN_FUNCTION, USUAL_IN_FUNCTION = 60, 40
LONG_READS = {"services/trainer/src/chorus/trainer/backends/loop.py"}  # training reads best in one piece
FEW = 0.05  # share that may be longer than usual


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function's name and the lines of its code, without its docstring."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = ast.get_docstring(node) is not None
            told = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
            yield node.name, (node.end_lineno or 0) - node.lineno + 1 - told


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_a_file_and_its_functions_are_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES
    if shown(path) not in LONG_READS:
        assert [name for name, lines in functions(path) if lines > MOST_IN_FUNCTION] == []


def test_most_are_shorter_still() -> None:
    long_files = [shown(path) for path in FILES if len(path.read_text("utf-8").splitlines()) > USUAL_LINES]
    assert len(long_files) <= FEW * len(FILES), long_files
    sizes = [(f"{shown(path)}:{name}", lines) for path in FILES for name, lines in functions(path)]
    long_functions = [name for name, lines in sizes if lines > USUAL_IN_FUNCTION]
    assert len(long_functions) <= FEW * len(sizes), long_functions
