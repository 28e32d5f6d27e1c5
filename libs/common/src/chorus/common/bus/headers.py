"""What travels in message headers: errors in ADR-32's words, ids, deadlines, credit.

nats-py keeps headers in a plain dict: names are case-sensitive, values are strings.
"""

from collections.abc import Mapping

from chorus.common.errors import ChorusError, from_status

ERROR = "Nats-Service-Error"
ERROR_STATUS = "Nats-Service-Error-Code"
ERROR_CODE = "Chorus-Error-Code"
ERROR_PARAM = "Chorus-Error-Param"
RETRY_AFTER = "Retry-After"  # seconds

REQUEST_ID = "X-Request-Id"
DEADLINE = "X-Deadline"  # Unix time in milliseconds
CREDIT = "X-Credit"  # of a request: "1" if its reader gives it; of an empty reply: `ANYBODY`
ANYBODY = "?"  # asks whether anybody listens, and is no piece; it need not be answered

LONGEST = 1000  # characters of a message; a full list of what is wrong with a long form has 500

STATUS = "Status"  # set by the server: 503 means that nobody listens
NO_RESPONDERS = "503"


def shorten(text: str) -> str:
    """What fits a header: an error may quote what somebody sent, however long that is."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"


def of_error(error: ChorusError) -> dict[str, str]:
    """The headers that tell a peer what went wrong; the body stays empty."""
    headers = {ERROR: shorten(error.message), ERROR_STATUS: str(error.status), ERROR_CODE: error.code}
    if error.param:
        headers[ERROR_PARAM] = shorten(error.param)
    if error.retry_after is not None:
        headers[RETRY_AFTER] = f"{error.retry_after:.1f}"
    return headers


def error_in(headers: Mapping[str, str] | None) -> ChorusError | None:
    """The error a reply carries, if it carries one."""
    if not headers or ERROR not in headers:
        return None
    status = headers.get(ERROR_STATUS, "500")
    return from_status(
        int(status) if status.isdigit() else 500,
        headers[ERROR],
        headers.get(ERROR_CODE),
        headers.get(ERROR_PARAM),
        _seconds(headers.get(RETRY_AFTER)),
    )


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None
