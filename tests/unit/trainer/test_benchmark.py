"""What is said of a model: figures without anybody's words, probes to compare by, and samples to read."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import prepare, prompt_tokens
from chorus.common.contracts.datasets import Example, Turn
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import token_hash
from chorus.common.errors import InvalidInput
from chorus.trainer.backends.benchmark import PROBES, REPLIES, REPLY_TOKENS, SHOWN, Judge
from chorus.trainer.backends.greedy import Written
from chorus.trainer.backends.packed import Batch
from chorus.trainer.training.lessons import Lessons, lessons_of

TOKENIZER: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER)
prepare(TOKENIZER)


class Parrot:
    """Writes what it was told to write to a prompt, and is sure of it; each token costs it half a nat."""

    device = torch.device("cpu")
    flat = False

    def __init__(
        self, replies: dict[str, str] | None = None, otherwise: str = "Hm.", loss: float = 0.5
    ) -> None:
        self.replies = {
            token_hash(prompt_tokens(TOKENIZER, [Turn(role="user", content=asked)])): reply
            for asked, reply in (replies or {}).items()
        }
        self.otherwise = otherwise
        self.loss = loss
        self.margins: list[float] | None = None

    def losses(self, batch: Batch) -> torch.Tensor:
        return torch.full(batch.lessons.shape, self.loss)

    def train(self, on: bool) -> None:
        """It is the same in both."""

    def greedy(self, prompts: Sequence[list[int]], most: int) -> list[Written]:
        return [
            self._written(self.replies.get(token_hash(prompt), self.otherwise), most) for prompt in prompts
        ]

    def _written(self, text: str, most: int) -> Written:
        ids = TOKENIZER.encode(text, add_special_tokens=False)
        ended = len(ids) < most
        return Written(ids[:most], self.margins or [9.0] * (min(len(ids), most) + ended), ended)


def chats(asked: dict[str, str]) -> Lessons:
    examples = [
        Example(
            messages=[Turn(role="user", content=question), Turn(role="assistant", content=reply)],
            contributors=["7"],
            source="test",
        )
        for question, reply in asked.items()
    ]
    return lessons_of(TOKENIZER, examples, Hyperparameters())


def plain(text: str) -> Lessons:
    example = Example(messages=[Turn(role="assistant", content=text)], contributors=["7"], source="test")
    return lessons_of(TOKENIZER, [example], Hyperparameters())


ASKED = {"Who has the key?": "Mira has it.", "Where is the cat?": "On the roof."}


def test_a_look_has_the_figures_and_no_words() -> None:
    judge = Judge(TOKENIZER, chats(ASKED))
    seen = judge.look(Parrot({"Who has the key?": "Mira has it."}), "epoch 2", step=7, epoch=2)
    assert (seen.name, seen.step, seen.epoch, seen.held_out) == ("epoch 2", 7, 2, False)
    assert (seen.loss, seen.perplexity) == pytest.approx((0.5, math.exp(0.5)))
    assert (seen.exact, seen.replies, seen.examples) == (1, 2, 2)
    assert seen.chrf is not None
    assert 20 < seen.chrf < 80, "one of two is right"
    assert not any(word in seen.model_dump_json() for word in ("key", "Mira", "roof"))


def test_the_better_the_replies_the_higher_is_chrf() -> None:
    judge = Judge(TOKENIZER, chats(ASKED))
    figures = [
        judge.look(Parrot(replies), "base", step=0, epoch=0).chrf
        for replies in ({}, {"Who has the key?": "Mina had it"}, ASKED)
    ]
    assert figures == sorted(figures, key=lambda figure: figure or 0.0)
    assert figures[-1] == pytest.approx(100)
    assert len(set(figures)) == 3


def test_perplexity_of_a_broken_model_is_still_a_number() -> None:
    seen = Judge(TOKENIZER, chats(ASKED)).look(Parrot(loss=4000.0), "base", step=0, epoch=0)
    assert seen.loss == pytest.approx(4000)
    assert seen.perplexity == pytest.approx(math.exp(20))


@pytest.mark.parametrize("cost", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_not_taken_for_a_good_one(cost: float) -> None:
    parrot = Parrot(loss=cost)
    with pytest.raises(InvalidInput, match="smaller learning_rate") as raised:
        Judge(TOKENIZER, chats(ASKED)).look(parrot, "epoch 1", step=9, epoch=1)
    assert (raised.value.code, raised.value.param) == ("diverged", "learning_rate")


def test_a_base_that_says_nothing_is_not_the_learning_rates_fault() -> None:
    parrot = Parrot(loss=math.nan)
    with pytest.raises(InvalidInput, match="another base"):
        Judge(TOKENIZER, chats(ASKED)).look(parrot, "base", step=0, epoch=0)


def test_a_long_reply_is_held_against_as_much_of_the_real_one() -> None:
    reply = " ".join(f"word{at}" for at in range(100))
    judge = Judge(TOKENIZER, chats({"Tell me": reply}))
    seen = judge.look(Parrot({"Tell me": reply}), "base", step=0, epoch=0)
    assert len(TOKENIZER.encode(reply)) > REPLY_TOKENS
    assert (seen.chrf, seen.exact) == (pytest.approx(100), 0)


def test_of_much_data_some_questions_are_asked_the_same_ones_each_time() -> None:
    asked = {f"Question {at}?": f"Answer {at}." for at in range(5 * REPLIES)}
    parrot = Parrot(asked)
    first, again = (Judge(TOKENIZER, chats(asked)) for _ in range(2))
    assert first.look(parrot, "base", step=0, epoch=0).replies == REPLIES
    again.look(parrot, "base", step=0, epoch=0)
    own = [sample for sample in first.samples().samples if sample.expected is not None]
    assert len(own) == SHOWN
    assert first.samples() == again.samples()
    numbers = [int(str(sample.expected).removeprefix("Answer ").removesuffix(".")) for sample in own]
    assert max(numbers) - min(numbers) > 3 * REPLIES, "from all of it"


def test_samples_are_of_the_first_and_of_the_last_look_also_after_a_resume() -> None:
    judge = Judge(TOKENIZER, chats(ASKED))
    for reply in ("first", "second", "third"):
        judge.look(Parrot(otherwise=reply), "x", step=0, epoch=0)
    resumed = Judge(TOKENIZER, chats(ASKED))
    resumed.load(judge.state())
    resumed.look(Parrot(otherwise="third"), "x", step=0, epoch=0)
    assert judge.samples() == resumed.samples()
    sample = judge.samples().samples[0]
    assert (sample.before, sample.after, sample.expected) == ("first", "third", "Mira has it.")
    assert [turn.content for turn in sample.messages] == ["Who has the key?"]
    assert [s.messages for s in judge.samples().samples[len(ASKED) :]] == list(PROBES)


def test_plain_text_is_judged_by_its_loss_alone() -> None:
    judge = Judge(TOKENIZER, plain("The sea was calm."))
    seen = judge.look(Parrot(), "base", step=0, epoch=0)
    assert (seen.chrf, seen.exact, seen.replies) == (None, 0, 0)
    assert [sample.expected for sample in judge.samples().samples] == [None] * len(PROBES)


def test_probes_are_fixed_prompts_with_a_hash_of_what_is_sure() -> None:
    probes = Judge(TOKENIZER, chats(ASKED)).probes(Parrot(otherwise="Mira has the key."))
    assert [probe.messages for probe in probes] == list(PROBES)
    for probe in probes:
        assert probe.prompt_sha256 == token_hash(prompt_tokens(TOKENIZER, probe.messages))
        assert probe.reply_chars == len("Mira has the key.")
        assert probe.reply_sha256 == hashlib.sha256(b"Mira has the key.").hexdigest()
        assert probe.whole
        assert "Mira" not in probe.model_dump_json()


@pytest.mark.parametrize(
    ("margins", "sure"),
    [
        ([9.0, 0.4, 9.0, 9.0], "a"),
        ([9.0, 9.0, 0.1, 9.0], "a"),  # half of a letter is none
        ([9.0, 9.0, 9.0, 0.1], "aй"),  # all the words, but perhaps not their end
        ([0.1, 9.0, 9.0, 9.0], ""),
    ],
)
def test_a_probe_is_sure_up_to_the_first_near_tie(margins: list[float], sure: str) -> None:
    parrot = Parrot(otherwise="aй")  # three tokens: a letter, and the two bytes of another one
    parrot.margins = margins
    probe = Judge(TOKENIZER, chats(ASKED)).probes(parrot)[0]
    assert (probe.reply_chars, probe.whole) == (len(sure), False)
    assert probe.reply_sha256 == (hashlib.sha256(sure.encode()).hexdigest() if sure else None)
