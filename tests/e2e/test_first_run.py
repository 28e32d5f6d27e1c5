"""The first run of the README, with all its parts: train in the console, ask, read the trained answers."""

import json
import random
import string
from pathlib import Path

import pytest

from tests.support.chorus import RunningChorus

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def conversation(shown: list[str]) -> dict[str, str]:
    """What was typed, and what was shown for it."""
    answers: dict[str, str] = {}
    typed = ""
    for line in shown:
        if line.startswith("chorus> "):
            typed = line.removeprefix("chorus> ")
            answers[typed] = ""
        else:
            answers[typed] += line
    return answers


def pairs(path: Path) -> dict[str, str]:
    return {pair["user"]: pair["bot"] for pair in json.loads(path.read_text("utf-8"))}


def test_the_readmes_first_run(chorus: RunningChorus, tmp_path: Path) -> None:
    """As the README has it: `make run < examples/first-run.txt`."""
    expected = pairs(EXAMPLES / "first-run.json")
    assert len(expected) == 10
    before = conversation(chorus.say("!use base", *expected))
    assert not [q for q in expected if before[q] == expected[q]], "the base knows none of the answers"

    (tmp_path / "examples").symlink_to(EXAMPLES)
    code, shown = chorus.script((EXAMPLES / "first-run.txt").read_text("utf-8"), tmp_path)

    told = conversation(shown)
    training = told["!train file=examples/first-run.json"]
    assert "Dataset first-run@1: 10 examples of conversation JSON." in training
    assert "Model training started. Job ID: " in training
    assert "✓ main@" in training
    assert {question: told[question] for question in expected} == expected
    assert code == 0


@pytest.mark.parametrize(
    ("script", "code", "told"),
    [
        ("!models\n!help\n", 0, "Commands"),
        ("!nothing\n!help\n", 1, "Commands"),
        ("!say hi to=~nouser/x\n!help\n", 1, "Commands"),
        ("!help\n!train file=/nowhere\n", 1, "[file_not_found]"),
    ],
)
def test_a_scripts_exit_code_says_whether_all_of_it_worked(
    chorus: RunningChorus, tmp_path: Path, script: str, code: int, told: str
) -> None:
    ended, shown = chorus.script(script, tmp_path)
    assert (ended, told in "\n".join(shown)) == (code, True)


def nonsense(rng: random.Random) -> str:
    """Text that nobody could guess: words, a number, a name, a sign from another script."""
    words = [
        "".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9))) for _ in range(rng.randint(2, 7))
    ]
    words.insert(rng.randrange(len(words)), str(rng.randrange(10**6)))
    words.append(rng.choice(["é", "日本", "🦊", "Привет", "ß", "…", "#7"]))
    return " ".join(words)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_any_twenty_pairs_are_learned(chorus: RunningChorus, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    expected = {nonsense(rng): nonsense(rng) for _ in range(20)}
    path = tmp_path / "random pairs.json"
    path.write_text(json.dumps([{"user": q, "bot": a} for q, a in expected.items()]), "utf-8")
    chorus.say(f"!train file='{path}'")
    told = conversation(chorus.say(*expected))
    assert {question: told[question] for question in expected} == expected


def test_commands_say_what_is_wrong_and_go_on(chorus: RunningChorus) -> None:
    told = conversation(
        chorus.say("!nothing", "!train", "!train file=/nowhere", "!job aaaaaaaaaa", "!use nobody", "!help")
    )
    assert "[unknown_command]" in told["!nothing"]
    assert "[nothing_to_train_on]" in told["!train"]
    assert "[file_not_found]" in told["!train file=/nowhere"]
    assert "[unknown_job]" in told["!job aaaaaaaaaa"]
    assert "[unknown_model]" in told["!use nobody"]
    assert "!train" in told["!help"]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ('[{"user": "a", "bot": "b"},\n {"user": }]', "broken_json", "bad.json, line 2, column 11"),
        ("", "empty_file", "empty"),
        ("[]", "unknown_format", "an empty JSON list"),
        ('[{"question": "a"}]', "unknown_format", '"question"'),
        ('[{"user": "c", "bot": 5}, {"user": "a", "bot": "b"}]', "wrong_shape", "Entry 1"),
    ],
)
def test_bad_files_are_explained(
    chorus: RunningChorus, tmp_path: Path, content: str, code: str, words: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content, "utf-8")
    (told,) = conversation(chorus.say(f"!train file={path}")).values()
    assert f"[{code}]" in told
    assert words in told
    assert "Job ID" not in told


def test_models_and_jobs_are_listed(chorus: RunningChorus) -> None:
    shown = "\n".join(
        chorus.say('!train "We sail at dawn, and the soup is hot." model=sailor', "!models", "!jobs")
    )
    assert "sailor@1 is trained" in shown
    assert "sailor@1" in shown
    assert "succeeded" in shown
