"""What gTTS asks, answered on this machine: Google's protocol at the wire, and its ways to fail."""

import base64
import json
import socket
import struct
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from tests.unit.speech.files import encoded
from tests.unit.speech.recordings import tone

PATH = "/_/TranslateWebserverUi/data/batchexecute"
SECONDS = 0.5
MP3 = encoded(tone(SECONDS, rate=24_000), "mp3", "mp3")


class GoogleSpeaking(ThreadingHTTPServer):
    """`says` is what the next answers are; the last one is repeated. `asked` are texts and languages."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.says: list[str] = ["sound"]
        self.asked: list[tuple[str, str]] = []
        self.retry_after: str | None = None  # a header of every status
        self.quiet = threading.Event()  # ends those who keep silent

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def google_speaking() -> Generator[GoogleSpeaking]:
    """The server, while the context is entered."""
    server = GoogleSpeaking()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.quiet.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: GoogleSpeaking

    def do_POST(self) -> None:
        """One question: an RPC in a form."""
        assert self.path == PATH
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        ((((name, parameters, *_),),),) = (json.loads(form["f.req"][0]),)
        assert name == "jQ1olc"
        text, language, *_ = json.loads(parameters)
        self.server.asked.append((text, language))
        says = self.server.says
        match says.pop(0) if len(says) > 1 else says[0]:
            case "sound":
                self._answer(json.dumps([base64.b64encode(MP3).decode()], separators=(",", ":")))
            case "nothing":
                self._answer("null")
            case "noise":
                self._answer(json.dumps([base64.b64encode(bytes(500)).decode()]))
            case "cut":
                self._cut()
            case "silence":
                self.server.quiet.wait(30)
            case status:
                self.send_response(int(status))
                if self.server.retry_after:
                    self.send_header("Retry-After", self.server.retry_after)
                self.end_headers()

    def _answer(self, sound: str) -> None:
        body = json.dumps([["wrb.fr", "jQ1olc", sound, None, None, None, "generic"]], separators=(",", ":"))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f")]}}'\n\n{len(body)}\n{body}\n".encode())

    def _cut(self) -> None:
        """The connection breaks in the middle of the answer."""
        self.send_response(200)
        self.send_header("Content-Length", "10000")
        self.end_headers()
        self.wfile.write(b")]}'\n\n")
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *args: object) -> None:
        """Nothing: the test tells what is wrong."""
