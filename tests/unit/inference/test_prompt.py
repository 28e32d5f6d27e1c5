"""Prompts: the newest messages that fit, whole; nobody's words open a turn; what cannot be asked is said."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import prompt_tokens
from chorus.common.contracts.datasets import Turn
from chorus.common.errors import InvalidInput, TooLarge
from chorus.inference.generation.prompt import Prompt, compose
from tests.support.templates import TEMPLATES, tokenizer_of

TOKENIZER: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER)


def turn(role: str, content: str) -> Turn:
    return Turn.model_validate({"role": role, "content": content})


CHAT = [
    turn("system", "be kind"),
    turn("user", "first question"),
    turn("assistant", "first answer"),
    turn("user", "second question"),
]


def composed(
    messages: list[Turn], window: int = 512, remembers: int | None = None, examples: Sequence[Turn] = ()
) -> Prompt:
    return compose(TOKENIZER, messages, examples, window=window, reserve=64, remembers=remembers)


def text(prompt: Prompt) -> str:
    decoded: str = TOKENIZER.decode(prompt.tokens)
    return decoded


def test_all_of_it_if_it_fits() -> None:
    prompt = composed(CHAT)
    assert prompt.dropped_messages == 0
    assert all(each.content in text(prompt) for each in CHAT)
    assert text(prompt).endswith("<|im_start|>assistant\n")


EXAMPLES = [
    turn("user", "first example"),
    turn("assistant", "done"),
    turn("user", "second example"),
    turn("assistant", "done too"),
]


def test_examples_stand_before_the_conversation_and_after_the_system() -> None:
    prompt = composed(CHAT, examples=EXAMPLES)
    assert prompt.turns == [CHAT[0], *EXAMPLES, *CHAT[1:]]
    assert prompt.tokens == prompt_tokens(TOKENIZER, prompt.turns)
    assert (prompt.dropped_messages, prompt.dropped_examples) == (0, 0)


def test_what_does_not_fit_goes_in_order() -> None:
    """First the oldest of the conversation, then the oldest examples; the question stays to the end."""
    seen = []
    for window in range(400, 30, -1):
        try:
            prompt = composed(CHAT, window=window, examples=EXAMPLES)
        except TooLarge:
            break
        if (dropped := (prompt.dropped_messages, prompt.dropped_examples)) not in seen:
            seen.append(dropped)
            assert prompt.turns == [CHAT[0], *EXAMPLES[2 * dropped[1] :], *CHAT[1 + dropped[0] :]]
    assert seen == [(0, 0), (2, 0), (2, 1), (2, 2)]


@pytest.mark.parametrize(
    ("remembers", "dropped", "shown"), [(0, 2, 1), (1, 2, 2), (2, 1, 3), (3, 1, 4), (4, 0, 5), (99, 0, 7)]
)
def test_examples_that_a_model_cannot_remember_are_left_out_and_counted(
    remembers: int, dropped: int, shown: int
) -> None:
    prompt = composed(CHAT, remembers=remembers, examples=EXAMPLES)
    assert prompt.dropped_examples == dropped
    assert prompt.turns[0] == CHAT[0]
    assert prompt.turns[-1] == CHAT[-1]
    assert len(prompt.turns) - 1 <= shown


@pytest.mark.parametrize(
    "examples", [EXAMPLES[:1], EXAMPLES[1:3], EXAMPLES[:2] * 2 + CHAT[:1], [CHAT[0], EXAMPLES[1]]]
)
def test_examples_are_questions_with_answers(examples: list[Turn]) -> None:
    with pytest.raises(InvalidInput) as error:
        composed(CHAT, examples=examples)
    assert error.value.code == "examples_not_in_pairs"


def test_the_oldest_go_first_and_the_system_stays() -> None:
    prompt = composed(CHAT, window=64)
    assert prompt.dropped_messages == 2
    assert "be kind" in text(prompt)
    assert "first" not in text(prompt)
    assert "second question" in text(prompt)


def test_a_model_without_memory_is_shown_the_question_alone() -> None:
    prompt = composed(CHAT, remembers=0)
    assert prompt.dropped_messages == 0
    assert "first" not in text(prompt)


def test_a_question_that_does_not_fit() -> None:
    with pytest.raises(TooLarge) as error:
        composed([turn("user", "word " * 1000)])
    assert error.value.code == "prompt_too_long"


def test_somebody_must_ask() -> None:
    with pytest.raises(InvalidInput) as error:
        composed(CHAT[:3])
    assert error.value.code == "no_question"


said = st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text("ab é\n", max_size=30))


@given(st.lists(said, max_size=12), st.integers(16, 200), st.none() | st.integers(0, 12))
def test_it_is_what_trying_every_start_finds(
    before: list[tuple[str, str]], window: int, remembers: int | None
) -> None:
    messages = [*(turn(role, content) for role, content in before), turn("user", "so?")]
    expected = tried_one_by_one(messages, window - min(64, window // 2), remembers)
    if expected is None:
        with pytest.raises(TooLarge):
            composed(messages, window, remembers)
    else:
        assert composed(messages, window, remembers) == expected


def tried_one_by_one(messages: list[Turn], room: int, remembers: int | None) -> Prompt | None:
    """The plain way: all of it, then without the oldest message, and so on."""
    system = [each for each in messages if each.role == "system"]
    rest = [each for each in messages if each.role != "system"]
    rest = rest if remembers is None else rest[-1 - remembers :]
    for start in range(len(rest)):
        turns = [*system, *rest[start:]]
        tokens = prompt_tokens(TOKENIZER, turns)
        if rest[start].role == "user" and len(tokens) <= room:
            return Prompt(tokens, turns, dropped_messages=start)
    return None


class Counting:
    """The starter's tokenizer, with a count of what it is asked for."""

    def __init__(self) -> None:
        self.rendered = 0
        self.tokenised = 0
        self.eos_token = TOKENIZER.eos_token
        self.added_tokens_decoder = TOKENIZER.added_tokens_decoder
        self.get_vocab = TOKENIZER.get_vocab

    def apply_chat_template(self, conversation: list[dict[str, str]], **how: bool) -> Any:
        self.rendered += len(conversation)
        return TOKENIZER.apply_chat_template(conversation, **how)

    def encode(self, text: str, **how: bool) -> Any:
        self.tokenised += len(text)
        return TOKENIZER.encode(text, **how)


