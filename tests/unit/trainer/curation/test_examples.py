"""From conversations to examples: who answers, what is merged, where long talks are cut."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.common.errors import InvalidInput
from chorus.trainer.curation import examples
from chorus.trainer.curation.build import Allowed
from chorus.trainer.curation.records import Message, Read, ReadTurn
from chorus.trainer.curation.turns import CHOICES_MOST, LONGEST_TURN, answerer, contexts, cut, turns_of
from tests.unit.trainer.curation.built import built, said, words


# --- turns ---------------------------------------------------------------------------------------
def test_messages_right_after_each_other_are_one_turn() -> None:
    made = built([said("1", "a", 0), said("1", "b", 5), said("1", "c", 10.1), said("2", "d", 11)])
    assert made.texts() == [["U: a\nb", "U: c", "A: d"]]


def test_messages_need_not_be_merged() -> None:
    assert built([said("1", "a"), said("1", "b"), said("2", "c")], merge_minutes=0).texts() == [
        ["U: a", "U: b", "A: c"]
    ]


@given(st.lists(st.tuples(st.sampled_from("12"), st.integers(1, 3000)), min_size=1, max_size=12))
def test_a_turn_is_no_longer_than_a_message_can_be(talk: list[tuple[str, int]]) -> None:
    messages = [said(author, "x" * length) for author, length in talk]
    turns = turns_of(messages, 5)
    assert sum(turn.messages for turn in turns) == len(talk)
    assert "".join(turn.content.replace("\n", "") for turn in turns) == "".join(m.text for m in messages)
    assert all(len(turn.content) <= LONGEST_TURN + turn.messages for turn in turns)


# --- who is learned ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("talk", "learned"),
    [("121", "1"), ("12", "2"), ("1213", "3"), ("1212", "2"), ("131323", "3"), ("1", "1")],
)
def test_whoever_answers_most_is_learned(talk: str, learned: str) -> None:
    assert answerer(turns_of([said(who, "x") for who in talk], 0)) == learned


def test_the_only_other_speaker_needs_no_name_and_several_do() -> None:
    alone = [said("1", "a"), said("2", "b", 1), said("1", "c", 2), said("2", "d", 3)]
    among = [said("1", "e", 500), said("3", "f", 501), said("2", "g", 502), said("1", "h", 503)]
    made = built([*alone, *among, said("2", "i", 504)], target="2")
    assert made.texts() == [
        ["U: a", "A: b", "U: c", "A: d"],
        ["u1: e", "u3: f", "A: g", "u1: h", "A: i"],
    ]
    assert built(alone, target="2", real_names=True).texts() == [["U: a", "A: b", "U: c", "A: d"]]


def test_what_nobody_answers_is_cut_off() -> None:
    made = built([said("1", "a"), said("2", "b", 1), said("1", "c", 2), said("3", "d", 3)], target="2")
    assert made.texts() == [["U: a", "A: b"]]
    assert made.card.dropped == {"nobody answered": 2}


def test_replies_to_nobody_are_no_example() -> None:
    with pytest.raises(InvalidInput, match="2 × not in a conversation with 2"):
        built([said("2", "a"), said("3", "b", 600)], target="2")


# --- length --------------------------------------------------------------------------------------
LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=60)


@given(LENGTHS, st.integers(5, 80))
def test_parts_end_in_a_reply_and_fit(turns: list[tuple[int, bool]], most: int) -> None:
    tokens, replies = [length for length, _ in turns], [is_reply for _, is_reply in turns]
    end = 0
    for part in cut(tokens, replies, most):
        assert part.start >= end, "no turn is in two parts"
        end = part.stop
        assert replies[part[-1]]
        assert not all(replies[at] for at in part), "somebody asks"
        assert sum(tokens[at] for at in part) <= most or len(part) == 2, "a reply has at least its question"


@given(LENGTHS)
def test_what_fits_is_one_part(turns: list[tuple[int, bool]]) -> None:
    replies = [is_reply for _, is_reply in turns]
    parts = cut([length for length, _ in turns], replies, 10_000)
    asked = replies.index(False) if False in replies else len(replies)
    last = max((at for at, is_reply in enumerate(replies) if is_reply and at > asked), default=-1)
    assert parts == ([range(last + 1)] if last >= 0 else [])


def test_a_long_conversation_is_cut_between_messages() -> None:
    messages = [said(str(n % 2), words(n), n * 6) for n in range(200)]
    made = built(messages, max_tokens=64)
    assert made.card.examples > 20
    contents = [turn.content for example in made.examples for turn in example.messages]
    assert contents == [words(n) for n in range(200)], "each message once, whole, in order"
    assert made.card.lengths.edges[-1] == 64


def test_a_message_that_is_too_long_stays_whole() -> None:
    long = "so long a message " * 50
    made = built([said("1", long), said("2", "wow", 1)], max_tokens=32)
    assert made.texts() == [[f"U: {long.strip()}", "A: wow"]]


def test_what_is_too_far_from_a_reply_is_left_out_from_the_beginning() -> None:
    chatter = [said(str(n % 3), words(n), n * 6) for n in range(60)]
    made = built([*chatter, said("9", "at last", 360)], target="9", max_tokens=64)
    assert made.texts()[0][-1] == "A: at last"
    assert made.texts()[0][-2].endswith(words(59))
    assert made.card.dropped == {"too far from a reply": 61 - made.card.kept}


# --- choices of context --------------------------------------------------------------------------
def test_context_is_all_ordered_choices_of_the_last_turns() -> None:
    replies = [False, False, False, False, True]
    assert set(contexts(replies, 2, 3)) == {(*pair, 4) for pair in combinations((1, 2, 3), 2)}
    assert list(contexts(replies, 2, 2)) == [(2, 3, 4)]
    assert list(contexts([False, True], 3, 6)) == [(0, 1)], "all there are, where there are fewer"
    assert list(contexts([True, True], 1, 1)) == [], "nobody asks"


def test_choices_are_bounded_and_the_nearest_come_first() -> None:
    found = list(contexts([False] * 20 + [True], 10, 20))
    assert len(found) == CHOICES_MOST
    assert found[0] == (*range(10, 21),)


def test_choices_make_more_of_little_data() -> None:
    talk = [said(who, words(n), n * 6) for n, who in enumerate("13143")]
    made = built(talk, target="4", context_length=2, context_window=3)
    assert [lines[-1] for lines in made.texts()] == ["A: " + words(3)] * 3
    assert (made.card.examples, made.card.kept, made.card.conversations) == (3, 4, 1)


def test_choices_that_explode_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "EXAMPLES_MOST", 10)
    talk = [said(who, words(n), n) for n, who in enumerate("1234" * 20)]
    with pytest.raises(InvalidInput, match="meant for little data") as caught:
        built(talk, context_length=3, context_window=20)
    assert caught.value.param == "context_window"


# --- situational ---------------------------------------------------------------------------------
def situational() -> list[Message]:
    return [
        said("1", "eat together?"),
        said("2", "there is no class on Thursday", 1),
        said("1", "ok", 2),
        said("2", "yes", 3),
    ]


def test_situational_replies_are_marked() -> None:
    made = built(situational())
    assert (made.card.situational, made.examples[0].situational, made.card.kept) == (1, True, 4)


def test_situational_replies_alone_are_dropped() -> None:
    made = built(situational(), situational="drop")
    assert made.texts() == [["U: eat together?", "U: ok", "A: yes"]]
    assert made.card.dropped == {"situational": 1}


# --- examples as they came -----------------------------------------------------------------------
def test_what_came_as_an_example_is_checked() -> None:
    made = built(
        [
            Read([ReadTurn("user", "a"), ReadTurn("assistant", " ")]),
            Read([ReadTurn("user", "a")]),
            Read([]),
            Read([ReadTurn("assistant", "Plain text on Friday, see https://example.org.")], source="x.txt"),
            Read([ReadTurn("user", "eat?"), ReadTurn("assistant", "no class on Friday")], label=False),
        ]
    )
    assert made.card.dropped == {"no reply to learn": 2, "empty message": 1}
    assert made.texts() == [
        ["A: Plain text on Friday, see https://example.org."],
        ["U: eat?", "A: no class on Friday"],
    ]
    assert [(each.label, each.situational) for each in made.examples] == [(True, False), (False, True)]
    assert made.examples[0].source == "x.txt"


def test_personal_data_is_replaced_in_examples_too() -> None:
    ask = [ReadTurn("user", "mail?"), ReadTurn("assistant", "a@example.org")]
    assert built([Read(ask)]).examples[0].messages[1].content == "<email>"
    ask = [ReadTurn("user", "mail?"), ReadTurn("assistant", "a@example.org")]
    kept = built([Read(ask)], personal_data="keep")
    assert kept.examples[0].messages[1].content == "a@example.org"


def test_an_example_that_says_whose_words_it_is_is_nobody_elses() -> None:
    ask = [ReadTurn("user", "eat?", "u1"), ReadTurn("assistant", "yes")]
    others = [ReadTurn("user", "sleep?", "Tom"), ReadTurn("assistant", "no")]
    reads = [Read(ask, authors=("7", "name:Mara")), Read(others)]
    made = built(reads)
    assert [one.contributors for one in made.examples] == [["7", "name:Mara"], ["42", "name:Tom"]]
    assert made.people.keys() == {"7", "name:Mara", "42", "name:Tom"}
    for out in (Allowed(opted_out=frozenset({"7"})), Allowed(out_names=frozenset({"mara"}))):
        left = built(reads, allowed=out)
        assert (left.card.dropped, left.texts()) == ({"opted out": 1}, [["Tom: sleep?", "A: no"]])
        assert left.people.keys() == {"42", "name:Tom"}
    assert len(built(reads, allowed=Allowed(out_names=frozenset({"u1"}))).examples) == 2, (
        "u1 is nobody's name"
    )


def test_unwanted_replies_are_marked() -> None:
    made = built([said("1", "a"), said("2", "b", 1)], label=False)
    assert (made.card.positive, made.examples[0].label) == (0, False)
