"""Who speaks: names that stay the same, and the one person whose replies are learned."""

import pytest

from chorus.common.errors import InvalidInput
from chorus.trainer.curation.records import Message
from tests.unit.trainer.curation.built import Version, built, pair, said


def talk() -> list[Message]:
    return [
        said("10", "who is up?", 0, author_name="Ann"),
        said("20", "me, @Ann", 1, author_name="Bob"),
        said("30", "me too", 2, author_name="Zoë"),
        said("10", "good", 3, author_name="Ann B."),
    ]


def test_names_follow_the_order_of_time() -> None:
    made = built([talk()[n] for n in (3, 1, 0, 2)], target="30")
    assert made.texts() == [["u1: who is up?", "u2: me, @u1", "A: me too"]]


@pytest.mark.parametrize("target", ["20", "bob", " @Bob ", "<@20>", "<@!20>"])
def test_one_person_is_learned(target: str) -> None:
    made = built(talk(), target=target)
    assert made.texts() == [["U: who is up?", "A: me, @u1"]]
    assert made.card.dropped == {"nobody answered": 2}


def test_conversations_without_that_person_are_left_out() -> None:
    made = built([*talk(), said("10", "a", 500), said("20", "b", 501)], target="Zoë")
    assert made.card.dropped == {"not in a conversation with Zoë": 2, "nobody answered": 1}


def test_nobody_of_that_name() -> None:
    with pytest.raises(InvalidInput, match=r"called 'zoe'. Did you mean Zoë\?") as caught:
        built(talk(), target="zoe")
    assert (caught.value.code, caught.value.param) == ("no_such_target", "target")
    with pytest.raises(InvalidInput, match=r"Those who say most: Ann, Ann B\., Bob, Zoë\."):
        built(talk(), target="xxxxxx")


def test_several_of_that_name_are_named_by_id() -> None:
    with pytest.raises(InvalidInput, match=r"called 'ANN': 10, 40\.") as caught:
        built([*talk(), said("40", "hi", 5, author_name="ann")], target="ANN")
    assert caught.value.code == "ambiguous_target"


def test_somebody_with_an_id_in_one_file_and_none_in_another_is_one() -> None:
    more = [said("50", "and you?", 900), said("name:bob", "fine", 901, author_name="bob")]
    assert [lines[-1] for lines in built([*talk(), *more], target="Bob").texts()] == ["A: me, @u1", "A: fine"]


def test_a_bot_is_no_target_unless_bots_are_kept() -> None:
    def records() -> list[Message]:
        return [said("1", "hi"), said("9", "ho", 1, author_name="Robot", is_bot=True)]

    with pytest.raises(InvalidInput, match=r"'Robot' is a bot, and bots are left out.*`bots=True`") as caught:
        built(records(), target="Robot")
    assert (caught.value.code, caught.value.param) == ("target_is_a_bot", "target")
    with pytest.raises(InvalidInput, match="Nobody in this data"):
        built(records(), target="Nobody")
    assert built(records(), target="Robot", bots=True).texts() == [["U: hi", "A: ho"]]


def test_real_names_are_kept_if_the_guild_wants_it() -> None:
    records = [
        said("10", "<@20>, @Ann: hi", 0, author_name="Ann:\nthe one"),
        said("30", "hi", 1, author_name="Ann the one"),
        said("20", "ho", 2, author_name=""),
    ]
    made = built(records, real_names=True, target="20")
    assert made.texts() == [["Ann the one: @someone, @Ann: hi", "Ann the one (2): hi", "A: ho"]]


def test_a_target_where_nobody_has_a_name_is_told() -> None:
    made: Version = built([pair(1)], target="Bob")
    assert "nobody speaks by name in this data: `target=Bob` changes nothing." in made.card.warnings


def test_several_who_are_learned_as_one_are_told() -> None:
    pairs = [("1", "2"), ("1", "3"), ("1", "4")]
    made = built(
        [said(who, f"{n} {who}", n * 99 + at) for n, two in enumerate(pairs) for at, who in enumerate(two)]
    )
    assert any("3 people are learned as one voice" in told for told in made.card.warnings)
