"""What several files here share."""

from collections.abc import AsyncGenerator

import pytest

from tests.unit.inference.openai_api import Server, listening


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    """A server with OpenAI's API; nothing may be asked of it that was not arranged."""
    double = Server()
    async with listening(double):
        yield double
    assert double.strange == []
