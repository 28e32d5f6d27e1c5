"""Times as machines write them."""

from datetime import UTC, datetime
from math import isfinite

_MILLISECONDS = 1e11  # as seconds this is the year 5138, as milliseconds 1973


def seconds(text: str) -> float | None:
    """Seconds since 1970, of an ISO 8601 time (UTC where no zone is named) or of such a number; or None.

    Whether anything could be said at that time is looked at later, for all formats.
    """
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        return _of_iso(text)
    if not isfinite(number):
        return None
    return number / 1000 if number >= _MILLISECONDS else number


def _of_iso(text: str) -> float | None:
    for written in (text, text.removesuffix(" UTC")):
        try:
            at = datetime.fromisoformat(written)
        except ValueError:
            continue
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return None
