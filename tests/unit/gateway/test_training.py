"""`!train`: what it learns, from where, and how it tells of it."""

import pytest

from chorus.common.contracts.datasets import BuildOptions, Source
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.training import Checked, Estimate, JobError
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.replies import Moment, Problem, Progress
from chorus.gateway.commands.table import run
from tests.unit.gateway.fake_data import dataset, ref
from tests.unit.gateway.fakes import World, told
from tests.unit.gateway.test_models import version


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
    begun, reading, read, queueing, started, waiting, ended = [moment async for moment in reply.moments]
    assert begun == Moment(stage="reading"), "at once, whenever the trainer has room"
    assert reading == Moment(stage="reading", done=50, total=100, figures=("50%",))
    assert (read.note or "").startswith("Dataset data@1: ")
    assert (started.note or "").startswith("Model training started. Job ID: ")
    assert waiting.stage == "queued"
    (job,) = world.jobs.records
    assert (queueing.job, queueing.queues) == (None, job), "whoever shows it can note where, first"
    assert [moment.job for moment in (reading, read, started, waiting)] == [None, None, job, job]
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


async def test_words_files_and_datasets_are_learned_together(world: World) -> None:
    world.datasets.all = [dataset("club", 1), dataset("club", 2), dataset("quay")]
    line = '!train "words" file=data.json --text-file more.json data=club@1,quay,club@1 name=both'
    said = await told(await run(world.context(), line))
    assert [new.name for _, new in world.datasets.added] == ["typed", "both"]
    assert [file.name for file in world.datasets.added[1][1].files if isinstance(file, Upload)] == [
        "data.json", "more.json",
    ]  # fmt: skip
    (job,) = world.jobs.records.values()
    assert job.job.dataset == "typed@1, both@1, club@1, quay@1"
    assert [part for part in said.splitlines() if part.startswith("Dataset ")] == [
        f"Dataset {name}@1: 2 examples of plain text, 1 dropped (empty message)."
        for name in ("typed", "both", "club", "quay")
    ]


async def test_words_not_to_be_said_are_learned_beside_others(world: World) -> None:
    world.datasets.all = [dataset("club")]
    await told(await run(world.context(), '!train "Go away." positive=False data=club'))
    (job,) = world.jobs.records.values()
    assert job.job.dataset == "typed@1, club@1"
    assert not world.datasets.added[0][1].positive


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
        ("!train data=club,gone start=main@9", "unknown_model"),
    ],
)
async def test_what_cannot_be_learned_is_told(world: World, line: str, code: str) -> None:
    world.datasets.all = [dataset("club"), dataset("gone", withdrawn="somebody's words were in it")]
    reply = await run(world.context(), line)
    assert isinstance(reply, Problem)
    assert reply.code == code


OTHERS: dict[str, object] = {
    "method": "full", "objective": "kto", "epochs": 3, "learning_rate": 1e-4, "rank": 32, "alpha": 64.0,
    "batch_tokens": 512, "max_tokens": 64, "warmup": 0.1, "weight_decay": 0.01, "max_grad_norm": 0.5,
    "beta": 0.2, "sft_weight": 0.3, "patience": 0, "activation_checkpointing": True, "compile": False,
    "max_seconds": 60.0, "max_cost": 1.5, "seed": 7,
}  # fmt: skip
"""A value other than the usual one, for each hyper-parameter."""


@pytest.mark.parametrize("spelled", ["{name}={value}", "--{name} {value}", "--{dashed}={value}"])
async def test_each_hyper_parameter_is_an_option(world: World, spelled: str) -> None:
    assert set(OTHERS) == set(Hyperparameters.model_fields)
    options = [
        spelled.format(name=name, dashed=name.replace("_", "-"), value=value)
        for name, value in OTHERS.items()
    ]
    await told(await run(world.context(), f"!train words {' '.join(options)}"))
    (job,) = world.jobs.records.values()
    assert job.job.hyperparameters.model_dump() == OTHERS
    assert world.datasets.added[0][1].options == BuildOptions(max_tokens=64)


async def test_auto_is_taken_for_each_hyper_parameter(world: World) -> None:
    options = " ".join(f"{name}=auto" for name in OTHERS)
    await told(await run(world.context(), f"!train words {options}"))
    (job,) = world.jobs.records.values()
    assert job.job.hyperparameters == Hyperparameters()


