"""Replies that state a time or a place that nobody spoke of."""

import pytest

from chorus.trainer.curation.situational import is_situational
from tests.support import corpora


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        ("eat together?", "there is no class on Thursday"),
        ("hungry?", "I get off at 5 pm"),
        ("nice one", "it starts 17:30"),
        ("nice one", "the exam is June 12th"),
        ("ok", "we are in room 204"),
        ("what are you up to", "I'm at the library"),
        ("gehen wir essen?", "Donnerstag ist keine Vorlesung"),
        ("alles klar", "ich hab um 17 Uhr Training"),
        ("und?", "ich bin in der Bibliothek"),
        ("on mange ?", "pas de cours jeudi"),
        ("d'accord", "ça commence à 18h30"),
        ("¿comemos?", "no hay clase el jueves"),
        ("vale", "empieza a las 5"),
        ("поедим?", "в четверг нет занятий"),
        ("ладно", "начало в 8 вечера"),
        ("да?", "я в библиотеке"),
    ],
)
def test_a_time_or_a_place_out_of_nowhere_is_situational(asked: str, reply: str) -> None:
    assert is_situational(reply, ["hi", asked])


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        ("when is it?", "on Thursday"),
        ("are you free at the weekend", "Saturday works"),
        ("5 or 6?", "17:30"),
        ("where are you?", "I'm at the library"),
        ("wann denn?", "Donnerstag"),
        ("wo bist du", "ich bin in der Bibliothek"),
        ("c'est quand ?", "jeudi à 18h30"),
        ("¿cuándo?", "el jueves"),
        ("когда?", "в четверг"),
        ("hm", "see you tomorrow"),
        ("hm", "we won 3:2, 100 points, 60 fps, version 1.2.3"),
        ("hm", "it may be 20 people, march on"),
        ("hm", "I liked it at school, work is hard"),
        ("hm", "ich nehme 2 am Tag, um die 8"),
        ("hm", "bis morgen, guten Abend"),
        ("hm", "à demain, j'ai attendu 2h"),
        ("hm", "окружающая среда"),
    ],
)
def test_what_was_spoken_of_or_is_always_said_is_not(asked: str, reply: str) -> None:
    assert not is_situational(reply, ["hi", asked])


def test_what_was_said_further_up_counts_too() -> None:
    assert not is_situational("on Thursday", ["when shall we meet?", "hm", "dunno"])


def test_without_a_context_nothing_hangs_on_it() -> None:
    assert not is_situational("there is no class on Thursday", [])


def test_words_alone_are_never_situational() -> None:
    for text in corpora.distinct(1, 3000):
        assert not is_situational(text, ["hm"]), text
