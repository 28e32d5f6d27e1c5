"""Everything that can go wrong between people and Chorus, as a tree of situations.

    ChorusError                 status  retryable
    ├── InvalidInput            400     no         what was sent cannot be used as it is
    ├── NotPermitted            403     no         the caller may not do this
    ├── NotFound                404     no         no such job, model, dataset or file
    ├── Conflict                409     no         somebody else changed it first, or it is past that state
    ├── TooLarge                413     no         over a stated limit
    ├── QueueFull               429     no         this guild has as many jobs as it may have
    ├── Cancelled               499     no         the caller asked for it to stop
    ├── InternalError           500     no         our fault; the log has the details
    ├── Unavailable             503     yes        the part that answers is not there, or is full
    ├── TimedOut                504     yes        it is there, but did not answer in time
    └── Misconfigured           78      no         the process cannot start; exit code EX_CONFIG

A message is one sentence a person can act on: what, why, what to do. A `code` never changes once
released, so programs may rely on it. Neither ever holds a secret, a path of the host or a traceback.
"""

from typing import ClassVar

QUOTED = 60  # signs of somebody else's words


class ChorusError(Exception):
    """The root. `status` follows HTTP; `code` names the situation; `param` names the input at fault.

    `retry_after` is when it is worth trying again, in seconds, where that is known.
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.retry_after = retry_after


class InvalidInput(ChorusError):
    """What was sent cannot be used as it is. Not retryable: mend the input."""

    status = 400
    default_code = "invalid_input"


class NotPermitted(ChorusError):
    """The caller may not do this. Not retryable: ask for the right."""

    status = 403
    default_code = "not_permitted"


class NotFound(ChorusError):
    """There is no such thing, or not for this guild. Not retryable."""

    status = 404
    default_code = "not_found"


class Conflict(ChorusError):
    """The state changed under the caller's feet. Not retryable as it is: read again, then decide."""

    status = 409
    default_code = "conflict"


class TooLarge(ChorusError):
    """Over a stated limit. Not retryable: send less."""

    status = 413
    default_code = "too_large"


class QueueFull(ChorusError):
    """The guild has as many jobs as it may have. Not retryable now: wait for one to end."""

    status = 429
    default_code = "queue_full"


class Cancelled(ChorusError):
    """The caller asked for it to stop. Not retryable."""

    status = 499
    default_code = "cancelled"


class InternalError(ChorusError):
    """A fault of ours. Not retryable: it would fail again."""


class Unavailable(ChorusError):
    """The part that answers is not there, starting, or full. Retryable."""

    status = 503
    default_code = "unavailable"
    retryable = True


class TimedOut(ChorusError):
    """No answer in time. Retryable, if asking twice does no harm."""

    status = 504
    default_code = "timed_out"
    retryable = True


class Misconfigured(ChorusError):
    """The process cannot start as it is set up. Not retryable: mend the settings."""

    status = 78
    default_code = "misconfigured"


def in_short(text: str) -> str:
    """Somebody else's words, fit to be quoted in a message: short, and all of them can be sent."""
    sendable = text[: QUOTED + 1].encode("utf-8", "replace").decode()
    return sendable if len(sendable) <= QUOTED else f"{sendable[:QUOTED]}…"


def from_status(
    status: int, message: str, code: str | None, param: str | None, retry_after: float | None = None
) -> ChorusError:
    """The error that a peer described, as the class for its status (an unknown status is ours to explain)."""
    kind = _BY_STATUS.get(status, InternalError)
    return kind(message, code=code, param=param, retry_after=retry_after)


_BY_STATUS = {
    kind.status: kind
    for kind in (
        InvalidInput, NotPermitted, NotFound, Conflict, TooLarge, QueueFull, Cancelled,
        InternalError, Unavailable, TimedOut,
    )
}  # fmt: skip
