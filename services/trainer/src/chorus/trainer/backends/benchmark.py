"""What a model can do, in figures and in words: before the training, during it and at its end.

Figures and probes go into the manifest, which stays when somebody's words are deleted: there are no words of
anybody in them, and of a reply to a probe, which might be learned by heart, only a hash. Words are in the
samples alone, which are deleted with the words that they came from.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sacrebleu.metrics.chrf import CHRF

from chorus.common.chat import Tokenizer, prompt_tokens
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.models import Benchmark, Probe, Sample, Samples, token_hash
from chorus.common.errors import InvalidInput
from chorus.trainer.backends.greedy import Written
from chorus.trainer.backends.scoring import Reads, score
from chorus.trainer.training.lessons import Judged, Lessons, last_reply, spread
from chorus.trainer.training.recipe import ROW_TOKENS

REPLIES = 16  # written for each look, evenly over the data
SHOWN = 6  # of them, in the samples
REPLY_TOKENS = 64  # at most, of each
NEAR_TIE = 0.5  # nats between the first and the second choice: below it, bf16 and batching may turn it round
WORST_LOSS = 20.0  # nats a token, beyond which perplexity says nothing more

PROBES = (
    [Turn(role="user", content="Hello!")],
    [
        Turn(role="user", content="Wie spät ist es? 🕰", name="u1"),
        Turn(role="assistant", content="Spät."),
        Turn(role="user", content="Danke!", name="u2"),
    ],
    [Turn(role="user", content="Что сегодня на ужин? 今日は何を食べますか？")],
    [Turn(role="user", content="What does this print?\n```python\nprint([n**2 for n in range(3)])\n```")],
    [
        Turn(role="user", content="I was away for a week. Who is here, and what did I miss?", name="u1"),
        Turn(role="assistant", content="Not much: rain, a film on Friday, and somebody lost an umbrella."),
        Turn(
            role="user", content="It was mine :(\nIt is blue, and has a duck's head for a handle.", name="u1"
        ),
        Turn(role="user", content="¿Alguien lo ha visto? <3", name="u2"),
    ],
)
"""Prompts that prove, token by token, that serving asks as training taught. Nobody's words."""


class Decoder(Tokenizer, Protocol):
    """A tokenizer that also reads tokens."""

    def decode(
        self, token_ids: list[int], *, skip_special_tokens: bool, clean_up_tokenization_spaces: bool
    ) -> str:
        """Token ids as text."""
        ...


class Writes(Reads, Protocol):
    """A model that also writes: `chorus.trainer.backends.model.Model`."""

    def greedy(self, prompts: Sequence[list[int]], most: int) -> list[Written]:
        """The likeliest next tokens after each prompt, at most so many."""
        ...


@dataclass(frozen=True)
class _Question:
    """The words before a last reply, as tokens; and that reply."""

    turns: Sequence[Turn]
    prompt: list[int]
    expected: str
    start: str
    """Of what is expected, as much as may be written."""


class Judge:
    """Looks at a model now and then, each time in the same way.

    All wanted lessons that it gets count for the loss; of the conversations among them, up to `REPLIES` are
    answered.
    """

    def __init__(self, tokenizer: Decoder, lessons: Lessons) -> None:
        self._tokenizer = tokenizer
        self._texts = [judged.lesson.tokens for judged in lessons.judged]
        self._row_tokens = max(ROW_TOKENS, *(len(text.ids) for text in self._texts))
        self._held_out = lessons.held_out
        asked = [
            judged for judged in lessons.judged if judged.turns and last_reply(judged.lesson.tokens.learn)
        ]
        self._questions = [self._question(judged) for judged in spread(asked, REPLIES)]
        self._probes = [prompt_tokens(tokenizer, turns) for turns in PROBES]
        self._before: list[str] = []
        self._after: list[str] = []

    def look(self, model: Writes, name: str, *, step: int, epoch: int) -> Benchmark:
        """Loss on all lessons, and greedy replies held against the real ones. `name` is for people.

        Raises `InvalidInput` with code `diverged` where the loss is no number.
        """
        scores = score(model, self._texts, self._row_tokens)
        loss = -float(scores.log_probs.double().sum()) / int(scores.tokens.sum())
        if not math.isfinite(loss):
            raise _diverged(step)
        loss = max(0.0, loss)
        self._after = self._replies(model)
        self._before = self._before or self._after
        replies = self._after[: len(self._questions)]
        return Benchmark(
            name=name,
            step=step,
            epoch=epoch,
            loss=loss,
            perplexity=math.exp(min(loss, WORST_LOSS)),
            chrf=_chrf(replies, [question.start for question in self._questions]),
            exact=sum(r == q.expected for r, q in zip(replies, self._questions, strict=True)),
            replies=len(replies),
            examples=len(self._texts),
            held_out=self._held_out,
        )

    def probes(self, model: Writes) -> list[Probe]:
        """The fixed prompts, and what of its replies to them the model is sure of."""
        replies = model.greedy(self._probes, REPLY_TOKENS)
        return [
            self._probe(turns, prompt, written)
            for turns, prompt, written in zip(PROBES, self._probes, replies, strict=True)
        ]

    def samples(self) -> Samples:
        """Some questions of the data, then the probes, with the replies at the first look and at the last."""
        asked = [(question.turns, question.expected) for question in self._questions]
        asked += [(turns, None) for turns in PROBES]
        samples = [
            Sample(messages=list(turns), before=before, after=after, expected=expected)
            for (turns, expected), before, after in zip(asked, self._before, self._after, strict=True)
        ]
        own = len(self._questions)
        return Samples(samples=spread(samples[:own], SHOWN) + samples[own:])

    def state(self) -> list[str]:
        """The replies at the first look, for a resumed training."""
        return self._before

    def load(self, state: list[str]) -> None:
        """Go on with what `state` gave."""
        self._before = state

    def _question(self, judged: Judged) -> _Question:
        tokens = judged.lesson.tokens
        start = last_reply(tokens.learn)
        reply = [
            token for token, learn in zip(tokens.ids[start:], tokens.learn[start:], strict=True) if learn
        ]
        return _Question(
            turns=judged.turns[:-1],
            prompt=tokens.ids[:start],
            expected=self._text(reply),
            start=self._text(reply[:REPLY_TOKENS]),
        )

    def _replies(self, model: Writes) -> list[str]:
        """To the questions, then to the probes."""
        prompts = [question.prompt for question in self._questions] + self._probes
        return [self._text(written.ids) for written in model.greedy(prompts, REPLY_TOKENS)]

    def _probe(self, turns: Sequence[Turn], prompt: list[int], written: Written) -> Probe:
        sure = next((at for at, m in enumerate(written.margins) if m < NEAR_TIE), len(written.margins))
        text = self._text(written.ids[:sure]).rstrip("\ufffd")  # half a letter
        return Probe(
            messages=list(turns),
            prompt_sha256=token_hash(prompt),
            reply_chars=len(text),
            reply_sha256=hashlib.sha256(text.encode()).hexdigest() if text else None,
            whole=written.ended and sure == len(written.margins),
        )

    def _text(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def _diverged(step: int) -> InvalidInput:
    """The error for a model that says nothing any more, or never did."""
    if step:
        told, param = f"any more at step {step}. Try a smaller learning_rate.", "learning_rate"
    else:
        told, param = "before anything is learned. Try another base or version.", "base"
    return InvalidInput(f"The loss is no number {told}", code="diverged", param=param)


def _chrf(replies: list[str], expected: list[str]) -> float | None:
    """chrF2 over all replies, 0 to 100; None without any."""
    return CHRF().corpus_score(replies, [expected]).score if replies else None
