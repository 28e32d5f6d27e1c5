"""A training's figures in words: how far it is, what was measured, what it will take."""

from collections.abc import Iterable

from chorus.common.contracts.models import Benchmark
from chorus.common.contracts.training import Estimate, Progress
from chorus.common.contracts.wire import MIB
from chorus.gateway.commands.phrases import counted

GIB = 1024 * MIB
IN_SECONDS = 100.0  # times up to this are told in seconds


def figures(progress: Progress) -> Iterable[str]:
    """Steps, epoch, loss, speed, time left: what is known of them."""
    yield f"step {progress.step}/{progress.steps}"
    if progress.epoch is not None and progress.epochs is not None:
        yield f"epoch {progress.epoch}/{progress.epochs}"
    if progress.loss is not None:
        yield f"loss {progress.loss:.3f}"
    if progress.tokens_per_s is not None:
        yield f"{progress.tokens_per_s:,.0f} tokens/s"
    if progress.seconds_left is not None:
        yield f"{duration(progress.seconds_left)} left"


def measured(benchmark: Benchmark) -> Iterable[str]:
    """What a benchmark has found, but for its name."""
    yield f"loss {benchmark.loss:.2f}"
    yield f"perplexity {benchmark.perplexity:,.1f}"
    if benchmark.chrf is not None:
        yield f"chrF {benchmark.chrf:.0f}"
    if benchmark.replies:
        yield f"exact {benchmark.exact} of {benchmark.replies}"


def estimated(estimate: Estimate) -> str:
    """What a training will take, in a line."""
    told = [f"about {counted(estimate.steps, 'step')}", _size(estimate.memory_bytes)]
    if estimate.seconds is not None:
        seconds = estimate.seconds
        told.append(f"{seconds:.0f} s" if seconds < IN_SECONDS else duration(seconds))
    return ", ".join(told)


def duration(seconds: float) -> str:
    """Minutes and seconds, hours before them where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GiB" if count > GIB / 10 else f"{count / MIB:.0f} MiB"
