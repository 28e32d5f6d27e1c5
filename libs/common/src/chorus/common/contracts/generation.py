"""Asking a model: one request, a stream of replies.

    infer.v1.generate           Generate → Delta*, End, then one empty message | error
    infer.v1.cancel.<request>   Cancel: stop it; the stream ends with the error `cancelled`

The request's id is the header `X-Request-Id`. A client that sends `X-Credit: 1` gets every 32nd reply
as a request of its own and answers it with an empty message: that holds the writer back when the reader
is slow, and tells it when the reader is gone. Without the header replies are simply published, up to
`MAX_UNCREDITED_BYTES`: `nats req infer.v1.generate '{"messages":[…]}' --wait-for-empty` just works.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.names import LOCAL, Guild
from chorus.common.contracts.wire import Part, Request, StrictPart, Wire

GENERATE = "infer.v1.generate"
CANCEL = "infer.v1.cancel"

MAX_UNCREDITED_BYTES = 1024 * 1024
"""What one reader that gives no credit may be sent; NATS would cut it off at 64 MiB of backlog."""

MAX_INT32, MAX_INT64 = 2**31 - 1, 2**63 - 1  # engines keep these numbers in so many bits

StopString = Annotated[str, Field(min_length=1, max_length=256)]
"""Ends the answer where it would be written."""


class Sampling(StrictPart):
    """How to choose among the next tokens. What is left out is as the base model's makers advise."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 always takes the likeliest token."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=MAX_INT32)
    """0 means no limit."""
    seed: int | None = Field(default=None, ge=0, le=MAX_INT64)
    max_tokens: PositiveInt = Field(default=512, le=8192)
    stop: list[StopString] = Field(default=[], max_length=8)


class Generate(Request):
    """A conversation whose next message is wanted. Without a `model`, the base model answers."""

    guild: Guild = LOCAL
    model: str | None = Field(default=None, max_length=128)
    messages: list[Turn] = Field(min_length=1, max_length=1000)
    sampling: Sampling = Sampling()


class Delta(Wire):
    """The next piece of text. `i` counts from 0 without gaps: a gap means that a piece was lost."""

    type: Literal["delta"] = "delta"
    i: NonNegativeInt
    text: str


class Usage(Part):
    """Tokens read and written."""

    prompt_tokens: NonNegativeInt
    completion_tokens: NonNegativeInt


class End(Wire):
    """The reply is whole. `dropped_messages` of the oldest did not fit the model's memory."""

    type: Literal["end"] = "end"
    model: str
    """Who answered: `name@version`, or the base model's name."""
    finish_reason: Literal["stop", "length"]
    usage: Usage
    dropped_messages: NonNegativeInt = 0


class Cancel(Wire):
    """Stop a request. Anybody who knows its id may, and only who made it knows it."""


GenerateReply = Annotated[Delta | End, Field(discriminator="type")]
