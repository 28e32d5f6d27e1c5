"""Personal data becomes placeholders; numbers, ids, dates and code do not."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chorus.trainer.curation.personal import replace
from tests.support import corpora

KINDS = ("email", "phone", "card", "iban", "token", "ip")
PLANTED = corpora.personal(1, 400)


def replaced(text: str) -> tuple[str, dict[str, int]]:
    counts: Counter[str] = Counter()
    return replace(text, counts), dict(counts)


@pytest.mark.parametrize("kind", KINDS)
def test_planted_data_is_replaced_and_counted(kind: str) -> None:
    planted = [one for one in PLANTED if one.kind == kind]
    assert len(planted) == 400
    good = sum(
        one.value not in (text := replaced(one.text)[0]) and text.count(f"<{kind}>") == 1 for one in planted
    )
    assert good >= 0.95 * len(planted)


def test_what_stands_around_it_stays() -> None:
    for one in PLANTED:
        text, counts = replaced(one.text)
        if one.value not in text:
            assert text == one.text.replace(one.value, f"<{one.kind}>")
            assert counts == {one.kind: 1}


def test_a_second_run_changes_nothing() -> None:
    for one in PLANTED:
        text, _ = replaced(one.text)
        assert replaced(text) == (text, {})


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*(one.value for one in PLANTED[::40]), *"@:/.- +<>_0aZ"]), max_size=8))
def test_placeholders_never_nest_whatever_stands_side_by_side(pieces: list[str]) -> None:
    text = "".join(pieces)
    for _ in range(len(pieces) + 1):  # numbers without a sign between them may come out one by one
        text, _ = replaced(text)
        assert not any(f"<{outer}<" in text for outer in KINDS)
    assert replaced(text)[0] == text


def test_clean_chat_is_left_alone() -> None:
    chat = corpora.chat(2, 10_000)
    assert sum(replaced(text)[0] != text for text in chat) <= 0.01 * len(chat)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ask o'brien+x@mail.example.co.uk, or müller@bücher.example.", "ask <email>, or <email>."),
        ("call 0170 1234567 / 0171 7654321 or tel:+442079460958", "call <phone> / <phone> or tel:<phone>"),
        ("(415) 555-2671 or 1-800-555-0199", "<phone> or <phone>"),
        ("mi número: 612345678, 8 (912) 345-67-89", "mi número: <phone>, <phone>"),
        ("+55 11 91234-5678, 090-1234-5678", "<phone>, <phone>"),
        ("4111 1111 1111 1111 12/27 123", "<card> 12/27 123"),
        ("DE89 3704 0044 0532 0130 00 OK?", "<iban> OK?"),
        ("https://bob:hunter2@host.example/x", "https://<token>@host.example/x"),
        ("secret_access_key = " + "wJalrXUtnFEMIK7MDENG" + "bPxRfiCY", "secret_access_key = <token>"),
        ("8.8.8.8 and 2001:4860:4860::8888.", "<ip> and <ip>."),
        ("password=correcthorsebatterY1 ok", "password=<token> ok"),
        ("Passwort: sommer24 und", "Passwort: <token> und"),
        ('"password" : "s3cret!x"', '"password" : "<token>"'),
        ("token=AbcdefghijklmnopQ1", "token=<token>"),
        ("call ０１７０ １２３４５６７ ok", "call <phone> ok"),
        ("mira＠example.com", "<email>"),
    ],
)
def test_many_ways_to_write_it(text: str, expected: str) -> None:
    assert replaced(text)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "1700000000 seconds, 1700000000000 ms, 20240612183000",
        "<@123456789012345678> <:pog:123456789012345678> 1234567890123456789",
        "12.06.2024 18:30, 2024-06-12 18:30:00, 06/12/2024",
        "10 20 30 40 50 and 4 8 15 16 23 42 and 612 345 678",
        "1 000 000, 1.000.000,50 €, $1,234,567.89, 3.14159265358979",
        "v1.2.3.4, version 10.0.45.38, 192.168.0.1, 127.0.0.1, fe80::1, ::1",
        "21-19 21-15, 1998-2004 2010, 1920x1080 3840x2160",
        "logo@2x.png, react@18.2.0, git@github.com:a/b.git, @someone, a@b",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709 550e8400-e29b-41d4-a716-446655440000",
        "std::vector<int> a::b::c 12:30:45 :smile: :100:",
        "youtube.com/watch?v=dQw4w9WgXcQ https://example.com/2024/06/12/a-long-name-here-5551234567",
        "4111 1111 1111 1112 is no card, DE89 3704 0044 0532 0130 01 no account",
        "my token is a word, password: please, sk-learn",
        "password: 123456789",
        "第１回、２０２４年",
    ],
)
def test_what_looks_like_it_stays(text: str) -> None:
    assert replaced(text) == (text, {})


HOSTILE = (
    "1|1 |a@|a@a.|a|eyJ-|DE89 3704 |4111 1111 1111 1112 |+1|:a|2a01:|1.1.1.|token=|password=|passwort: 1|://a:|"
    "0170 1234560 |((|1-"
)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", [*HOSTILE.split("|"), "-----BEGIN PRIVATE KEY-----", "MTAx.", "<", "_a0-"])
def test_hostile_text_takes_no_longer_than_its_length(piece: str) -> None:
    text, _ = replaced("a@b.example " + piece * (400_000 // len(piece)))
    assert text.startswith("<email>")
