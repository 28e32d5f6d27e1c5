"""Work beside the training: the newest counts, and what fails stops nothing."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

from chorus.common.errors import Unavailable
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.newest import Newest
from chorus.trainer.training.report import Saved


class Warnings:
    """A journal that only keeps what it is warned of."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def warn(self, text: str) -> None:
        self.said.append(text)


def saved(folder: Path, step: int) -> Saved:
    place = folder / f"step-{step}"
    place.mkdir()
    (place / "weights").write_text(f"{step}")
    return Saved(step=step, folder=str(place))


class Uploads:
    """Uploads one when it may, and remembers what it was given, and what lay in its folder."""

    def __init__(self, fails: Callable[[int], bool] = lambda step: False) -> None:
        self.may_end = asyncio.Event()
        self.begun = asyncio.Event()
        self.seen: list[int] = []
        self._fails = fails

    async def __call__(self, told: Saved) -> None:
        assert (Path(told.folder) / "weights").read_text() == f"{told.step}"
        self.seen.append(told.step)
        self.begun.set()
        await self.may_end.wait()
        if self._fails(told.step):
            raise Unavailable("S3 is away.")


async def test_what_waits_gives_way_to_what_is_newer(tmp_path: Path) -> None:
    uploads = Uploads()
    async with Newest("checkpoint", uploads, cast(Journal, Warnings()), tmp_path / "in hand") as newest:
        await newest.give(saved(tmp_path, 1))
        await uploads.begun.wait()
        for step in (2, 3):
            await newest.give(saved(tmp_path, step))
        assert not list(tmp_path.glob("step-*")), "the child cannot delete what is in hand"
        uploads.may_end.set()
        await newest.settled()
        assert uploads.seen == [1, 3]
        assert not list((tmp_path / "in hand").iterdir()), "no folder is left"


async def test_a_failure_is_told_and_the_next_one_goes_on(tmp_path: Path) -> None:
    uploads, journal = Uploads(fails=lambda step: step == 1), Warnings()
    uploads.may_end.set()
    async with Newest("checkpoint", uploads, cast(Journal, journal), tmp_path / "in hand") as newest:
        for step in (1, 2):
            await newest.give(saved(tmp_path, step))
            await newest.settled()
    assert uploads.seen == [1, 2]
    assert journal.said == ["The checkpoint of step 1 could not be stored; the training goes on."]


async def test_what_the_child_has_deleted_already_is_nothing(tmp_path: Path) -> None:
    uploads = Uploads()
    async with Newest("checkpoint", uploads, cast(Journal, Warnings()), tmp_path / "in hand") as newest:
        await newest.give(Saved(step=1, folder=str(tmp_path / "gone")))
        await newest.settled()
    assert uploads.seen == []


async def test_the_end_waits_for_nobody(tmp_path: Path) -> None:
    uploads = Uploads()
    async with asyncio.timeout(5):
        async with Newest("checkpoint", uploads, cast(Journal, Warnings()), tmp_path / "in hand") as newest:
            await newest.give(saved(tmp_path, 1))
            await uploads.begun.wait()
    assert uploads.seen == [1]
