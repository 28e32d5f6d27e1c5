"""In the console, a text becomes a file, and the file becomes the text again."""

from pathlib import Path

import pytest

from tests.support.chorus import RunningChorus

SENTENCE = "hello world one two three"


def test_what_is_said_is_read_again(chorus: RunningChorus, tmp_path: Path) -> None:
    path = tmp_path / "hello.ogg"
    said = chorus.say(f"!say {SENTENCE} to={path}")
    assert said[-1].startswith(f"✓ {path}, 1.")
    assert path.read_bytes()[:4] == b"OggS"
    assert chorus.say(f"!transcribe file={path}")[-1] == SENTENCE


def test_without_a_name_the_file_gets_one_where_one_is(chorus: RunningChorus) -> None:
    before = set(chorus.folder.glob("said-*.ogg"))
    told = chorus.say("!say We sail at dawn.")[-1]
    (made,) = set(chorus.folder.glob("said-*.ogg")) - before
    assert told.startswith(f"✓ {made.name}, ")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('!say ""', "nothing_to_say"),
        ("!say hello language=klingon", "unknown_language"),
        ("!transcribe file=stack.json", "unreadable_audio"),
        ("!transcribe file=nowhere.ogg", "file_not_found"),
    ],
)
def test_what_is_wrong_is_told(chorus: RunningChorus, line: str, code: str) -> None:
    assert f"[{code}]" in chorus.say(line)[-1]
