"""Examples become lessons: what is wanted is learned, the unwanted where the objective can use it."""

from typing import Any, Literal

import pytest
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import prepare
from chorus.common.contracts.datasets import Example, Split, Turn
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.errors import InvalidInput
from chorus.trainer.training import lessons
from chorus.trainer.training.lessons import Group, Lessons, lessons_of
from chorus.trainer.training.recipe import ENOUGH_LABELS

TOKENIZER: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER)
prepare(TOKENIZER)

Objective = Literal["auto", "sft", "kto", "apo", "dpo"]


def chat(*words: str, label: bool = True, split: Split = "train") -> Example:
    """Words of a user and the assistant in turn; a lone one is plain text."""
    roles = ("user", "assistant") * len(words) if len(words) > 1 else ("assistant",)
    turns = [Turn(role=role, content=text) for role, text in zip(roles, words, strict=False)]
    return Example(messages=turns, label=label, contributors=["7"], source="test", split=split)


def learned(examples: list[Example], objective: Objective = "auto", **wishes: Any) -> Lessons:
    return lessons_of(TOKENIZER, examples, Hyperparameters(objective=objective, **wishes))


def replies(groups: list[Group]) -> list[tuple[str, ...]]:
    """What is learned of each group, the unwanted with an exclamation mark before it."""
    return [
        tuple(
            ("" if lesson.wanted else "!")
            + TOKENIZER.decode(
                [
                    token
                    for token, learn in zip(lesson.tokens.ids, lesson.tokens.learn, strict=True)
                    if learn and token != TOKENIZER.eos_token_id
                ]
            )
            for lesson in group
        )
        for group in groups
    ]


GOOD, BAD = chat("Hi", "Hello there"), chat("Hi", "Go away", label=False)
OTHER, ALONE = chat("Bye", "See you"), chat("Why?", "Shut up", label=False)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("sft", [("Hello there",), ("See you",)]),
        ("kto", [("Hello there",), ("See you",), ("!Go away",), ("!Shut up",)]),
        ("apo", [("Hello there",), ("See you",), ("!Go away",), ("!Shut up",)]),
        ("dpo", [("Hello there", "!Go away"), ("See you",)]),
        ("auto", [("Hello there", "!Go away"), ("See you",)]),
    ],
)
def test_each_objective_gets_what_it_can_use(objective: Objective, expected: list[tuple[str, ...]]) -> None:
    made = learned([BAD, GOOD, OTHER, ALONE], objective)
    assert replies(made.groups) == expected
    assert (made.data.unwanted, made.data.corrections) == (2, 1)
    assert made.data.lengths == [sum(len(lesson.tokens.ids) for lesson in group) for group in made.groups]


def test_other_names_before_a_reply_are_other_words() -> None:
    def asked_by(name: str, reply: str, *, label: bool) -> Example:
        turns = [Turn(role="user", content="Hi", name=name), Turn(role="assistant", content=reply)]
        return Example(messages=turns, label=label, contributors=["7"], source="test")

    same = [asked_by("u1", "Hello", label=True), asked_by("u1", "No", label=False)]
    other = [asked_by("u1", "Hello", label=True), asked_by("u2", "No", label=False)]
    assert learned(same).data.corrections == 1
    assert learned(other).data.corrections == 0


def test_plain_texts_correct_nothing() -> None:
    made = learned([chat("A wanted text."), chat("An unwanted text.", label=False)])
    assert (made.objective, made.data.corrections) == ("sft", 0)
    assert replies(made.groups) == [("A wanted text.",)]


def test_two_unwanted_replies_to_the_same_words_are_two_corrections() -> None:
    made = learned([GOOD, BAD, chat("Hi", "What now", label=False)])
    assert replies(made.groups) == [("Hello there", "!Go away"), ("Hello there", "!What now")]


def test_what_is_wanted_and_unwanted_word_for_word_teaches_nothing() -> None:
    made = learned([GOOD, GOOD.model_copy(update={"label": False})])
    assert (made.objective, made.data.unwanted) == ("sft", 0)


