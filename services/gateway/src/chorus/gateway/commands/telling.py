"""How a training is told while it goes on, and when it has ended: the same words in every front-end."""

from chorus.common.contracts.training import JobRecord
from chorus.gateway.commands.replies import Problem, Text


def stage(record: JobRecord) -> str:
    """What is being done, in a few words."""
    return record.stage or str(record.state)


def figures(record: JobRecord) -> list[str]:
    """Steps, loss, speed, time left: what is known of them."""
    progress = record.progress
    if progress is None:
        return []
    told = [f"step {progress.step}/{progress.steps}"]
    if progress.loss is not None:
        told.append(f"loss {progress.loss:.3f}")
    if progress.tokens_per_s is not None:
        told.append(f"{progress.tokens_per_s:,.0f} tokens/s")
    if progress.seconds_left is not None:
        minutes, seconds = divmod(round(progress.seconds_left), 60)
        told.append(f"{minutes}:{seconds:02d} left")
    return told


def outcome(record: JobRecord) -> Text | Problem:
    """How it ended."""
    if record.result:
        result = record.result
        where = "on examples kept aside" if result.held_out else "on the examples"
        return Text(
            f"✓ {result.model} is trained: loss {where} "
            f"{result.loss_before:.2f} → {result.loss_after:.2f}, "
            f"{result.steps} steps in {result.seconds:.0f} s. "
            + ("It answers now." if result.in_use else f"To have it answer: !use {result.model}")
        )
    if record.error:
        return Problem(record.error.code, f"Training failed. {record.error.message}")
    return Text(f"Job {record.job.job} is {record.state}.")
