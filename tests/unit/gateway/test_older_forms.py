"""Lines as people wrote them to the bots before this one, and as discord.py's own parsers read them."""

from typing import Any

import pytest

from chorus.common.errors import InvalidInput
from chorus.gateway.commands.cases import cases_of
from chorus.gateway.commands.datasets import Select
from chorus.gateway.commands.parsing import Parameters, bind
from chorus.gateway.commands.replies import Problem
from chorus.gateway.commands.table import run
from chorus.gateway.commands.testing import Trial
from chorus.gateway.commands.training import Train
from tests.unit.gateway.fakes import World, told


def given(model: type[Parameters], field: str | None, argument: str) -> dict[str, Any]:
    """What was given; the rest is as it is by default."""
    parameters = bind(model, field, argument)
    return {name: getattr(parameters, name) for name in parameters.model_fields_set}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ('"hello world" positive=False', {"text": "hello world", "positive": False}),
        ('"Sample training data" positive=True', {"text": "Sample training data", "positive": True}),
        ("“smart quotes” Positive=false epochs=3", {"text": "smart quotes", "positive": False, "epochs": 3}),
        ("hello world positive=False", {"text": "hello world", "positive": False}),
        ("x = y positive=False", {"text": "x = y", "positive": False}),
        ('"t" positive=no', {"text": "t", "positive": False}),
        ("positive=True", {"positive": True}),
        ("data=club", {"data": "club"}),
        ('"by its place" True', {"text": "by its place", "positive": True}),
        ('"by its place" false', {"text": "by its place", "positive": False}),
        ("'by its place' no epochs=2", {"text": "by its place", "positive": False, "epochs": 2}),
        ('"two words" true story', {"text": '"two words" true story'}),
        ("nothing is quoted True", {"text": "nothing is quoted True"}),
        ("True", {"text": "True"}),
    ],
)
def test_train(argument: str, expected: dict[str, object]) -> None:
    assert given(Train, "text", argument) == expected


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ('"x" epochs=1001', "invalid_parameter"),
        ('"x" positive=maybe', "invalid_parameter"),
        ('"unclosed', "unclosed_quotes"),
        ('"x" True positive=False', "given_twice"),
    ],
)
def test_what_is_wrong_with_a_train_is_named(argument: str, code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        bind(Train, "text", argument)
    assert error.value.code == code


@pytest.mark.parametrize(
    "argument",
    ['"club" positive=False', "club positive=False", '"club" False', "positive=False club"],
)
def test_select_dataset(argument: str) -> None:
    assert given(Select, "dataset", argument) == {"dataset": "club", "positive": False}


RECORD = '{"prompt": "Where is it?", "expected": "a b"}'


@pytest.mark.parametrize(
    "argument",
    [
        RECORD,
        f"[{RECORD}]",
        f"```json\n{RECORD}\n```",
        f"```\n[{RECORD}]\n```",
        f"'{RECORD}'",
        f"test_data={RECORD}",
        f"test_data='[{RECORD}]'",
        f"test_data=```json\n{RECORD}\n```",
    ],
)
def test_test(argument: str) -> None:
    asked = bind(Trial, "records", argument)
    (case,) = cases_of(asked.records or asked.test_data or "")
    assert (case.question, case.expected) == ("Where is it?", "a b")


async def test_the_older_bots_own_example_of_a_test() -> None:
    line = """!test '[{"name": "greeting", "text": "Hi!", "label": "Hello."}]'"""
    assert "Hello." in await told(await run(World().context(), line))


@pytest.mark.parametrize("line", ["!train", "!train positive=True", "!train name=club", '!train "t" True'])
async def test_attached_files_of_any_format_are_learned_together(line: str) -> None:
    world = World()
    world.files.with_the_command = list(world.files.files)
    said = await told(await run(world.context(), line))
    names = [file.name for _, new in world.datasets.added for file in new.files]  # type: ignore[union-attr]
    assert names[-2:] == ["data.json", "more.json"]
    assert all(new.positive for _, new in world.datasets.added)
    (job,) = world.jobs.records
    assert f"Model training started. Job ID: {job}" in said


async def test_a_path_that_the_older_bot_would_have_read_is_refused() -> None:
    reply = await run(World().context(), "!train data=/etc/passwd")
    assert isinstance(reply, Problem)
    assert reply.code == "server_path"