async def test_examples_are_learned_as_long_as_they_were_built(world: World) -> None:
    world.datasets.all = [dataset("club", options=BuildOptions(max_tokens=4096)), dataset("quay")]
    await told(await run(world.context(), "!train data=quay,club"))
    (job,) = world.jobs.records.values()
    assert job.job.hyperparameters.max_tokens == 4096


@pytest.mark.parametrize(
    ("options", "model", "base"),
    [
        ("", "main", None),
        ("model=club", "club", None),
        ("--model 'gpt2-small (124M)'", "main", "gpt2"),
        ("--model 'GPT2-XL (1558M)'", "main", "gpt2-xl"),
        ("model=DialoGPT-small", "main", "microsoft/DialoGPT-small"),
        ("model=Qwen/Qwen2.5-0.5B-Instruct", "main", "Qwen/Qwen2.5-0.5B-Instruct"),
        ("model=club base=gpt2", "club", "gpt2"),
        ("base=our-own", "main", "our-own"),
        ("start=main@2", "main", None),
        ("start=main@k7f3m2qxab-2 model=club", "club", None),
    ],
)
async def test_a_model_is_the_guilds_own_or_a_base(
    world: World, options: str, model: str, base: str | None
) -> None:
    checkpoint = version(2, label="k7f3m2qxab-2")
    world.models.records = [
        ModelRecord(
            guild="local",
            name="main",
            versions=[version(1), version(2)],
            checkpoints=[checkpoint],
            aliases={},
        )
    ]
    await told(await run(world.context(), f"!train words {options}"))
    (record,) = world.jobs.records.values()
    assert (record.job.model, record.job.base) == (model, base)
    start = options.partition("start=")[2].partition(" ")[0]
    assert (record.job.parent.model if record.job.parent else "") == start


@pytest.mark.parametrize(
    ("options", "learned"),
    [
        ("data=better start=main@1", ["better@1", "club@1"]),
        ("data=better start=main@1 replay=no", ["better@1"]),
        ("data=better,club start=main@1", ["better@1", "club@1"]),
    ],
)
async def test_what_a_version_learned_from_is_learned_again_with_what_comes_next(
    world: World, options: str, learned: list[str]
) -> None:
    world.datasets.all = [dataset("better"), dataset("club")]
    first = version(1).model_copy(update={"dataset": "club@1, deleted@1"})
    world.models.records = [ModelRecord(guild="local", name="main", versions=[first], aliases={})]
    said = await told(await run(world.context(), f"!train {options}"))
    (record,) = world.jobs.records.values()
    assert [part.dataset for part in record.job.data] == learned
    assert ("Learned again beside it: club@1" in said) == (options == "data=better start=main@1")


async def test_what_it_takes_is_told(world: World) -> None:
    estimate = Estimate(steps=250, epochs=5, tokens=9000, memory_bytes=400_000_000, seconds=40.4)
    world.jobs.checked = Checked(estimate=estimate)
    said = await told(await run(world.context(), "!train words"))
    assert "It takes about 250 steps, 0.4 GiB, 40 s." in said.splitlines()


async def test_what_the_trainer_refuses_is_told_at_once(world: World) -> None:
    problems = [JobError(code="unknown_base", message="There is no base x. Bases: starter.", param="base")]
    problems.append(JobError(code="qlora_needs_gpu", message="qlora needs a GPU.", param="method"))
    world.jobs.checked = Checked(problems=problems)
    said = await told(await run(world.context(), "!train words base=x method=qlora"))
    assert said.endswith("✗ There is no base x. Bases: starter.\nqlora needs a GPU. [unknown_base]")
    assert not world.jobs.records


async def test_all_that_cannot_be_learned_is_told_at_once(world: World) -> None:
    reply = await run(world.context(), "!train file=none.json data=gone,away")
    assert isinstance(reply, Problem)
    assert [line.split(".")[0] for line in reply.message.splitlines()] == [
        "There is no file none", "There is no dataset gone", "There is no dataset away",
    ]  # fmt: skip


async def test_a_file_that_is_wrong_ends_what_was_being_told(world: World) -> None:
    world.datasets.error = InvalidInput("Line 2 is broken. Mend it.", code="broken_json")
    said = await told(await run(world.context(), "!train file=data.json"))
    assert said == "✗ Line 2 is broken. Mend it. [broken_json]"
    assert not world.jobs.records
