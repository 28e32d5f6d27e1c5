"""Traces: ids that go through headers and logs, and spans that a collector gets."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from chorus.common.telemetry.logging import bind, configure
from chorus.common.telemetry.tracing import SERVER, carried, exported, span, trace_id

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"  # the example of W3C's recommendation


def test_a_trace_begins_with_the_first_piece_of_work_and_all_within_belongs_to_it() -> None:
    assert trace_id() is None
    assert carried() == {}
    with span("command"):
        first = trace_id()
        assert first is not None
        assert carried()["traceparent"].startswith(f"00-{first}-")
        with span("part"):
            assert trace_id() == first
    assert trace_id() is None
    with span("command"):
        assert trace_id() != first


def test_a_message_goes_on_with_the_trace_that_it_brings() -> None:
    with span("request", {"traceparent": GIVEN}, SERVER):
        assert trace_id() == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert carried()["traceparent"].startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")


@pytest.mark.parametrize(
    "header", ["", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "nonsense"]
)
def test_a_header_that_is_none_begins_a_trace(header: str) -> None:
    with span("request", {"traceparent": header}, SERVER):
        assert trace_id() not in (None, "0" * 32)


def test_every_line_of_a_log_carries_the_trace_those_of_libraries_included(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = logging.root.handlers[:], logging.root.level
    try:
        configure("part", "info", "json")
        with bind(guild="42"), span("request", {"traceparent": GIVEN}, SERVER):
            structlog.get_logger().info("ours")
            logging.getLogger("library").warning("theirs")
        structlog.get_logger().info("outside")
    finally:
        logging.root.handlers[:], level = before[0], before[1]
        logging.root.setLevel(level)
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    ours, theirs, outside = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    for line in (ours, theirs):
        assert (line["trace"], line["guild"], line["service"]) == (GIVEN.split("-")[1], "42", "part")
    assert "trace" not in outside


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Span]]]:
    """An OTLP endpoint, and the spans that it was sent."""
    spans: list[Span] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                named = {a.key: a.value.string_value for a in resource.resource.attributes}
                assert (named["service.name"], named["service.instance.id"]) == ("chorus-part", "part/1")
                spans.extend(one for scope in resource.scope_spans for one in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_collector_gets_the_spans_and_nothing_that_anybody_said(
    collector: tuple[str, list[Span]],
) -> None:
    endpoint, spans = collector
    async with exported("part", "part/1", endpoint):
        with span("command", guild="42"), pytest.raises(ValueError, match="secret"), span("part"):
            raise ValueError("somebody's secret")
        with span("request", {"traceparent": GIVEN}, SERVER) as work:
            work.set_attribute("chorus.outcome", "ok")
    part, command, request = spans
    assert (part.name, command.name, request.name) == ("part", "command", "request")
    assert part.parent_span_id == command.span_id
    assert part.trace_id == command.trace_id
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == tuple(GIVEN.split("-")[1:3])
    assert request.kind == Span.SPAN_KIND_SERVER
    assert [(a.key, a.value.string_value) for a in command.attributes] == [("chorus.guild", "42")]
    assert [(a.key, a.value.string_value) for a in request.attributes] == [("chorus.outcome", "ok")]
    assert b"secret" not in b"".join(one.SerializeToString() for one in spans)
    with span("later"):
        assert trace_id() is not None
    assert len(spans) == 3


async def test_a_collector_that_is_away_costs_nothing_but_spans() -> None:
    async with exported("part", "part/1", "http://127.0.0.1:9"):
        with span("command"):
            assert trace_id() is not None
