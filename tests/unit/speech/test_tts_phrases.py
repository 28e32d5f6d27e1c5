"""Phrases that are kept: few enough, fresh enough, and found again after a restart."""

import asyncio
import os
import shutil
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from chorus.speech.backends import phrases
from chorus.speech.backends.phrases import KEPT, LOOK_EVERY, Phrases
from chorus.speech.voice.ports import Clip


def opened(folder: Path, *, most_bytes: int = 1000, most: int = 10) -> Phrases:
    return Phrases(folder / "phrases", most_bytes=most_bytes, most=most)


def made(size: int = 100, voice: str = "espeak/de") -> Clip:
    return Clip(b"x" * size, 1.25, voice)


def test_what_was_said_is_found_again_also_after_a_restart(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.put("Hallo", made())
    for one in (kept, opened(tmp_path)):
        assert one.get("espeak/de", "Hallo") == made()
        assert one.get("espeak/en-us", "Hallo") is None
        assert one.get("espeak/de", "Hallo!") is None
        assert one.size == 100


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


def test_the_same_with_another_length_takes_its_place(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.put("one", made())
    kept.put("one", Clip(b"y" * 50, 1.5, "espeak/de"))
    assert (len(kept), kept.size) == (1, 50)
    assert len(list((tmp_path / "phrases").iterdir())) == 1


def test_what_is_left_of_a_larger_cache_is_counted_and_goes(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    for text in ("one", "two", "three"):
        kept.put(text, made())
    again = opened(tmp_path, most=2)
    assert (len(again), again.size) == (2, 200)
    assert len(list((tmp_path / "phrases").iterdir())) == 2


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
    old, new = [tmp_path / "phrases" / name for name in ("old.1.part", "new.2.part")]
    for part, age in ((old, LOOK_EVERY + 1), (new, 0)):
        part.touch()
        os.utime(part, (time.time() - age,) * 2)
    opened(tmp_path)
    assert list((tmp_path / "phrases").iterdir()) == [new], "another process is about to make it whole"


def test_where_the_disk_takes_nothing_it_is_logged_once_and_goes_on(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.put("one", made())
    shutil.rmtree(tmp_path / "phrases")
    (tmp_path / "phrases").touch()
    with capture_logs() as logs:
        kept.put("two", made())
        kept.put("three", made())
        assert kept.get("espeak/de", "one") is None
    assert [log["event"] for log in logs] == ["phrases cannot be kept"]
    (tmp_path / "phrases").unlink()
    kept.put("two", made())
    assert kept.get("espeak/de", "two") == made()


def test_what_vanishes_while_it_is_read_is_not_made_anew_without_its_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = opened(tmp_path)
    kept.put("one", made())
    real = Path.read_bytes

    def read_and_lose(path: Path) -> bytes:
        data = real(path)
        path.unlink()
        return data

    monkeypatch.setattr(Path, "read_bytes", read_and_lose)
    assert kept.get("espeak/de", "one") is None
    assert not list((tmp_path / "phrases").iterdir())


async def test_what_is_too_old_goes_also_while_nobody_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = opened(tmp_path)
    kept.put("old", made())
    monkeypatch.setattr(phrases, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(phrases, "KEPT", -1.0)
    looking = asyncio.create_task(kept.forget_old())
    async with asyncio.timeout(5):
        while len(kept):
            await asyncio.sleep(0)
    looking.cancel()
    assert not list((tmp_path / "phrases").iterdir())
