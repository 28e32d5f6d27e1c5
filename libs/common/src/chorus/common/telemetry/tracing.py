"""Traces: what one command led to, in whatever service, by W3C's `traceparent` in message headers.

    with span("command", guild=guild): ...                 work; logs within it carry its trace's id
    publish(..., headers=carried())                        what a message takes along of it
    with span("generate", message.headers, SERVER): ...    goes on with what a message brought

Every trace has an id, so that the logs of all services can be joined. Where the operator names a collector,
spans are sent there by OTLP: only then OpenTelemetry's SDK is imported. A span holds ids and codes, and
nothing that people said.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager

from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

SERVER, CONSUMER = SpanKind.SERVER, SpanKind.CONSUMER
SEND_WITHIN = 5.0  # seconds; a collector that is away costs spans, and never work

_W3C = TraceContextTextMapPropagator()
_NOBODY_LOOKS = trace.NoOpTracer()

_tracer: trace.Tracer = _NOBODY_LOOKS


@contextmanager
def span(
    name: str, headers: Mapping[str, str] | None = None, kind: SpanKind = SpanKind.INTERNAL, **attributes: str
) -> Generator[Span]:
    """A piece of work: part of the trace in the headers, or of the current one, or the first of its own."""
    parent = _W3C.extract(headers or {}, context.get_current())
    if _tracer is _NOBODY_LOOKS and not trace.get_current_span(parent).get_span_context().is_valid:
        parent = trace.set_span_in_context(NonRecordingSpan(_new_ids()), parent)
    with _tracer.start_as_current_span(
        name,
        parent,
        kind,
        {f"chorus.{key}": value for key, value in attributes.items()},
        record_exception=False,  # its words may be somebody's
        set_status_on_exception=False,
    ) as current:
        yield current


def carried() -> dict[str, str]:
    """The headers by which whoever reads a message goes on with the current trace; none outside of one."""
    headers: dict[str, str] = {}
    _W3C.inject(headers)
    return headers


def trace_id() -> str | None:
    """The current trace's id, 32 hexadecimal digits."""
    here = trace.get_current_span().get_span_context()
    return trace.format_trace_id(here.trace_id) if here.is_valid else None


@asynccontextmanager
async def exported(service: str, instance: str, endpoint: str) -> AsyncGenerator[None]:
    """Send spans to a collector's OTLP endpoint (HTTP, port 4318 as a rule) meanwhile, if one is named."""
    global _tracer
    if not endpoint:
        yield
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # a tenth of a second
    from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    told = Resource.create({SERVICE_NAME: f"chorus-{service}", SERVICE_INSTANCE_ID: instance})
    provider = TracerProvider(resource=told, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=SEND_WITHIN)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = provider.get_tracer("chorus")
    try:
        yield
    finally:
        _tracer = _NOBODY_LOOKS
        await asyncio.to_thread(provider.shutdown)  # sends what waits


def _new_ids() -> SpanContext:
    """Ids of a trace that begins here. Sampled: another service may have somewhere to send its part."""
    return SpanContext(
        random.getrandbits(128) or 1, random.getrandbits(64) or 1, False, TraceFlags(TraceFlags.SAMPLED)
    )
