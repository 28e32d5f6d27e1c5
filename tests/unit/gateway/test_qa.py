"""`!qa`: answers from the data where the question was asked there, else from the model; it says which."""

import random
import time

import pytest

from chorus.common.contracts.datasets import Basis, Example, Turn
from chorus.common.contracts.generation import Delta
from chorus.common.contracts.guild import GuildSettings, Limits
from chorus.gateway.commands.qa import LARGEST
from chorus.gateway.commands.replies import Problem, Reply, Stream, Text
from chorus.gateway.commands.searching import LONGEST, MOST, WITHIN, Pair, nearest, pairs
from chorus.gateway.commands.table import run
from tests.unit.gateway.fake_data import dataset, ref
from tests.unit.gateway.fakes import World


def example(asked: str, answer: str, *, label: bool = True) -> bytes:
    turns = [Turn(role="user", content=asked), Turn(role="assistant", content=answer)]
    return (
        Example(messages=turns, label=label, contributors=["1"], source="x").model_dump_json().encode()
        + b"\n"
    )


DATA = (
    example("When do you open?", "At eight.")
    + example("Do you have wifi?", "No.", label=False)
    + example("Where are you?", "By the quay.")
)


@pytest.fixture
def world() -> World:
    world = World()
    world.datasets.all = [dataset("club", examples=ref("old")), dataset("club", 2, examples=ref("new"))]
    world.objects.held = {"local/old": DATA.replace(b"eight", b"nine"), "local/new": DATA}
    return world


async def answer(world: World, line: str) -> str:
    reply: Reply = await run(world.context(), line)
    if isinstance(reply, Text):
        return reply.text
    assert isinstance(reply, Stream), reply
    pieces = [piece async for piece in reply.pieces]
    deltas = [piece for piece in pieces if isinstance(piece, Delta)]
    assert [delta.i for delta in deltas] == list(range(len(deltas)))
    return "".join(delta.text for delta in deltas)


async def test_what_was_asked_before_is_answered_from_the_data(world: World) -> None:
    assert await answer(world, "!qa when do YOU open") == "At eight.\n(from the dataset club@2)"
    world.datasets.selected = "club@1"
    assert await answer(world, "!qa When do you  opne?") == "At nine.\n(from the dataset club@1)"
    assert not world.answers.questions


@pytest.mark.parametrize("question", ["Who is the captain of the ship?", "Do you have wifi?", "?"])
async def test_anything_else_is_answered_by_the_model(world: World, question: str) -> None:
    assert await answer(world, f"!qa {question}") == "Hello.\n(from starter)"
    assert world.answers.questions[-1].messages == [Turn(role="user", content=question)]
    assert not world.session.turns, "it stands apart"


async def test_without_data_or_with_too_much_of_it_the_model_answers(world: World) -> None:
    world.datasets.all = [dataset("big", examples=ref("old", LARGEST + 1)), dataset("bad", label=False)]
    assert await answer(world, "!qa When do you open?") == "Hello.\n(from starter)"
    world.datasets.all = []
    assert await answer(world, "!qa When do you open?") == "Hello.\n(from starter)"


async def test_what_was_said_in_channels_is_quoted_to_those_alone_who_may_see_datasets(world: World) -> None:
    basis = Basis(way="mined", mode="permitted")
    world.datasets.all = [dataset("mined", guild="55", examples=ref("new"), basis=basis)]
    line = "!qa When do you open?"
    for admin, says in ((True, "At eight."), (False, "Hello.")):
        reply = await run(world.context(guild="55", user="77", admin=admin), line)
        told = reply.text if isinstance(reply, Text) else "Hello."
        assert told.startswith(says)
        assert isinstance(reply, Text) is admin


async def test_a_question_is_counted_once_before_anything_is_searched(world: World) -> None:
    world.guilds.others = GuildSettings(quotas={"questions": Limits(everybody=2)})
    context = world.context(guild="55", user="77", admin=False)
    assert isinstance(await run(context, "!qa When do you open?"), Text)
    assert isinstance(await run(context, "!qa Who is the captain of the ship?"), Stream)
    world.objects.held.clear()
    refused = await run(context, "!qa When do you open?")
    assert isinstance(refused, Problem)
    assert refused.code == "quota_used"


async def test_a_dataset_is_read_once(world: World) -> None:
    await answer(world, "!qa When do you open?")
    world.objects.held.clear()
    assert (await answer(world, "!qa Where are you?")).startswith("By the quay.")
    world.objects.held["local/old"] = DATA
    world.datasets.selected = "club@1"
    assert (await answer(world, "!qa Where are you?")).endswith("(from the dataset club@1)")


def test_the_nearest_of_several_is_taken() -> None:
    data = example("When do you open on Sunday?", "Never.") + example(
        "When do you open on Monday?", "At nine."
    )
    found = nearest("when do you open on mondays", pairs(data))
    assert found is not None
    assert found.answer == "At nine."


def test_a_search_ends_in_time_whatever_the_data_is_made_of() -> None:
    chance = random.Random(0)
    letters = "".join(chance.choices("ab ", k=LONGEST))
    slow = [Pair("".join(chance.sample(letters, LONGEST)), "x") for _ in range(MOST // 50)] * 50
    began = time.monotonic()
    nearest(letters, slow)
    assert time.monotonic() - began < WITHIN + 2
    exact = Pair(letters, "this")
    assert nearest(letters, [exact]) is exact
    assert nearest(letters, [exact], within=0) is None
