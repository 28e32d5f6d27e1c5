"""`chorus forge`: files in, a model that talks out."""

from pathlib import Path

import pytest

from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.training import JobError, JobState
from chorus.gateway.commands.ports import Upload
from tests.unit.gateway.fakes import World
from tests.unit.gateway.test_cli import once
from tests.unit.gateway.test_console import typed
from tests.unit.gateway.test_models import version


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = [tmp_path / "export.json", tmp_path / "notes.txt"]
    for path in paths:
        path.write_text("[]")
    return [str(path) for path in paths]


async def test_files_become_a_model_that_answers_a_question(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    world.models.records = [ModelRecord(guild="local", name="main", versions=[version(1)], aliases={})]
    words = ["forge", *files, "--name", "club", "--epochs", "3", "--question", "When do you open?"]
    code, shown = await once(world, words, capsys)
    assert code == 0, shown
    ((_, new),) = world.datasets.added
    assert [upload.name for upload in new.files if isinstance(upload, Upload)] == ["export.json", "notes.txt"]
    (record,) = world.jobs.records.values()
    assert (record.job.model, record.job.hyperparameters.epochs) == ("club", 3)
    assert shown.endswith("main@1 answers now.\n> When do you open?\nHello.\n"), "as the fakes call it"
    assert [model for _, model, _ in world.answers.asked] == ["main@1"]


async def test_without_a_question_one_talks_with_it(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, b"hello\n")
    world = World()
    code, shown = await once(world, ["forge", files[0]], capsys)
    assert code == 0, shown
    assert "What you say now is said to main@1. Ctrl-D ends it." in shown
    assert [model for _, model, _ in world.answers.asked] == ["main@1"]


async def test_a_training_that_fails_ends_it(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    error = JobError(code="out_of_memory", message="It does not fit.")
    world.jobs.course = [{"state": JobState.FAILED, "error": error}]
    code, shown = await once(world, ["forge", files[0], "--question", "Hi?"], capsys)
    assert (code, "[out_of_memory]" in shown, world.answers.asked) == (1, True, [])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "[nothing_to_import]"),
        (["/nowhere/x.json"], "[file_not_found]"),
        (["x.json", "--fiel", "y"], "[unknown_option]"),
        (["x.json", "--name", "Not a name"], "[invalid_parameter]"),
        (["x.json", "--since", "2026-01-31"], "[not_mined]"),
        (["x.json", "--mine", "100000000000000001"], "[files_and_mine]"),
        (["--mine", "100000000000000001"], "[mining_not_permitted]"),
    ],
)
async def test_what_is_wrong_is_told_before_anything_is_trained(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    code, shown = await once(world, ["forge", *words], capsys)
    assert (code, told in shown, world.datasets.added) == (1, True, []), shown


async def test_its_help_tells_of_the_question_and_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    _, shown = await once(World(), ["forge", "--help"], capsys)
    for option in ("name", "base", "question", "epochs", "mine", "channel"):
        assert f"  {option}=   " in shown
