"""What each command does, without a bus: a line in, a reply out."""

import pytest

from chorus.common.contracts.generation import Delta
from chorus.common.contracts.models import ModelRecord
from chorus.gateway.commands.options import SHARED
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.replies import Card, Problem, Reply, Stream, Text
from chorus.gateway.commands.rows import COMMANDS, GROUPS
from chorus.gateway.commands.table import run
from tests.unit.gateway.fakes import World, told
from tests.unit.gateway.test_models import version

# What an example may meet where nothing was handed over yet.
NOT_THERE = (
    "file_not_found", "unknown_job", "unknown_dataset", "nothing_to_train_on", "no_history", "unknown_model",
    "nothing_to_roll_back", "no_channel", "no_examples", "no_people",
    "nothing_answered", "unknown_reply", "unknown_review", "nothing_to_review", "no_voice",
)  # fmt: skip


@pytest.fixture
def world() -> World:
    return World()


async def read(reply: Reply) -> str:
    assert isinstance(reply, Stream)
    return "".join([piece.text async for piece in reply.pieces if isinstance(piece, Delta)])


@pytest.mark.parametrize(
    "line",
    [
        "!train words", "!use base", "!cancel aaaaaaaaaa", "!pause aaaaaaaaaa",
        "!resume aaaaaaaaaa", "!Train", "!use", "!import file=data.json",
        "!build club", "!preview club", "!select_dataset club", "!archive club", "!getfile club",
        "!delete_dataset club sure=True", "!notice accept", "!rollback", "!persona You are.",
        "!examples clear",
    ],
)  # fmt: skip
async def test_only_who_runs_the_place_feeds_trains_and_chooses(world: World, line: str) -> None:
    reply = await run(world.context(admin=False), line)
    assert isinstance(reply, Problem)
    assert reply.code == "not_permitted"
    assert not world.datasets.added


@pytest.mark.parametrize(
    "line",
    [
        "!jobs", "!models", "!datasets", "!privacy", "!help train", "!ask what?", "what?",
        "!send_message what?", "!reset", "!compare main@1 base what?", "!persona", "!examples",
    ],
)  # fmt: skip
async def test_everybody_asks(world: World, line: str) -> None:
    assert not isinstance(await run(world.context(admin=False), line), Problem)


async def test_a_line_break_ends_the_commands_name(world: World) -> None:
    await told(await run(world.context(), '!train\n"We meet at eight."\nmodel=club'))
    ((_, new),) = world.datasets.added
    assert new.files == [Upload("typed.txt", b"We meet at eight.")]


async def test_the_same_message_twice_is_one_job(world: World) -> None:
    await told(await run(world.context("message-7"), "!train words"))
    await told(await run(world.context("message-7"), "!train words"))
    assert len(world.jobs.records) == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("!train", "nothing_to_train_on"),
        ('!train ""', "nothing_to_train_on"),
        ("!train words model=../x epochs=none", "invalid_parameter"),
        ("!train words start=main@9", "unknown_model"),
        ("!train words base=gpt2 model=gpt2", "two_bases"),
        ("!train --nonsense 1", "unknown_option"),
        ("!ask model=a/b what?", "invalid_model_name"),
        ("!pause 123", "invalid_job_id"),
        ("!resume aaaaaaaaaa", "unknown_job"),
        ("!logs aaaaaaaaaa", "unknown_job"),
        ("!train file=other.json", "file_not_found"),
        ("!train words rank=7", "invalid_parameter"),
        ("!train words model=../x", "invalid_parameter"),
        ("!job", "missing_parameter"),
        ("!job 123", "invalid_job_id"),
        ("!job éééééééééé", "invalid_job_id"),
        ("!cancel 0000000000", "invalid_job_id"),
        ("!train fiel=x.json", "unknown_option"),
        ("!train nonsense=1", "unknown_option"),
        ("!job aaaaaaaaaa", "unknown_job"),
        ("!use", "missing_parameter"),
        ("!use a/b", "invalid_model_name"),
        ("!jobs please", "unexpected_text"),
        ("!", "unknown_command"),
        ("!trian", "unknown_command"),
        ("!help nothing", "unknown_command"),
        ("!train data=nothing", "unknown_dataset"),
        ("!train words gap_minutes=0", "invalid_parameter"),
        ("!train words gap_minuts=3", "unknown_option"),
        ("!import", "nothing_to_import"),
        ("!dataset", "missing_parameter"),
        ("!preview nothing", "unknown_dataset"),
        ("!privacy maybe", "invalid_parameter"),
    ],
)
async def test_what_is_wrong_is_a_problem_with_a_code(world: World, line: str, code: str) -> None:
    reply = await run(world.context(), line)
    assert isinstance(reply, Problem)
    assert reply.code == code
    assert reply.message.endswith((".", "?"))
    assert not world.jobs.records


async def test_a_near_command_is_suggested(world: World) -> None:
    reply = await run(world.context(), "!trian x")
    assert isinstance(reply, Problem)
    assert "Did you mean !train?" in reply.message


