"""A folder for work in hand, which is gone when the work is."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def scratch(inside: Path, prefix: str) -> AsyncGenerator[Path]:
    """An empty folder. It is removed off the event loop: to delete gigabytes takes seconds."""
    made = tempfile.TemporaryDirectory(dir=inside, prefix=prefix, ignore_cleanup_errors=True)
    try:
        yield Path(made.name)
    finally:
        await asyncio.to_thread(made.cleanup)
