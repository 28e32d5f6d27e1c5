"""What the tests of readers share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.trainer.curation.written import Written


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    """Folders of their own for each test."""
    yield Written(tmp_path)
