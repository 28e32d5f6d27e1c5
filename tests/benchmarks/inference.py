"""Inference, client to client: beside bare vLLM, stock vLLM and transformers; then under loads that are hard.

The service is a process of its own, with its environment, on a real nats-server and a real S3 server. Peers
are processes of their own with the same engine settings and the same prompts; rounds alternate. Bases never
end a reply by themselves, so that all sides write as many tokens.
"""

import tempfile
from pathlib import Path

from tests.benchmarks.figures import Report


async def measure() -> Report:
    """All parts, one after the other, in a throw-away folder."""
    # Here, for the other benchmarks' children count as their own the memory that torch would take.
    from tests.benchmarks.serving import parts

    report = Report("inference")
    with tempfile.TemporaryDirectory() as folder:
        await parts.run(Path(folder), report)
    return report
