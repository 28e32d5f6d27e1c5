"""Logs: one JSON object a line, an event in a few words, ids bound while a request or job is handled.

    log = structlog.get_logger()
    log.info("job claimed", attempt=2)

`bind(job=…, guild=…)` adds ids to every line of the current task, those of libraries included. So does a
trace (`tracing`): the same id in the gateway's lines and in those of the services that it asked.
"""

import logging
import sys
from typing import Literal

import structlog
from structlog.contextvars import bound_contextvars as bind
from structlog.typing import EventDict, Processor, WrappedLogger

from chorus.common.telemetry.tracing import trace_id

__all__ = ["bind", "configure"]


def configure(service: str, level: str, style: Literal["json", "text"]) -> None:
    """Set up structlog and the standard library's logging to write alike, to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _traced,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    structlog.contextvars.bind_contextvars(service=service)
    # One line a request tells nobody anything that the metrics do not.
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def _traced(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """A structlog processor: the line, with the current trace's id."""
    if (trace := trace_id()) is not None:
        line["trace"] = trace
    return line
