"""`chorus status` for people: one screen, plain in a pipe."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from textwrap import wrap

from chorus.common.operations.status import Instance, Kept, Queue, Status

UNKNOWN = "unknown"
STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
MODELS_SHOWN = 8
WIDTH = 100  # signs in a line
FULL = 0.5  # of what may be kept


def screenful(status: Status) -> str:
    """The whole of it, in lines."""
    return "\n".join(
        [
            *_services(status),
            "",
            f"queue     {_queue(status.queue)}",
            *_models(status),
            "",
            *_storage("streams", status.streams),
            *_storage("objects", status.buckets),
            *(f"! {trouble}" for trouble in status.troubles),
        ]
    )


def _services(status: Status) -> list[str]:
    if status.instances is None:
        return [f"services  {UNKNOWN}"]
    rows = [_row(instance, status.at) for instance in status.instances]
    rows += [(name, "-", "-", "nobody answers", "", "", "") for name in status.missing]
    return table(("service", "instance", "version", "up for", "requests", "errors", "average"), rows)


def _row(instance: Instance, at: datetime) -> tuple[str, ...]:
    seconds = instance.seconds
    return (
        instance.name,
        instance.id,
        instance.version,
        ago(at - instance.started),
        str(instance.requests),
        str(instance.errors),
        "-" if seconds is None else f"{seconds * 1000:.0f} ms",
    )


def _queue(queue: Queue | None) -> str:
    if queue is None:
        return UNKNOWN
    told = f"{queue.waiting} waiting, {queue.in_hand} with a worker, {queue.dead_letters} dead letters"
    if queue.paused_for is None:
        return told
    return f"{told}; PAUSED for another {ago(timedelta(seconds=queue.paused_for))}"


def _models(status: Status) -> list[str]:
    served = status.served
    if served is None:
        return [f"models    {UNKNOWN}"]
    told = f"{served.resident} of {served.capacity} in the engine, {served.waiting} requests wait"
    named = [f"{one.guild}/{one.model} {one.state}, asked {one.hits}×" for one in served.models]
    more = [f"and {len(named) - MODELS_SHOWN} more"] if len(named) > MODELS_SHOWN else []
    return [
        f"models    {served.base.name} ({served.state}); {told}",
        *(f"          {line}" for line in [*named[:MODELS_SHOWN], *more]),
    ]


def _storage(what: str, kept: Sequence[Kept] | None) -> list[str]:
    """One line for all that is empty, so that the rest is seen."""
    if kept is None:
        return [f"{what:<9} {UNKNOWN}"]
    full = [f"{one.name} {one.items} ({_room(one)})" for one in kept if one.items]
    told = f"{what:<9} {', '.join(full) or 'nothing yet'}"
    return wrap(told, WIDTH, subsequent_indent=" " * 10, break_long_words=False, break_on_hyphens=False)


def _room(kept: Kept) -> str:
    """What it takes; and how full it is, where that is worth knowing."""
    share = kept.bytes / kept.limit if kept.limit else 0.0
    return f"{size(kept.bytes)}, {share:.0%} full" if share > FULL else size(kept.bytes)


def size(count: int) -> str:
    """Bytes, in the unit that suits."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def ago(time: timedelta) -> str:
    """In the largest unit that it fills."""
    seconds = time.total_seconds()
    for length, unit in STEPS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "0 s"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns under their names."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
