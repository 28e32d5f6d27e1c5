"""A stand-in for Google's recogniser that speaks its protocol, and is strict: what does not fit is a fault.

It decodes the FLAC that it is sent. It gives its `answers` one after another, and the last one ever after.
"""

import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import av
import av.error

PATH = "/speech-api/v2/recognize"

CUT, HANG, HALF = "cut", "hang", "half"
"""The connection ends before an answer; no answer comes; the answer breaks off."""

EMPTY = '{"result":[]}\n'
Answer = str | int
"""A body, a status, or one of the words above."""


def heard(text: str) -> str:
    """An answer as Google gives it: an empty block, then the result."""
    alternative = [{"transcript": text, "confidence": 0.98}, {"transcript": "something else"}]
    return (
        EMPTY
        + json.dumps({"result": [{"alternative": alternative, "final": True}], "result_index": 0})
        + "\n"
    )


@dataclass
class Asked:
    """One request that was in order."""

    language: str
    seconds: float


@dataclass
class GoogleDouble:
    """What is asked, what is answered, and what was wrong."""

    endpoint: str = ""
    answers: list[Answer] = field(default_factory=list[Answer])
    asked: list[Asked] = field(default_factory=list[Asked])
    faults: list[str] = field(default_factory=list[str])
    retry_after: str | None = None
    """A header of every status."""
    ended: threading.Event = field(default_factory=threading.Event)

    def next(self) -> Answer:
        """The next answer."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def google_double(*answers: Answer) -> Iterator[GoogleDouble]:
    """It listens on a free port; a request that is not as Google wants it fails the test."""
    double = GoogleDouble(answers=list(answers))

    class Handler(_Handler):
        google = double

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.endpoint = f"http://127.0.0.1:{server.server_port}{PATH}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        double.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
    assert not double.faults


@contextmanager
def out_of_reach() -> Iterator[str]:
    """The address of a server that takes no connection: its line is full, and nobody looks after it."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}{PATH}"
        for one in waiting:
            one.close()


class _Handler(BaseHTTPRequestHandler):
    google: GoogleDouble

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self.google.asked.append(_checked(self.path, self.headers["Content-Type"], body))
        except (AssertionError, av.error.FFmpegError) as fault:
            self.google.faults.append(f"{self.path}: {fault!r}")
            self.send_error(500)
            return
        match self.google.next():
            case int(status):
                self._refuse(status)
            case "hang":
                self.google.ended.wait()
            case "cut":
                self.close_connection = True
            case answer:
                self._send(answer)

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        if self.google.retry_after:
            self.send_header("Retry-After", self.google.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, answer: str) -> None:
        whole = heard("never to be read").encode() if answer == HALF else answer.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole[:20] if answer == HALF else whole)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def _checked(path: str, content_type: str, body: bytes) -> Asked:
    """The request, if it is in order."""
    address = urlsplit(path)
    assert address.path == PATH
    query = {name: value for name, (value,) in parse_qs(address.query, strict_parsing=True).items()}
    assert query.keys() == {"client", "lang", "key", "pFilter"}
    assert (query["client"], query["pFilter"]) == ("chromium", "0")
    assert query["key"]
    assert content_type == "audio/x-flac; rate=16000"
    assert body[:4] == b"fLaC"
    with av.open(io.BytesIO(body), format="flac") as container:
        stream = container.streams.audio[0]
        context = stream.codec_context
        assert (context.sample_rate, context.layout.nb_channels) == (16_000, 1)
        samples = sum(frame.samples for frame in container.decode(stream))
    assert samples <= 60 * 16_000, "more than it takes at once"
    return Asked(query["lang"], samples / 16_000)
