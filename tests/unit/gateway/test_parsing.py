"""Lines as people write them: quotes of all kinds, options anywhere, text kept as it is."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from chorus.common.errors import InvalidInput
from chorus.gateway.commands.chat import Ask
from chorus.gateway.commands.parsing import Parameters, bind
from chorus.gateway.commands.speech import Say
from chorus.gateway.commands.training import Train


class Take(Parameters):
    text: str | None = None
    file: str | None = None
    positive: bool = True
    epochs: int = Field(default=1, ge=1, le=10)
    learning_rate: Literal["auto"] | float = "auto"


def read(argument: str) -> dict[str, object]:
    return bind(Take, "text", argument).model_dump(exclude_defaults=True)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("", {}),
        ("hello world", {"text": "hello world"}),
        ('"hello world" positive=False', {"text": "hello world", "positive": False}),
        ("hello world positive=False", {"text": "hello world", "positive": False}),
        ("positive=False hello", {"text": "hello", "positive": False}),
        ("“smart quotes” Positive=false epochs=3", {"text": "smart quotes", "positive": False, "epochs": 3}),
        ("«guillemets»", {"text": "guillemets"}),
        ("„tief“", {"text": "tief"}),
        ("x = y positive=no", {"text": "x = y", "positive": False}),
        ("what is a=b?", {"text": "what is a=b?"}),
        ("file=data.json", {"file": "data.json"}),
        ("file='my data.json' epochs=2", {"file": "my data.json", "epochs": 2}),
        ('file="a b" some words', {"file": "a b", "text": "some words"}),
        ("it's", {"text": "it's"}),
        ("'tis the season", {"text": "'tis the season"}),
        ('say "hi" to them', {"text": 'say "hi" to them'}),
        ('"positive=False"', {"text": "positive=False"}),
        ('"two" "parts"', {"text": '"two" "parts"'}),
        ("line one\nline two", {"text": "line one\nline two"}),
        ('"fiel=x.json"', {"text": "fiel=x.json"}),
        ('"the epoch=3 is over" epochs=2', {"text": "the epoch=3 is over", "epochs": 2}),
        ("--file data.json --epochs 3", {"file": "data.json", "epochs": 3}),
        ("--File='a b' some words --epochs=3", {"file": "a b", "text": "some words", "epochs": 3}),
        ("--learning-rate 1e-4", {"learning_rate": 1e-4}),
        ("learning-rate=1e-4", {"learning_rate": 1e-4}),
        ("--positive no --epochs 2", {"positive": False, "epochs": 2}),
        ("some words --positive", {"text": "some words"}),
        ("one -- two --three", {"text": "one -- two --three"}),
        ('"--file x"', {"text": "--file x"}),
    ],
)
def test_arguments(argument: str, expected: dict[str, object]) -> None:
    assert read(argument) == expected


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ('"unclosed', "unclosed_quotes"),
        ('file="unclosed', "unclosed_quotes"),
        ("epochs=99", "invalid_parameter"),
        ("epochs=many", "invalid_parameter"),
        ("positive=maybe", "invalid_parameter"),
        ("epochs=1 epochs=2", "given_twice"),
        ("fiel=x.json", "unknown_option"),
        ("some words epoch=3", "unknown_option"),
        ('"some words" lr=0.1', "unknown_option"),
        ("nonsense=1", "unknown_option"),
        ("--nonsense 1", "unknown_option"),
        ("some words --epoch 3", "unknown_option"),
        ("some words --epochs", "missing_value"),
        ("learning_rate=fast", "invalid_parameter"),
    ],
)
def test_what_is_wrong_is_named(argument: str, code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read(argument)
    assert error.value.code == code


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as error:
        read("some words epochs=99 learning_rate=fast fiel=x positive=maybe")
    assert error.value.code == "unknown_option"
    unknown, positive, epochs, rate = error.value.message.splitlines()
    assert "Did you mean `file=`?" in unknown
    assert positive.startswith("`positive` cannot be 'maybe': ")
    assert epochs == "`epochs` cannot be '99': input should be less than or equal to 10."
    assert rate.startswith("`learning_rate` cannot be 'fast': input should be 'auto' or a valid number")


def test_a_mistyped_option_is_corrected() -> None:
    with pytest.raises(InvalidInput, match="Did you mean `file=`"):
        read("fiel=x.json")


@pytest.mark.parametrize("text", ["a=b", "E=mc2", "x=1 y=2", "is a=b?"])
def test_where_the_text_is_the_point_it_may_look_like_an_option(text: str) -> None:
    assert bind(Ask, "question", text).question == text
    assert bind(Say, "text", text).text == text


def test_a_near_option_is_refused_there_too() -> None:
    with pytest.raises(InvalidInput, match="Did you mean `language=`"):
        bind(Say, "text", "Guten Morgen langage=de")


def test_text_where_none_is_taken() -> None:
    with pytest.raises(InvalidInput) as error:
        bind(Take, None, "words")
    assert error.value.code == "unexpected_text"


def test_a_missing_parameter_is_named() -> None:
    class Need(Parameters):
        job: str

    with pytest.raises(InvalidInput, match=r"`job` is missing\. `!help`"):
        bind(Need, "job", "")


words = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="=\"'“”„‘’«»")).map(
    str.strip
)


@given(words.filter(lambda text: text and not text.startswith("--")))
def test_any_text_is_kept_as_it_is(text: str) -> None:
    assert read(text)["text"] == text
    assert read(f'"{text}"')["text"] == text


def test_a_models_name_is_checked() -> None:
    with pytest.raises(InvalidInput, match="`model` cannot be"):
        bind(Train, "text", "words model=../other")


def test_half_a_character_is_no_reason_to_fail() -> None:
    assert read("half \ud83d file=\udcff.json") == {"text": "half ?", "file": "?.json"}
