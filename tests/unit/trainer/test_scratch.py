"""Folders for work in hand: gone with the work, and with what a killed process left of the same work."""

from pathlib import Path

from chorus.trainer.scratch import scratch


async def test_what_a_killed_process_left_of_the_same_job_is_removed(tmp_path: Path) -> None:
    for name in ("job-left", "other-left"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text("large")
    async with scratch(tmp_path, "job-", alone=True) as folder:
        assert {path.name for path in tmp_path.iterdir()} == {folder.name, "other-left"}
    assert {path.name for path in tmp_path.iterdir()} == {"other-left"}
