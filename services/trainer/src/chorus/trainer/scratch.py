"""A folder for work in hand, which is gone when the work is."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def scratch(inside: Path, prefix: str, *, alone: bool = False) -> AsyncGenerator[Path]:
    """An empty folder. It is removed off the event loop: to delete gigabytes takes seconds.

    `alone` says that nobody else may work under this prefix: what a killed process left there goes first.
    """
    if alone:
        await asyncio.to_thread(_remove, inside, prefix)
    made = tempfile.TemporaryDirectory(dir=inside, prefix=prefix, ignore_cleanup_errors=True)
    try:
        yield Path(made.name)
    finally:
        await asyncio.to_thread(made.cleanup)


def _remove(inside: Path, prefix: str) -> None:
    for left in inside.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
