"""What a server says is wrong, as our errors: with codes for programs, and words for people.

People are not told where the server is, nor what it calls itself: that is the operator's.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

from chorus.common.errors import ChorusError, InternalError, InvalidInput, Unavailable, in_short

AGAIN = 5.0  # seconds after which to ask again, where the server does not say

AWAY = (502, 503, 504)
"""What HTTP says where the server itself is not there, or not yet."""

NO_ANSWER = "the server behind Chorus does not answer"


@contextmanager
def explained(*, begun: bool = False, adapter: bool = False) -> Generator[None]:
    """Raise what the library raises as one of ours. Nothing is asked a second time here.

    `begun` says that the server had begun to answer, `adapter` that an adapter was asked, which had been
    loaded: a server that does not know it has been started anew.

        no connection                   `engine_unreachable`, or `engine_died` where it had begun
        nothing heard for long          `engine_unreachable`
        401, 403, or a redirect         `engine_refused`
        404                             `engine_unknown_model`, or `engine_died` of an adapter
        429                             `busy`, with the time that the server says
        502, 503, 504                   `engine_unreachable`
        400 and other errors of ours    `engine_rejected`, with the server's words
        everything else                 `generation_failed`, with the server's words
    """
    try:
        yield
    except APIStatusError as error:
        raise _of_status(error, adapter=adapter) from error
    except APIConnectionError as error:
        raise _of_connection(error, begun=begun) from error
    except APIError as error:  # told in the middle of a stream
        raise _rejected(error) if str(error.code).startswith("4") else _failed(error) from error
    except ValueError as error:  # no JSON, or not as it should be
        raise InternalError(
            "The server behind Chorus answered with something else than the OpenAI API has.",
            code="generation_failed",
        ) from error


def words(error: APIError) -> str:
    """What the server said, in short: nothing of it is ours."""
    if not isinstance(error.body, dict):
        return in_short(str(error.body or error.message))
    body = cast("dict[str, Any]", error.body)
    inner = body.get("error")
    told = cast("dict[str, Any]", inner) if isinstance(inner, dict) else body
    return in_short(str(told.get("message") or told.get("detail") or inner or error.message))


def cut_off() -> Unavailable:
    """The error for an answer without an end."""
    return Unavailable(
        "The server behind Chorus broke off this answer. Ask again.", code="engine_died", retry_after=AGAIN
    )


def _of_connection(error: APIConnectionError, *, begun: bool) -> Unavailable:
    if begun and not isinstance(error, APITimeoutError):
        return cut_off()
    return Unavailable(
        "The server behind Chorus does not answer. Ask again in a moment.",
        code="engine_unreachable",
        retry_after=AGAIN,
    )


def _of_status(error: APIStatusError, *, adapter: bool) -> ChorusError:
    status = error.status_code
    if status in (401, 403) or 300 <= status < 400:
        return InternalError(
            f"The server behind Chorus refuses its requests (HTTP {status}). Whoever runs Chorus has to look "
            "at CHORUS_OPENAI_KEY and CHORUS_OPENAI_URL.",
            code="engine_refused",
        )
    if status == 404 and adapter:
        return Unavailable(
            "The server behind Chorus was started anew and has forgotten this adapter. Ask again.",
            code="engine_died",
            retry_after=1,
        )
    if status == 404:
        return InternalError(
            f"The server behind Chorus does not know what it is asked for: {words(error)!r}. Whoever runs "
            "Chorus has to look at CHORUS_OPENAI_MODEL and CHORUS_OPENAI_URL.",
            code="engine_unknown_model",
        )
    if status == 429 or status in AWAY:
        return _later(error)
    return _rejected(error) if 400 <= status < 500 else _failed(error)


def _later(error: APIStatusError) -> Unavailable:
    told = error.response.headers.get("retry-after", "")
    seconds = float(told) if told.isdecimal() else AGAIN  # it may be a date, too
    busy = error.status_code == 429
    why = "has too much to do" if busy else "cannot answer now"
    return Unavailable(
        f"The server behind Chorus {why}. Ask again in {seconds:.0f} s.",
        code="busy" if busy else "engine_unreachable",
        retry_after=seconds,
    )


def _rejected(error: APIError) -> InvalidInput:
    return InvalidInput(
        f"The server behind Chorus does not take this question: {words(error)!r}. Ask otherwise.",
        code="engine_rejected",
    )


def _failed(error: APIError) -> InternalError:
    return InternalError(
        f"The server behind Chorus could not finish this answer: {words(error)!r}.", code="generation_failed"
    )