def test_what_was_learned_before_and_is_corrected_now_is_not_wanted_any_more() -> None:
    before, better = chat("When?", "At nine."), chat("When?", "At noon.")
    other = chat("Who?", "Bosun.")
    made = learned([before, other, better, before.model_copy(update={"label": False})])
    assert made.objective == "dpo"
    assert sorted(replies(made.groups)) == [("At noon.", "!At nine."), ("Bosun.",)]


def test_of_a_preference_only_the_last_reply_is_learned_and_of_the_rest_every_one() -> None:
    wanted = chat("Hi", "Hello", "How are you?", "Fine")
    unwanted = chat("Hi", "Hello", "How are you?", "Bad", label=False)
    other = chat("One", "Two", "Three", "Four")
    made = learned([wanted, unwanted, other], "dpo")
    assert replies(made.groups) == [("Fine", "!Bad"), ("TwoFour",)]
    assert replies(learned([wanted, unwanted, other], "apo").groups) == [("Fine",), ("Four",), ("!Bad",)]


def test_what_is_kept_aside_is_wanted_and_is_not_learned() -> None:
    aside = chat("A", "B", split="validation")
    made = learned([OTHER, aside, chat("C", "D", label=False, split="validation")])
    assert made.held_out
    assert replies(made.groups) == [("See you",)]
    assert replies([(judged.lesson,) for judged in made.judged]) == [("B",)]
    assert [judged.turns for judged in made.judged] == [aside.messages]
    assert made.data.unwanted == 0


def test_a_correction_is_learned_even_where_its_wanted_half_would_be_kept_aside() -> None:
    made = learned([OTHER, GOOD.model_copy(update={"split": "validation"}), BAD])
    assert replies(made.groups) == [("Hello there", "!Go away"), ("See you",)]
    assert not made.held_out


def test_without_any_wanted_example_left_to_learn_those_kept_aside_are_learned() -> None:
    made = learned([chat("A", "B", split="validation")])
    assert replies(made.groups) == [("B",)]
    assert not made.held_out


def test_many_unwanted_examples_are_learned_from_though_there_is_a_correction() -> None:
    thumbs_down = [chat(f"Q{at}", "Nonsense", label=False) for at in range(ENOUGH_LABELS)]
    assert learned([GOOD, BAD, *thumbs_down]).objective == "apo"
    assert learned([GOOD, BAD, *thumbs_down[1:]]).objective == "dpo"


def test_long_chats_lose_their_beginning_and_are_counted_and_long_texts_become_several() -> None:
    long_chat, long_text = chat("word " * 60, "The end"), chat("word " * 60)
    made = learned([OTHER, long_chat, long_text], max_tokens=32)
    assert made.shortened == 1
    assert replies(made.groups)[1] == ("The end",)
    assert len(made.groups) > 4
    assert max(made.data.lengths) <= 32


def test_what_is_judged_is_spread_evenly_over_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lessons, "JUDGED_AT_MOST", 3)
    made = learned([chat("Q", f"reply {at}") for at in range(9)])
    assert replies([(judged.lesson,) for judged in made.judged]) == [("reply 0",), ("reply 3",), ("reply 6",)]


@pytest.mark.parametrize(
    ("examples", "objective", "code"),
    [
        ([BAD, ALONE], "auto", "only_unwanted"),
        ([BAD, ALONE], "kto", "only_unwanted"),
        ([GOOD, ALONE], "dpo", "no_corrections"),
        ([GOOD, OTHER], "kto", "nothing_unwanted"),
        ([GOOD, OTHER], "apo", "nothing_unwanted"),
        ([chat("")], "auto", "nothing_to_learn"),
        ([], "auto", "nothing_to_learn"),
    ],
)
def test_data_from_which_nothing_can_be_learned_is_refused(
    examples: list[Example], objective: Objective, code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        learned(examples, objective)
    assert refused.value.code == code
