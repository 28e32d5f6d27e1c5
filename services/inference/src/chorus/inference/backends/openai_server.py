"""The server behind Chorus: how it is reached, what it serves, and whether it is there."""

import threading
from functools import cache
from ssl import SSLContext
from typing import Any

import tenacity
from httpx2 import URL, InvalidURL, Limits, Timeout, create_ssl_context
from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    DefaultHttpxClient,
    InternalServerError,
    OpenAI,
)
from pydantic import BaseModel

from chorus.common.errors import InternalError, InvalidInput, Misconfigured
from chorus.inference.backends.openai_errors import NO_ANSWER, explained
from chorus.inference.settings import InferenceSettings

EXAMPLE = "http://host:8000/v1"

CONNECT = 5.0  # seconds
SILENCE = 120.0  # seconds without a word, after which an answer is given up; a server may have a queue
LOOK_EVERY = 5.0  # seconds between looks at whether the server is there
LOOK_WITHIN = 30.0  # seconds; a busy server may take its time


class Model(BaseModel):
    """A line of `/models`; vLLM alone says more than the name."""

    id: str
    root: str | None = None
    """The folder it was loaded from."""
    parent: str | None = None
    """The base model of an adapter."""
    max_model_len: int | None = None


class Models(BaseModel):
    """What a server serves."""

    data: list[Model]


def writer(settings: InferenceSettings) -> AsyncOpenAI:
    """A client for questions."""
    return AsyncOpenAI(**_access(settings), http_client=DefaultAsyncHttpxClient(**_connections(SILENCE)))


def base_model(settings: InferenceSettings, patience: float) -> Model:
    """What the server serves as the base model; it has `patience` seconds to be there.

    Raises `Misconfigured`, and `Unavailable` (`engine_unreachable`).
    """
    _check_address(settings)
    with _looker(settings) as client:
        bases = [model for model in _listed(client, patience) if model.parent is None]
    found = [model for model in bases if settings.openai_model in (None, model.id)]
    if len(found) != 1:
        names = ", ".join(model.id for model in bases) or "none"
        raise Misconfigured(
            f"CHORUS_OPENAI_MODEL must be one that the server has: {names}.", code="engine_unknown_model"
        )
    return found[0]


class Watch:
    """Whether the server is there: a look every few seconds, in a thread of its own."""

    def __init__(self, settings: InferenceSettings) -> None:
        self.wrong: str | None = None
        """Why it cannot answer, if it cannot. Whoever finds that out may say so."""
        self._ended = threading.Event()
        threading.Thread(
            target=self._look, args=[_looker(settings)], name="look at the server", daemon=True
        ).start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def _look(self, client: OpenAI) -> None:
        """Any answer will do, but for one that says that there is no server behind it."""
        with client:
            while not self._ended.wait(LOOK_EVERY):
                try:
                    client.get("/models", cast_to=object)
                    self.wrong = None
                except APIStatusError as error:
                    self.wrong = NO_ANSWER if error.status_code >= 500 else None
                except (APIError, ValueError):  # gone, or not what it was
                    self.wrong = NO_ANSWER


def _check_address(settings: InferenceSettings) -> None:
    try:
        url = URL(settings.openai_url or "")
    except InvalidURL:
        url = URL("")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise Misconfigured(
            f"CHORUS_OPENAI_URL must look like {EXAMPLE}; a key belongs into CHORUS_OPENAI_KEY."
        )


def _listed(client: OpenAI, patience: float) -> list[Model]:
    patiently = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((APIConnectionError, InternalServerError)),
        stop=tenacity.stop_after_delay(patience),
        wait=tenacity.wait_fixed(0.5),
        reraise=True,
    )
    try:
        with explained():
            return Models.model_validate(patiently(client.get, "/models", cast_to=object)).data
    except (InternalError, InvalidInput) as error:
        raise Misconfigured(f"{error.message} The address looks like {EXAMPLE}.", code=error.code) from error


def _looker(settings: InferenceSettings) -> OpenAI:
    return OpenAI(**_access(settings), http_client=DefaultHttpxClient(**_connections(LOOK_WITHIN)))


def _access(settings: InferenceSettings) -> dict[str, Any]:
    """Where, and with which key: without one the library would take what variables say to other programs."""
    key = settings.openai_key.get_secret_value() or "none"
    return {"base_url": settings.openai_url, "api_key": key, "max_retries": 0}


def _connections(silence: float) -> dict[str, Any]:
    return {
        "follow_redirects": False,  # the key, and what people say, go to the server that was named
        "timeout": Timeout(silence, connect=CONNECT),
        "limits": Limits(max_keepalive_connections=0),  # nothing stays open that nobody uses
        "verify": _trusted(),
    }


@cache
def _trusted() -> SSLContext:
    """The certificates: to read them takes 26 ms, longer than all else about a client."""
    return create_ssl_context()
