"""Asking a model: one request, a stream of replies.

    infer.v1.generate[.<base>]  Generate → Waiting*, Delta*, End, then one empty message | error
    infer.v1.score[.<base>]     Score → Scored             how likely a model finds given replies
    infer.v1.models             ListServed → Served        what one process has at hand
    infer.v1.cancel.<request>   Cancel: stop it; the stream ends with the error `cancelled`

A process serves one base model, on `infer.v1.generate.<base>`; the one with the operator's default base
also without that last word. The request's id is the header `X-Request-Id`. A client that sends `X-Credit: 1`
gets every 32nd reply as a request of its own and answers it with an empty message: that holds the writer
back when the reader is slow. An empty message with the header `X-Credit: ?`, which it gets once a second, is
no reply, and need not be answered: the bus says for a reader that is gone that nobody is there, and the work
is stopped. Without the header replies are simply published, up to `MAX_UNCREDITED_BYTES`:
`nats req infer.v1.generate '{"messages":[…]}' --wait-for-empty` just works.

More requests than there is room for are refused at once: the error `busy` says how many are ahead, and its
header `Retry-After` when to try again (seconds).
"""

import operator
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.models import BaseModelId
from chorus.common.contracts.names import LOCAL, Guild, slug
from chorus.common.contracts.wire import Part, Request, StrictPart, Time, Wire

GENERATE = "infer.v1.generate"
SCORE = "infer.v1.score"
SERVED = "infer.v1.models"
CANCEL = "infer.v1.cancel"

MAX_UNCREDITED_BYTES = 1024 * 1024
"""What one reader that gives no credit may be sent; NATS would cut it off at 64 MiB of backlog."""

MAX_INT32, MAX_INT64 = 2**31 - 1, 2**63 - 1  # engines keep these numbers in so many bits

StopString = Annotated[str, Field(min_length=1, max_length=256)]
"""Ends the answer where it would be written."""

Finish = Literal["stop", "length"]


def of_base(subject: str, base: str | None) -> str:
    """Where the processes listen that serve the base model of this name; None is the default one."""
    return subject if base is None else f"{subject}.{slug(base)}"


class Sampling(StrictPart):
    """How to choose among the next tokens. What is left out is as the base model's makers advise."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 always takes the likeliest token."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Chooses among the likeliest tokens that have this share of the probability together."""
    top_k: int | None = Field(default=None, ge=0, le=MAX_INT32)
    """Chooses among so many of the likeliest tokens; 0 means no limit."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """Leaves out what is less likely than this share of the likeliest token."""
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)
    """Above 1 makes what was read or written before less likely."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Above 0 makes what was written before less likely, however often."""
    seed: int | None = Field(default=None, ge=0, le=MAX_INT64)
    """The same seed and the same question make the same choices, as far as the engine can."""
    max_tokens: PositiveInt = Field(default=512, le=8192)
    """Of an answer; what is longer is cut off."""
    stop: list[StopString] = Field(default=[], max_length=8)
    """Texts that end the answer where they would be written."""
    n: PositiveInt = Field(default=1, le=8)
    """Answers to the same question, written side by side."""


class Generate(Request):
    """A conversation whose next message is wanted. Without a `model`, the base model answers."""

    guild: Guild = LOCAL
    model: str | None = Field(default=None, max_length=128)
    messages: list[Turn] = Field(min_length=1, max_length=1000)
    examples: list[Turn] = Field(default=[], max_length=128)
    """Questions and answers that show the model how to answer, in turn. They stand before the conversation,
    and are left out where the model's memory is too small for both."""
    sampling: Sampling = Sampling()
    within: float | None = Field(default=None, gt=0, le=3600)
    """Seconds in which the whole reply is wanted; then it ends with the error `deadline_passed`."""


class Waiting(Wire):
    """Why the answer is not there yet; it may still come."""

    type: Literal["waiting"] = "waiting"
    code: Literal["queued", "loading", "starting"]
    """Others are before it; the model is being loaded; the engine is being started."""
    text: str
    """In words for people."""


class Delta(Wire):
    """The next piece of text. `i` counts from 0 without gaps: a gap means that a piece was lost."""

    type: Literal["delta"] = "delta"
    i: NonNegativeInt
    text: str
    choice: NonNegativeInt = Field(default=0, exclude_if=operator.not_)
    """Which of `n` answers it belongs to."""


class Usage(Part):
    """Tokens read and written."""

    prompt_tokens: NonNegativeInt
    completion_tokens: NonNegativeInt


class End(Wire):
    """The reply is whole. `dropped_messages` of the oldest did not fit the model's memory."""

    type: Literal["end"] = "end"
    model: str
    """Who answered: `name@version`, or the base model's name."""
    finish_reason: Finish
    finish_reasons: list[Finish] = Field(default=[])
    """One for each answer, where several were wanted."""
    usage: Usage
    dropped_messages: NonNegativeInt = 0
    dropped_examples: NonNegativeInt = 0


class Score(Request):
    """Replies whose likelihood is wanted, each as the next message of the same conversation."""

    guild: Guild = LOCAL
    model: str | None = Field(default=None, max_length=128)
    messages: list[Turn] = Field(min_length=1, max_length=1000)
    replies: list[str] = Field(min_length=1, max_length=64)


class ReplyScore(Part):
    """How likely one reply is, the token that ends it included."""

    logprob: float = Field(le=0)
    """Nats, the sum over its tokens."""
    tokens: PositiveInt


class Scored(Wire):
    """One score for each reply, in their order."""

    model: str
    scores: list[ReplyScore]
    dropped_messages: NonNegativeInt = 0


class ListServed(Request):
    """What is there? Of one guild, or, without it, of all: that is for operators."""

    guild: Guild | None = None


class ServedModel(Part):
    """A model that one process has at hand."""

    guild: Guild
    model: str
    """`name@version`."""
    form: Literal["adapter", "whole"] = "adapter"
    state: Literal["loading", "resident", "on_disk"]
    """Being fetched or loaded; in the engine; only on this machine's disk."""
    in_use: NonNegativeInt = 0
    """Requests that it answers at this moment."""
    hits: NonNegativeInt = 0
    """Requests since the process started."""
    size: NonNegativeInt = 0
    """Bytes on disk."""
    last_used: Time | None = None


class Served(Wire):
    """What one process of inference has at hand."""

    instance: str
    """Which process that is."""
    base: BaseModelId
    state: Literal["ready", "starting", "asleep"]
    """`asleep`: a training has the GPU until `until`."""
    until: Time | None = None
    resident: NonNegativeInt
    """Adapters in the engine, at most `capacity`."""
    capacity: NonNegativeInt
    waiting: NonNegativeInt = 0
    """Requests that wait for room in the engine."""
    seconds: NonNegativeFloat = 0
    """How long the engine has been running."""
    models: list[ServedModel]


class Cancel(Wire):
    """Stop a request. Anybody who knows its id may, and only who made it knows it."""


GenerateReply = Annotated[Waiting | Delta | End, Field(discriminator="type")]
