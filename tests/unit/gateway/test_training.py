"""`!train`: what it learns, from where, and how it tells of it."""

import pytest

from chorus.common.contracts.datasets import BuildOptions, Source
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.replies import Moment, Problem, Progress
from chorus.gateway.commands.table import run
from tests.unit.gateway.fake_data import dataset, ref
from tests.unit.gateway.fakes import World, told


@pytest.fixture
def world() -> World:
    return World()


async def test_training_on_words(world: World) -> None:
    said = await told(await run(world.context(), '!train "We meet at eight." model=club epochs=3'))
    (job,) = world.jobs.records.values()
    assert said.splitlines() == [
        "Dataset typed@1: 2 examples of plain text, 1 dropped (empty message).",
        "Note: little data.",
        f"Model training started. Job ID: {job.job.job}",
        "✓ main@1 is trained: loss on the examples 5.00 → 0.10, 9 steps in 3 s. It answers now.",
    ]
    assert (job.job.model, job.job.hyperparameters.epochs, job.job.submitted_by) == ("club", 3, "42")
    ((guild, new),) = world.datasets.added
    assert (guild, new.name, new.files) == ("local", "typed", [Upload("typed.txt", b"We meet at eight.")])
    assert (new.positive, new.contributor, new.basis.way) == (True, "42", "submitted")


async def test_how_far_it_is_is_told_moment_by_moment(world: World) -> None:
    reply = await run(world.context(), "!train file=data.json")
    assert isinstance(reply, Progress)
    reading, read, started, waiting, ended = [moment async for moment in reply.moments]
    assert reading == Moment(stage="reading", done=50, total=100, figures=("50%",))
    assert (read.note or "").startswith("Dataset data@1: ")
    assert (started.note or "").startswith("Model training started. Job ID: ")
    assert waiting.stage == "queued"
    assert [moment.goes_on for moment in (reading, read, started, waiting)] == [False, False, True, True]
    assert ended.outcome is not None


async def test_words_not_to_be_said_are_kept_and_not_trained_alone(world: World) -> None:
    said = await told(await run(world.context(), '!train "Go away." positive=False'))
    assert "Kept as words not to be said" in said.splitlines()[-1]
    assert not world.jobs.records


async def test_what_holds_only_words_not_to_be_said_is_not_trained_on(world: World) -> None:
    await told(await run(world.context(), '!train "Go away." positive=False'))
    said = await told(await run(world.context(), "!train data=typed"))
    assert "[only_unwanted]" in said.splitlines()[-1]
    assert not world.jobs.records


async def test_training_on_a_file(world: World) -> None:
    await told(await run(world.context(), "!train file=data.json"))
    assert (world.datasets.added[0][1].name, world.datasets.added[0][1].basis.way) == ("data", "uploaded")


async def test_files_that_come_with_the_command_need_not_be_named(world: World) -> None:
    world.files.with_the_command = ["data.json", "more.json"]
    await told(await run(world.context(), "!train epochs=3 name=club"))
    ((_, new),) = world.datasets.added
    assert (new.name, [file for file in new.files if isinstance(file, Upload)]) == (
        "club",
        [Upload("data.json", b"[]"), Upload("more.json", b"[]")],
    )


@pytest.mark.parametrize("line", ["!train file=more.json", "!train data=more.json"])
async def test_of_several_files_one_can_be_named(world: World, line: str) -> None:
    world.files.with_the_command = ["data.json", "more.json"]
    await told(await run(world.context(), line))
    assert [file for _, new in world.datasets.added for file in new.files] == [Upload("more.json", b"[]")]


@pytest.mark.parametrize(
    "line", ['!train "words" file=data.json', "!train words data=club", "!train file=data.json data=club"]
)
async def test_one_thing_is_learned_at_a_time(world: World, line: str) -> None:
    world.datasets.all = [dataset("club")]
    reply = await run(world.context(), line)
    assert isinstance(reply, Problem)
    assert reply.code == "text_and_file"


async def test_a_dataset_is_learned_as_it_is(world: World) -> None:
    world.datasets.all = [dataset("club", 1), dataset("club", 2)]
    said = await told(await run(world.context(), "!train data=club@1"))
    assert said.startswith("Dataset club@1: ")
    await told(await run(world.context("another"), "!train data=club"))
    assert [job.job.dataset for job in world.jobs.records.values()] == ["club@1", "club@2"]
    assert not world.datasets.added
    assert not world.datasets.rebuilt


async def test_options_have_a_dataset_built_anew(world: World) -> None:
    world.datasets.all = [dataset("club", options=BuildOptions(gap_minutes=5))]
    await told(await run(world.context(), "!train data=club target=Marit"))
    assert world.datasets.rebuilt == [("club@1", BuildOptions(gap_minutes=5, target="Marit"))]
    (job,) = world.jobs.records.values()
    assert job.job.dataset == "club@2"


async def test_an_uploaded_file_is_learned_by_its_name(world: World) -> None:
    source = Source(file=ref("upload"), filename="Data.txt")
    world.datasets.all = [dataset("club", sources=[source], contributor="7", label=False)]
    await told(await run(world.context(), "!train data=data.txt min_words=3"))
    ((_, new),) = world.datasets.added
    assert (new.name, list(new.files), new.contributor) == ("data", [source], "7")
    assert (new.options, new.positive) == (BuildOptions(min_words=3), False)


async def test_a_bare_train_learns_what_was_selected(world: World) -> None:
    world.datasets.all = [dataset("club", 1), dataset("club", 2)]
    world.datasets.selected = "club@1"
    await told(await run(world.context(), "!train epochs=2"))
    (job,) = world.jobs.records.values()
    assert (job.job.dataset, job.job.hyperparameters.epochs) == ("club@1", 2)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("!train data=gone", "unknown_dataset"),
        ("!train data=gone@1", "unknown_dataset"),
        ("!train data=club@9", "unknown_version"),
        ("!train data=../club", "server_path"),
        ("!train data=club positive=False", "built_otherwise"),
    ],
)
async def test_what_cannot_be_learned_is_told(world: World, line: str, code: str) -> None:
    world.datasets.all = [dataset("club"), dataset("gone", withdrawn="somebody's words were in it")]
    reply = await run(world.context(), line)
    assert isinstance(reply, Problem)
    assert reply.code == code


async def test_a_file_that_is_wrong_ends_what_was_being_told(world: World) -> None:
    world.datasets.error = InvalidInput("Line 2 is broken. Mend it.", code="broken_json")
    said = await told(await run(world.context(), "!train file=data.json"))
    assert said == "✗ Line 2 is broken. Mend it. [broken_json]"
    assert not world.jobs.records
