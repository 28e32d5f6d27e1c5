"""What a server writes, event by event: what is needed of OpenAI's completions, of chats or not."""

from collections import Counter
from collections.abc import Iterator

from pydantic import BaseModel

from chorus.common.contracts.generation import Finish
from chorus.common.errors import InternalError
from chorus.inference.backends.openai_errors import cut_off
from chorus.inference.generation.ports import Piece


class Usage(BaseModel):
    """Counted by the server."""

    completion_tokens: int = 0


class Logprobs(BaseModel):
    """One for each token; none for the first, which nothing leads to."""

    token_logprobs: list[float | None]


class Delta(BaseModel):
    """The next part of a chat's message."""

    content: str | None = None


class Choice(BaseModel):
    """The next part of one answer."""

    index: int = 0
    text: str | None = None
    delta: Delta = Delta()
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Reply(BaseModel):
    """An event of a stream, or all there is."""

    choices: list[Choice] = []
    usage: Usage | None = None


class Heard:
    """What has come of each of `n` answers: tokens are counted as far as the server does so."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._reasons: dict[int, Finish] = {}
        self._tokens = Counter[int]()
        self._total = 0

    def pieces(self, reply: Reply) -> Iterator[Piece]:
        """An event's."""
        told = reply.usage.completion_tokens if reply.usage else 0
        self._total = max(self._total, told)
        for choice in reply.choices:
            new = max(0, told - self._tokens[choice.index])
            self._tokens[choice.index] += new
            if choice.finish_reason:
                self._reasons[choice.index] = _finish(choice.finish_reason)
            yield Piece(choice.text or choice.delta.content or "", new, choice=choice.index)

    def ends(self) -> Iterator[Piece]:
        """Why each ended, and the tokens not counted before. Raises `Unavailable` where one did not end."""
        if len(self._reasons) < self._n:
            raise cut_off()
        left = max(0, self._total - self._tokens.total())
        for choice, reason in self._reasons.items():
            yield Piece("", left, reason, choice)
            left = 0


def _finish(reason: str) -> Finish:
    if reason in ("stop", "length"):
        return reason
    raise InternalError(
        "The server behind Chorus ended this answer before it was whole.", code="generation_failed"
    )
