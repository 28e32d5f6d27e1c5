"""From records to a version: each record is accounted for, each word that stays is as it was said."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chorus.common.errors import InvalidInput
from chorus.trainer.curation.build import Allowed
from chorus.trainer.curation.records import EMPTY, NOTICE, Dropped, Message, Read, ReadTurn, Record
from tests.unit.trainer.curation.built import START, built, dialogues, pair, said, words


# --- small data ----------------------------------------------------------------------------------
def test_one_pair_is_a_dataset() -> None:
    made = built([pair(1)])
    assert (made.card.read, made.card.kept, made.card.examples, made.card.validation) == (1, 1, 1, 0)
    assert made.card.warnings == ["this is so little that it is learned by heart."]
    assert made.examples[0].contributors == ["42"]
    assert made.people["42"].messages == 1


def test_fifty_messages_are_all_learned() -> None:
    made = built(dialogues(25))
    assert (made.card.kept, made.card.examples, made.card.validation) == (50, 25, 0)
    assert "none are kept aside" in made.card.warnings[0]


def test_of_enough_data_the_newest_is_kept_aside() -> None:
    made = built(dialogues(200))
    assert made.card.validation == 10
    assert [example.split for example in made.examples] == ["train"] * 190 + ["validation"] * 10


def test_a_message_that_nobody_answers_is_no_dataset() -> None:
    with pytest.raises(InvalidInput, match=r"learned: 2 × nobody answered, 1 × system notice\.") as caught:
        built([said("1", "hello?"), said("2", "anybody?", 600), NOTICE])
    assert caught.value.code == "nothing_to_learn"


def test_no_records_are_no_dataset() -> None:
    with pytest.raises(InvalidInput, match="there is nothing in it"):
        built([])


# --- what stays ----------------------------------------------------------------------------------
def test_a_chat_becomes_turns_with_names() -> None:
    made = built([
        said("ann", "who is up?"), said("bob", "me 🌊", 1), said("cid", "moi aussi", 2), said("bob", "ok", 3)
    ])  # fmt: skip
    assert made.texts() == [["u1: who is up?", "A: me 🌊", "u3: moi aussi", "A: ok"]]
    assert made.examples[0].contributors == ["ann", "bob", "cid"]
    assert (made.card.first_at, made.card.last_at) != (None, None)
    assert [(each.name, each.messages) for each in made.card.speakers] == [("u2", 2), ("u1", 1), ("u3", 1)]


def test_every_script_survives() -> None:
    texts = ["Grüße, Straße", "日本語のテキスト", "שלום עולם", "👩‍👩‍👧‍👦 🏳️‍🌈", "नमस्ते", "one\ntwo"]
    made = built([said(str(n % 2), text, n * 6) for n, text in enumerate(texts)])
    assert [turn.content for turn in made.examples[0].messages] == texts


def test_records_are_kept_as_they_were_read() -> None:
    text = "mail me:  a@example.org  https://example.org/x"
    made = built([said("1", text), NOTICE, said("2", "ok", 1), pair(1)])
    texts = [record.text for record in made.records if isinstance(record, Message)]
    assert texts == [text, "ok"]
    assert [record for record in made.records if isinstance(record, Read)] == [pair(1)]
    assert made.texts()[1] == ["U: mail me: <email> <link>", "A: ok"]
    assert made.card.replaced == {"email": 1}


def test_a_version_is_built_anew_from_its_records() -> None:
    first = built([*dialogues(5), said("3", "and me?", 0.5), pair(1)])
    again = built(first.records)
    assert again.texts() == first.texts()
    names = [line.split(": ")[0] for line in first.texts()[1]]
    assert names == ["u1", "u2", "A"]
    named = built(first.records, real_names=True)
    assert [line.split(": ")[0] for line in named.texts()[1]] == ["1 name", "3 name", "A"]


def test_times_order_messages_and_not_files() -> None:
    made = built([said("2", "later", 1, source="b"), said("1", "first", 0, source="a")])
    assert made.texts() == [["U: first", "A: later"]]


def test_without_times_the_order_is_that_of_the_file() -> None:
    made = built([said(author, text, at=0.0, id="") for author, text in ("1a", "2b", "1c", "2d")])
    assert made.texts() == [["U: a", "A: b", "U: c", "A: d"]]
    assert made.card.first_at is None


# --- what goes -----------------------------------------------------------------------------------
def test_what_two_exports_have_is_kept_once() -> None:
    first = [said("1", "is it here?", 0, id="1"), said("2", "it is here", 1, id="2", edited_at=0.0)]
    second = [
        said("2", "it is there", 1, id="2", edited_at=START + 99, source="b"),
        said("1", "ah", 2, id="3"),
    ]
    made = built(first + second)
    assert made.card.dropped == {"in another file already": 1}
    assert made.texts() == [["A: is it here?", "U: it is there", "A: ah"]], "the newer wording"


def test_without_ids_the_same_words_at_the_same_time_in_another_file_are_the_same() -> None:
    talk = [("1", "ok", 0), ("1", "ok", 0), ("2", "good", 1)]
    files = [[said(a, text, at, id="", source=name) for a, text, at in talk] for name in ("a.txt", "b.txt")]
    made = built([*files[0], *files[1]])
    assert made.texts() == [["U: ok\nok", "A: good"]]
    assert made.card.dropped == {"in another file already": 3}


def test_people_who_opted_out_are_in_no_file() -> None:
    allowed = Allowed(opted_out=frozenset({"3"}), out_names=frozenset({"dée"}))
    made = built(
        [
            said("1", "@Dée and @3 name, where are you?"),
            said("3", "here", 1),
            said("name:DÉE", "and here", 2, author_name="DÉE"),
            said("4", "and where is @3 name?", 3),
            said("2", "gone", 4),
        ],
        allowed=allowed,
    )
    assert made.card.dropped == {"opted out": 2}
    assert made.texts() == [
        ["u1: @someone and @someone, where are you?", "u2: and where is @someone?", "A: gone"]
    ]
    assert set(made.people) == {"1", "2", "4"}
    assert len(made.records) == 3


def test_of_mined_history_only_those_are_learned_who_opted_in() -> None:
    made = built(
        [said("1", "a?"), said("3", "no", 1), said("2", "b!", 2)], allowed=Allowed(only=frozenset({"1", "2"}))
    )
    assert made.card.dropped == {"not opted in": 1}
    assert made.texts() == [["U: a?", "A: b!"]]


def test_the_words_of_somebody_who_opted_out_are_not_learned_by_handing_them_over() -> None:
    with pytest.raises(InvalidInput, match="1 × opted out"):
        built([pair(1)], allowed=Allowed(opted_out=frozenset({"42"})))


def test_who_is_known_by_name_alone_is_known_without_digits_of_former_times() -> None:
    talk = [
        said("1", "a?"),
        said("2", "b!", 1),
        said("name:Mara", "c", 2),
        said("name:mara#1234", "d", 3),
        said("name:tom", "e", 4),
    ]
    allowed = Allowed(opted_out=frozenset({"name:tom#0001"}), out_names=frozenset({"mara#0000"}))
    made = built(talk, allowed=allowed)
    assert made.card.dropped == {"opted out": 3}
    assert set(made.people) == {"1", "2"}


@pytest.mark.parametrize("name", ["Mara", "mara#1234", "77"])
def test_a_conversation_in_which_somebody_speaks_who_opted_out_is_left_out(name: str) -> None:
    mine = pair(1)
    mine.messages[0].name = name
    allowed = Allowed(opted_out=frozenset({"77"}), out_names=frozenset({"mara"}))
    made = built([mine, pair(2)], allowed=allowed)
    assert (made.card.dropped, len(made.records)) == ({"opted out": 1}, 1)


def test_accounts_are_kept_beside_the_names_that_people_give_themselves() -> None:
    names = [("ann_", "Ann"), ("ann_", "Queen Ann"), ("ann2", "Ann"), ("", "Ann")]
    talk = [said("1", words(n), n, account=a, author_name=name) for n, (a, name) in enumerate(names)]
    made = built([*talk, said("2", "yes", 9)])
    assert made.people["1"].accounts == ["ann_", "ann2"]
    assert made.people["1"].names == ["Ann", "Queen Ann"]
    assert made.people["2"].accounts == []
    many = [said("1", words(n), n, account=f"a{n}") for n in range(20)]
    assert len(built([*many, said("2", "yes", 29)]).people["1"].accounts) == 16


@pytest.mark.parametrize("at", [1e15, -1.0, 253_402_318_799.0, float("nan"), float("inf")])
def test_a_time_that_cannot_be_is_a_broken_message(at: float) -> None:
    made = built([said("1", "a?"), said("1", "when?", at=at), said("2", "b!", 1)])
    assert made.card.dropped == {"broken message": 1}
    assert "file.json: a message has a time before 1970 or after 2100." in made.card.warnings


def test_what_was_left_out_is_counted_again_when_it_is_built_anew() -> None:
    broken = Dropped("broken message", mend="file.json, message 3: not JSON.")
    first = built([NOTICE, *dialogues(5), EMPTY, broken, said("2", "\ud83d", 1)])
    again = built(first.records)
    assert (first.card.read, sum(first.card.dropped.values())) == (14, 4)
    assert again.card == first.card
    assert again.records == first.records


def test_a_window_without_a_length_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        built(dialogues(5), context_window=4)
    assert (caught.value.code, caught.value.param) == ("context_length_missing", "context_length")


def test_notes_on_the_files_are_among_the_warnings() -> None:
    assert built(dialogues(5), notes=lambda: ["a note."]).card.warnings[-1] == "a note."


def test_half_a_character_is_left_out() -> None:
    made = built([said("1", "a?"), said("2", "\ud83d", 1), said("2", "b!", 2)])
    assert made.card.dropped == {"broken characters": 1}


def test_bots_and_commands_go_and_bots_may_stay() -> None:
    def talk() -> list[Record]:
        return [
            said("1", "!play it"),
            said("9", "playing", 1, is_bot=True),
            said("1", "nice", 2),
            said("2", "yes", 3),
        ]

    assert built(talk()).card.dropped == {"a command": 1, "by a bot": 1}
    assert built(talk(), bots=True).texts() == [["u2: playing", "u1: nice", "A: yes"]]


# --- of all ways ---------------------------------------------------------------------------------
TEXTS = st.one_of(
    st.sampled_from(
        ["lol", "!play x", "  ", "see you on Friday at 17:30", "a@example.org", "<@1> hi", "x" * 300]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
MESSAGES = st.builds(
    said,
    st.sampled_from("1234"),
    TEXTS,
    st.integers(0, 90),
    channel=st.sampled_from("ab"),
    is_bot=st.sampled_from([False, False, True]),
    id=st.sampled_from(["", *map(str, range(30))]),
    reply_to=st.sampled_from(["", "1", "2"]),
    source=st.sampled_from(["one", "two"]),
)
READS = st.builds(
    Read,
    st.lists(st.builds(ReadTurn, st.sampled_from(["user", "assistant"]), TEXTS), min_size=1, max_size=3),
    label=st.sampled_from([None, True, False]),
)
RECORDS = st.lists(
    st.one_of(MESSAGES, MESSAGES, READS, st.sampled_from([EMPTY, Dropped("odd", mend="x")])),
    min_size=4,
    max_size=40,
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": st.sampled_from([32, 60, 1024]),
        "merge_minutes": st.sampled_from([0, 5]),
        "gap_minutes": st.sampled_from([10, 60]),
        "bots": st.booleans(),
        "min_words": st.sampled_from([0, 2]),
        "duplicates": st.sampled_from(["drop", "keep"]),
        "situational": st.sampled_from(["drop", "keep"]),
        "context_length": st.integers(1, 3),
    },
)


@settings(max_examples=150, deadline=None)
@given(RECORDS, OPTIONS)
def test_whatever_is_read_is_kept_or_dropped_and_learned_in_turns(
    records: list[Record], options: dict[str, Any]
) -> None:
    try:
        made = built(records, **options)
    except InvalidInput as error:
        assert error.code == "nothing_to_learn"
        return
    card = made.card
    assert card.read == len(records) == card.kept + sum(card.dropped.values())
    assert card.kept > 0
    assert sum(card.lengths.counts) == card.examples == len(made.examples)
    assert card.positive == sum(example.label for example in made.examples)
    assert card.situational == sum(example.situational for example in made.examples)
    for example in made.examples:
        assert example.messages[-1].role == "assistant"
        assert all(turn.content.strip() for turn in example.messages)
        assert set(example.contributors) <= set(made.people)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 30), min_size=10, max_size=40))
def test_no_conversation_is_in_both_splits(sizes: list[int]) -> None:
    talks = [
        [
            said(str(turn % 2), f"{talk} {words(turn)} again and again", talk * 1000 + turn)
            for turn in range(size)
        ]
        for talk, size in enumerate(sizes)
    ]
    made = built(
        [message for talk in talks for message in talk], merge_minutes=0, max_tokens=64, duplicates="keep"
    )
    splits: dict[str, set[str]] = {}
    for example in made.examples:
        number = example.messages[-1].content.split()[0]
        splits.setdefault(number, set()).add(example.split)
    assert all(len(found) == 1 for found in splits.values())
    assert [example.split for example in made.examples] == sorted(example.split for example in made.examples)
