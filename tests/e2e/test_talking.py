"""A talk at the console with the whole of Chorus: options, persona, examples, two models side by side."""

from collections.abc import Iterator

import pytest

from tests.support.chorus import RunningChorus

SHORT = "max_tokens=6"


def said(chorus: RunningChorus, line: str) -> str:
    """What is shown for a line, without its echo and what is remarked below an answer."""
    echo, *shown = chorus.say(line)
    assert echo == f"chorus> {line}"
    return "\n".join(line for line in shown if not line.startswith("("))


def test_what_is_chosen_for_a_question_reaches_the_engine(chorus: RunningChorus) -> None:
    hello = said(chorus, f"!ask model=base {SHORT} temperature=0 hello")
    assert hello
    several = said(chorus, f"!ask {SHORT} n=2 hello")
    assert several.startswith("--- 1 ---\n")
    assert "\n--- 2 ---\n" in several
    compared = said(chorus, f"!compare base nobody@1 {SHORT} temperature=0 hello")
    assert compared.startswith(f"--- base ---\n{hello}\n--- nobody@1 ---\n✗ ")
    assert compared.endswith("[unknown_model]")


@pytest.fixture
def cat(chorus: RunningChorus) -> Iterator[None]:
    """A persona and an example, for as long as a test takes: everybody at the console has them."""
    chorus.say('!persona "You are a cat."', '!examples add "Who are you?" "The cat."')
    yield
    chorus.say("!persona clear", "!examples clear")


@pytest.mark.usefixtures("cat")
def test_persona_and_examples_are_kept_with_the_guild(chorus: RunningChorus) -> None:
    assert "You are a cat." in said(chorus, "!persona")
    assert "The cat." in said(chorus, "!examples")
    assert "✗" not in said(chorus, f"!ask {SHORT} hello")
    assert "ready" in said(chorus, "!models"), "inference says what it has at hand"
