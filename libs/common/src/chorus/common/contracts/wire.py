"""The base of every message: plain UTF-8 JSON that reads well in a terminal.

Times are RFC 3339 in UTC, ids are strings (Discord's do not fit a JavaScript number), every message
carries `v`. Fields that are not set are left out.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, ValidationError
from pydantic_core import ErrorDetails

from chorus.common.errors import InvalidInput, in_short

MIB = 1024 * 1024
"""Bytes."""

MAX_MESSAGE_BYTES = 512 * 1024
"""Payload and headers. Half of NATS's default: bigger things go through S3 as a reference."""

Time = Annotated[
    AwareDatetime,
    PlainSerializer(lambda at: at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")),
]


class Part(BaseModel):
    """A piece of a message. Unknown fields are ignored, so that an older reader keeps reading."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class StrictPart(BaseModel):
    """A piece of what people also write by hand: an unknown field is a typing mistake, and is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Wire(Part):
    """A message or a stored record."""

    v: Literal[1] = 1


class Request(StrictPart):
    """A question, as strict as its pieces."""

    v: Literal[1] = 1


Message = TypeVar("Message", bound=BaseModel)


def encode(message: BaseModel) -> bytes:
    """The message as one line of JSON, without the fields that are not set."""
    return message.model_dump_json(exclude_none=True).encode()


def decode(model: type[Message], data: bytes) -> Message:
    """Read a message; raises `InvalidInput` that names each field at fault in words for people."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        if problems[0]["type"] == "json_invalid":
            reason = problems[0]["msg"].removeprefix("Invalid JSON: ")
            raise InvalidInput(f"The message is not JSON: {reason}.", code="not_json") from None
        told = "; ".join(f"`{_where(problem)}`: {_lower_first(problem['msg'])}" for problem in problems[:5])
        param = _where(problems[0])
        raise InvalidInput(
            f"The message does not fit: {told}.", code="invalid_message", param=param
        ) from None


def now() -> datetime:
    """The time, in UTC, to the millisecond: what is stored is what was meant."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _where(problem: ErrorDetails) -> str:
    """The field at fault; the message as a whole has the name that JSON path has for it."""
    return ".".join(in_short(str(step)) for step in problem["loc"]) or "$"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
