"""Phrases that are kept: few enough, fresh enough, and found again after a restart."""

import os
import time
from pathlib import Path

import pytest

from chorus.speech.backends.phrases import KEPT, Phrases
from chorus.speech.voice.ports import Recording


def opened(folder: Path, *, most_bytes: int = 1000, most: int = 10) -> Phrases:
    return Phrases(folder / "phrases", most_bytes=most_bytes, most=most)


def made(size: int = 100, voice: str = "espeak/de") -> Recording:
    return Recording(b"x" * size, 1.25, voice)


def test_what_was_said_is_found_again_also_after_a_restart(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.put("Hallo", made())
    for phrases in (kept, opened(tmp_path)):
        assert phrases.get("espeak/de", "Hallo") == made()
        assert phrases.get("espeak/en-us", "Hallo") is None
        assert phrases.get("espeak/de", "Hallo!") is None
        assert phrases.size == 100


def test_no_text_stands_in_a_name(tmp_path: Path) -> None:
    opened(tmp_path).put("secret", made())
    assert not [path for path in tmp_path.rglob("*") if "secret" in path.name]


@pytest.mark.parametrize("bounds", [{"most": 3}, {"most_bytes": 350}])
def test_what_was_asked_for_the_longest_ago_makes_room(tmp_path: Path, bounds: dict[str, int]) -> None:
    kept = opened(tmp_path, **bounds)
    for text in ("one", "two", "three"):
        kept.put(text, made())
    assert kept.get("espeak/de", "one")
    kept.put("four", made())
    assert [text for text in ("one", "two", "three", "four") if kept.get("espeak/de", text)] == [
        "one",
        "three",
        "four",
    ]
    assert (len(kept), kept.size) == (3, 300)
    assert len(list((tmp_path / "phrases").iterdir())) == 3


def test_the_same_again_takes_no_more_room(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    for _ in range(3):
        kept.put("one", made())
    assert (len(kept), kept.size) == (1, 100)


def test_what_is_larger_than_all_the_room_is_not_kept(tmp_path: Path) -> None:
    kept = opened(tmp_path, most_bytes=99)
    kept.put("one", made())
    assert (len(kept), kept.size) == (0, 0)


def test_what_nobody_asks_for_goes_after_a_day(tmp_path: Path) -> None:
    opened(tmp_path).put("old", made())
    (path,) = (tmp_path / "phrases").iterdir()
    long_ago = time.time() - KEPT - 1
    os.utime(path, (long_ago, long_ago))
    assert opened(tmp_path).get("espeak/de", "old") is None
    assert not path.exists()


def test_files_that_vanish_or_were_never_whole_do_no_harm(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.put("one", made())
    next((tmp_path / "phrases").iterdir()).unlink()
    assert kept.get("espeak/de", "one") is None
    (tmp_path / "phrases" / "half.part").touch()
    opened(tmp_path)
    assert not list((tmp_path / "phrases").iterdir())