async def test_a_fault_of_ours_shows_no_insides(world: World) -> None:
    world.models = None  # type: ignore[assignment]
    reply = await run(world.context(), "!models")
    assert reply == Problem("internal_error", "Something went wrong on our side. The log has the details.")


async def test_a_conversation_is_remembered_and_a_question_apart_is_not(world: World) -> None:
    assert await read(await run(world.context(), "hi")) == "Hello."
    assert await read(await run(world.context(), "!ask and now?")) == "Hello."
    assert await read(await run(world.context(), "and then?")) == "Hello."
    asked = [[turn.content for turn in messages] for _, _, messages in world.answers.asked]
    assert asked == [["hi"], ["and now?"], ["hi", "Hello.", "and then?"]]


async def test_an_answer_that_broke_off_is_not_remembered(world: World) -> None:
    reply = await run(world.context(), "hi")
    assert isinstance(reply, Stream)
    async for _ in reply.pieces:
        break
    assert not world.session.turns


def trained(*forms: str) -> list[ModelRecord]:
    """A model with a version of each form."""
    versions = [version(number, form=form) for number, form in enumerate(forms, 1)]
    return [ModelRecord(guild="local", name="main", versions=versions, aliases={"latest": len(versions)})]


async def test_the_chosen_voice_answers(world: World) -> None:
    world.models.records = trained("adapter", "adapter")
    assert await run(world.context(), "!use main@2") == Text("main@2 answers now.", settles=True)
    await read(await run(world.context(), "hi"))
    await run(world.context(), "!use base")
    await read(await run(world.context(), "hi"))
    assert [model for _, model, _ in world.answers.asked] == ["main", None]


@pytest.mark.parametrize(
    ("line", "model"),
    [
        ("!ask model=main@2 Where?", "main@2"),
        ("!ask Where? model=main@k7f3m2qxab-2", "main@k7f3m2qxab-2"),
        ("!ask model=base Where?", None),
        ("!ask Where?", "main"),
    ],
)
async def test_any_model_can_be_asked(world: World, line: str, model: str | None) -> None:
    world.models.chosen = "main"
    await read(await run(world.context(), line))
    ((_, asked, (question,)),) = world.answers.asked
    assert (asked, question.content) == (model, "Where?")


async def test_a_conversation_may_be_with_another_model(world: World) -> None:
    world.models.chosen, world.session.model = "main", "club@3"
    await read(await run(world.context(), "Where?"))
    assert [model for _, model, _ in world.answers.asked] == ["club@3"]


async def test_whoever_chooses_a_whole_model_is_told_that_it_has_to_start(world: World) -> None:
    world.models.records = trained("whole")
    told_so = await run(world.context(), "!use main@1")
    assert isinstance(told_so, Text)
    assert told_so.text.startswith("main@1 answers now. It is a whole model")


async def test_a_model_that_is_held_back_can_be_chosen_all_the_same(world: World) -> None:
    world.models.records = trained("adapter", "adapter", "adapter")
    await run(world.context(), "!use main@3")
    assert not world.models.forced
    assert await run(world.context(), "!use main@3 force=yes") == Text("main@3 answers now.", settles=True)
    assert world.models.forced


async def test_jobs_are_shown_and_cancelled(world: World) -> None:
    assert await run(world.context(), "!jobs") == Text("No jobs yet. Start one with !train.")
    world.jobs.course = []
    await told(await run(world.context(), "!train words"))
    (job,) = world.jobs.records
    shown = await run(world.context(), f"!job {job.upper()}")
    assert isinstance(shown, Card)
    assert ("state", "queued") in shown.rows
    listed = await run(world.context(), "!jobs")
    assert isinstance(listed, Card)
    assert listed.rows[0][0] == job
    assert await run(world.context(), f"!cancel `{job}`") == Text(f"Job {job} is cancelled.")


async def test_help_explains_every_command(world: World) -> None:
    overview = await run(world.context(), "!help")
    assert isinstance(overview, Card)
    assert len(overview.rows) == len(COMMANDS) + len(GROUPS)
    options = await run(world.context(), "!help options")
    assert isinstance(options, Text)
    for name in SHARED:
        assert f"  {name}=   " in options.text
    for name, command in COMMANDS.items():
        reply = await run(world.context(), f"!help !{name}")
        assert isinstance(reply, Text)
        assert command.usage in reply.text
        for example in command.examples:
            assert example in reply.text
        own = set(command.parameters.model_fields) - SHARED - {command.text_field}
        assert all(f"  {option}=   " in reply.text for option in own)
        assert "personal_data=" not in reply.text, "what commands share is explained once"


async def test_a_dash_is_as_good_as_an_underscore(world: World) -> None:
    reply = await run(world.context(), "!Select-Dataset nothing")
    assert isinstance(reply, Problem)
    assert reply.code == "unknown_dataset"


async def test_every_example_in_the_help_is_understood(world: World) -> None:
    for command in COMMANDS.values():
        for example in command.examples:
            reply = await run(world.context(example), example)
            assert not isinstance(reply, Problem) or reply.code in NOT_THERE, example