def work(messages: list[Turn]) -> Counting:
    tokenizer: Any = Counting()
    compose(tokenizer, messages, window=2048, reserve=512, remembers=None)
    counted: Counting = tokenizer
    return counted


@pytest.mark.parametrize("pairs", [100, 500])
def test_the_work_grows_with_the_conversation_and_not_with_its_square(pairs: int) -> None:
    done = work([turn("user", "hi there"), turn("assistant", "well well")] * pairs + [turn("user", "so?")])
    tries = 1 + (2 * pairs).bit_length()
    assert done.rendered <= tries * 10 * pairs, "each message a few times a try"
    assert done.tokenised <= tries * 100 * pairs


def test_what_cannot_fit_is_not_tokenised() -> None:
    long = turn("user", "word " * 50_000)
    done = work([turn("user", "hi"), turn("assistant", "hello"), long, turn("assistant", "oh"), CHAT[3]])
    assert done.tokenised < 10_000


# --- control tokens --------------------------------------------------------------------------------
CONTROL = {"starter": ["<|im_start|>", "<|im_end|>"], "llama 3": TEMPLATES["llama 3"][1]}
TOKENIZERS = {family: tokenizer_of(family) for family in CONTROL}
mischief = st.lists(
    st.sampled_from(
        [*CONTROL["starter"], *CONTROL["llama 3"], "<|", "|>", "<", "im_end", "assistant\n", " ", "I obey"]
    ),
    max_size=6,
).map("".join)


@pytest.mark.parametrize("family", CONTROL)
@given(words=mischief, name=mischief, example=mischief, answer=mischief, persona=mischief)
def test_typed_control_tokens_open_no_turn_wherever_they_are_typed(
    family: str, words: str, name: str, example: str, answer: str, persona: str
) -> None:
    tokenizer = TOKENIZERS[family]
    control = {tokenizer.convert_tokens_to_ids(token) for token in CONTROL[family]}

    def turns_opened(*texts: str) -> list[int]:
        words, name, example, answer, persona = texts
        messages = [turn("system", persona), Turn(role="user", content=words, name=name)]
        examples = [turn("user", example), turn("assistant", answer)]
        prompt = compose(tokenizer, messages, examples, window=8192, reserve=1, remembers=None)
        return [token for token in prompt.tokens if token in control]

    assert turns_opened(words, name, example, answer, persona) == turns_opened("hm", "u1", "hm", "ok", "hm")
