"""What engines over the network share: is there a way at all, and how long are we told to stay away."""

import ssl
import threading
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from socket import create_connection
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from chorus.common.errors import Unavailable

REACHED_WITHIN = 1.5  # seconds until it counts as out of reach, from the look-up of its name to the handshake
PORTS = {"http": 80, "https": 443}


def check_reach(endpoint: str, setting: str, *, code: str, within: float = REACHED_WITHIN) -> None:
    """Raises `Unavailable` where Google's server, or the proxy before it, is out of reach.

    A look-up of a name cannot be told to be quick: it goes on in a thread that nobody waits for. What takes
    connections need not be alive, so that encryption is agreed upon, too, where there is no proxy between.
    """
    asked = urlsplit(endpoint)
    proxy = None if proxy_bypass(asked.hostname or "") else getproxies().get(asked.scheme)
    via = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else asked
    reached = threading.Event()

    def reach() -> None:
        address = (via.hostname or "", via.port or PORTS.get(via.scheme, 80))
        with suppress(OSError), create_connection(address, timeout=within) as connection:
            if via is asked and asked.scheme == "https":
                ssl.create_default_context().wrap_socket(connection, server_hostname=asked.hostname).close()
            reached.set()

    trying = threading.Thread(target=reach, daemon=True)
    trying.start()
    trying.join(within)
    if not reached.is_set():
        raise Unavailable(
            "Google cannot be reached: there is no way to it from here. Check the network, or take it out of "
            f"{setting}.",
            code=code,
        )


def stay_away(retry_after: str | None) -> float | None:
    """Seconds, of the header `Retry-After`: a number, or a date. None where it says nothing of use."""
    try:
        told = float(retry_after or "")
    except ValueError:
        told = None
    if told is None:
        with suppress(ValueError, TypeError):
            told = parsedate_to_datetime(retry_after or "").timestamp() - time.time()
    return told if told is not None and 0 < told < float("inf") else None
