"""Where Chorus is, and as which user one comes.

The stack that runs on this machine's data folder, with the keys that lie there; or servers that the settings
name (`CHORUS_NATS_URL`, …), with the key that they name. Such a key is called after its user (`operator.nk`).
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from nats.errors import Error as NatsError

from chorus.common.bus.connection import CONNECT_WITHIN, Connection, connect
from chorus.common.contracts.permissions import USERS
from chorus.common.errors import Unavailable, in_short
from chorus.common.local.console import environment_of
from chorus.common.local.stack import StackSettings
from chorus.common.settings import PREFIX, CommonSettings, load

OPERATOR, PROVISIONER = "operator", "provisioner"
NO_SUCH_STREAM, NO_SUCH_CONSUMER = 10059, 10014  # JetStream's error codes

log = structlog.get_logger()


def is_local() -> bool:
    """Whether what runs on this machine's data folder is meant: no other server is named."""
    return "nats_url" not in load(CommonSettings).model_fields_set


def settings_for(user: str) -> CommonSettings:
    """What `user` needs to come to NATS and to the object store.

    Raises `Unavailable` when nothing runs here and no server is named, `Misconfigured` for wrong settings.
    """
    if not is_local():
        return load(CommonSettings)
    given = environment_of(load(StackSettings).data, user)
    return CommonSettings.model_validate(
        {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
    )


def user_of(settings: CommonSettings, otherwise: str = OPERATOR) -> str:
    """Whose key it is, by its file's name; `otherwise` without a name that we know."""
    named = settings.nats_nkey_file.stem if settings.nats_nkey_file else otherwise
    return named if named in USERS else otherwise


@asynccontextmanager
async def connected(
    settings: CommonSettings, user: str, within: float = CONNECT_WITHIN
) -> AsyncGenerator[Connection]:
    """A connection as `user`. Raises `Unavailable` when nobody lets us in `within` seconds."""
    async with connect(
        settings.nats_url,
        user=user,
        nkey_file=settings.nats_nkey_file,
        ca_file=settings.nats_ca,
        on_closed=lambda reason: log.error(reason),
        within=within,
    ) as connection:
        yield connection


class JetStreamRefused(Unavailable):
    """JetStream's own error. `number` is its code."""

    default_code = "jetstream_refused"

    def __init__(self, description: str, number: int) -> None:
        super().__init__(f"JetStream refused: {in_short(description)} ({number}).")
        self.number = number


async def jetstream(
    connection: Connection, call: str, question: dict[str, Any] | None = None, *, within: float = 5.0
) -> dict[str, Any]:
    """The answer of JetStream's API to `$JS.API.<call>`, as it is.

    Raises `JetStreamRefused` with what it says, `NotPermitted`, and `Unavailable` without an answer.
    """
    body = json.dumps(question).encode() if question else b""
    try:
        answer = await connection.request(f"$JS.API.{call}", body, timeout=within)
    except NatsError as error:
        raise Unavailable(
            f"JetStream does not answer ({type(error).__name__}). Is it switched on, in nats-server's "
            "configuration?",
            code="jetstream_unavailable",
        ) from None
    return answered(answer.data)


def not_provisioned(what: str) -> Unavailable:
    """The error for servers that lack `what`."""
    return Unavailable(f"{what} is missing. Run `chorus provision`, then try again.", code="not_provisioned")


def answered(data: bytes) -> dict[str, Any]:
    """JetStream's answer, read. Raises `JetStreamRefused` where it is an error."""
    answer: dict[str, Any] = json.loads(data)
    if error := answer.get("error"):
        raise JetStreamRefused(str(error.get("description", "")), int(error.get("err_code", 0)))
    return answer
