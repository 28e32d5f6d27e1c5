"""Quotas: never more than so many in any hour or day, and who is refused is told when it is possible."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.common.contracts.guild import EVERYBODY, GuildSettings, Limits
from chorus.common.contracts.quotas import Used
from chorus.common.contracts.training import Checked, JobError
from chorus.common.errors import QueueFull
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.quotas import WITHIN, counted
from chorus.gateway.commands.replies import Problem, Progress, Stream
from chorus.gateway.commands.table import run
from tests.unit.gateway.fakes import World, told

AT = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = WITHIN["questions"]
SERVER = "100000000000000001"


@given(
    gaps=st.lists(st.integers(0, 3000), max_size=40),
    limit=st.integers(0, 6),
    count=st.integers(1, 3),
)
def test_in_no_hour_are_there_more_and_the_time_to_wait_is_exact(
    gaps: list[int], limit: int, count: int
) -> None:
    used, at, taken = Used(), AT, list[datetime]()
    for gap in gaps:
        at += timedelta(seconds=gap)
        try:
            used = counted(used, "questions", count, limit, at)
        except QueueFull as refusal:
            assert refusal.code == "quota_used"
            if refusal.retry_after is None:
                assert count > limit
                continue
            free = at + timedelta(seconds=refusal.retry_after)
            counted(used, "questions", count, limit, free)
            with pytest.raises(QueueFull):
                counted(used, "questions", count, limit, free - timedelta(milliseconds=1))
        else:
            taken += [at] * count
            assert sum(one > at - HOUR for one in taken) <= limit
            assert used.at == [one for one in taken if one > at - HOUR]


@given(
    everybody=st.none() | st.integers(0, 9),
    roles=st.dictionaries(st.sampled_from("123"), st.none() | st.integers(0, 9)),
    theirs=st.sets(st.sampled_from("1234")),
)
def test_a_persons_own_limit_counts_then_their_widest_roles_then_everybodys(
    everybody: int | None, roles: dict[str, int | None], theirs: set[str]
) -> None:
    limits = Limits(everybody=everybody, roles=roles, users={"42": 5, "43": None})
    assert limits.of("42", theirs) == 5
    assert limits.of("43", theirs) is None
    found = [roles[role] for role in theirs if role in roles]
    widest = None if None in found else max((one for one in found if one is not None), default=everybody)
    assert limits.of("44", theirs) == widest


@pytest.fixture
def world() -> World:
    made = World()
    made.guilds.others = GuildSettings(
        quotas={"questions": Limits(everybody=2, roles={"501": None}), "trainings": Limits(everybody=1)}
    )
    return made


async def ask(world: World, line: str, *, admin: bool = False, roles: tuple[str, ...] = ()) -> str:
    reply = await run(world.context(line, admin=admin, guild=SERVER, roles=roles), line)
    if isinstance(reply, Progress):
        return await told(reply)
    return f"{reply.message} [{reply.code}]" if isinstance(reply, Problem) else type(reply).__name__


async def test_over_the_quota_one_is_told_when_the_next_is_possible(world: World) -> None:
    assert [await ask(world, line) for line in ("hi", "!ask and now?")] == [Stream.__name__] * 2
    for line in ("hi", "!ask hi", "!regenerate", "!compare base base hi"):
        refusal = await ask(world, line)
        assert refusal.startswith("Your quota here is 2 questions an hour, and you have had 2. Try again in ")
        assert refusal.endswith(" min. [quota_used]")
    assert len(world.quotas.used) == 1


async def test_for_who_has_no_question_left_nothing_is_heard(world: World) -> None:
    world.files.files["hello.ogg"] = Upload("hello.ogg", b"OggS")
    told = [
        await run(replace(world.context(admin=False, guild=SERVER), recordings=("hello.ogg",)), "")
        for _ in range(3)
    ]
    assert [type(reply) for reply in told] == [Stream, Stream, Problem]
    assert len(world.speech.heard) == 2


async def test_what_cannot_be_read_is_not_counted(world: World) -> None:
    for line in ("!ask", "!ask model=a/b hi", "!ask n=2 temperature=0 hi", "!compare base a/b hi", "!models"):
        await ask(world, line)
    assert not world.quotas.used


async def test_a_role_may_be_without_limit_and_who_manages_the_server_is(world: World) -> None:
    for _ in range(4):
        assert await ask(world, "hi", roles=("501",)) == Stream.__name__
        assert await ask(world, "hi", admin=True) == Stream.__name__
    assert not world.quotas.used


async def test_trainings_are_counted_by_the_day(world: World) -> None:
    world.guilds.others = world.guilds.others.model_copy(update={"rights": {"train": EVERYBODY}})
    assert "[quota_used]" not in await ask(world, "!train words")
    assert "Your quota here is 1 training a day, and you have had 1. Try again in 24 h." in await ask(
        world, "!train more words"
    )
    assert len(world.jobs.records) == 1


async def test_a_training_that_is_refused_is_not_counted(world: World) -> None:
    world.guilds.others = world.guilds.others.model_copy(update={"rights": {"train": EVERYBODY}})
    world.jobs.checked = Checked(problems=[JobError(code="no_room", message="There is no room.")])
    for _ in range(3):
        assert "[no_room]" in await ask(world, "!train words")
    world.jobs.checked = Checked()
    assert "Model training started." in await ask(world, "!train words")
    assert [len(used.at) for used in world.quotas.used.values()] == [1]


@pytest.mark.parametrize(("line", "number"), [("!ask n=8 hi", 8), ("!compare base base n=2 hi", 4)])
async def test_each_of_several_answers_is_counted(world: World, line: str, number: int) -> None:
    assert f"and this would be {number}. [quota_used]" in await ask(world, line)
    world.guilds.others = GuildSettings(quotas={"questions": Limits(everybody=number)})
    assert await ask(world, line) == Stream.__name__
    assert "[quota_used]" in await ask(world, "hi")


async def test_as_many_answers_as_a_channel_has_are_counted_and_compared(world: World) -> None:
    world.guilds.others = GuildSettings(sampling={"n": 3}, quotas={"questions": Limits(everybody=6)})
    reply = await run(world.context(admin=False, guild=SERVER), "!compare main base hi")
    assert isinstance(reply, Stream)
    assert reply.titles == ("main (1)", "main (2)", "main (3)", "base (1)", "base (2)", "base (3)")
    assert "[quota_used]" in await ask(world, "hi")


async def test_a_test_asks_as_many_questions_as_it_has_records(world: World) -> None:
    assert "and this would be 3. [quota_used]" in await ask(
        world, '!test [{"text": "a"}, {"text": "b"}, {"text": "c"}]'
    )
