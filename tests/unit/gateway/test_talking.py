"""Talking with models: what is asked of them, what is remembered, and two of them side by side."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Delta, End, Sampling, Waiting
from chorus.common.errors import ChorusError, Unavailable
from chorus.gateway.commands.asking import VARIED
from chorus.gateway.commands.ports import Question
from chorus.gateway.commands.replies import Problem, Reply, Stream, Text
from chorus.gateway.commands.table import run
from tests.unit.gateway.fakes import World, told

BUSY = Unavailable("Busy, 37 ahead.", code="busy", retry_after=4.2)


@pytest.fixture
def world() -> World:
    return World()


async def answers(reply: Reply) -> list[str]:
    """What was said, by choice."""
    assert isinstance(reply, Stream), reply
    said = [""] * max(1, len(reply.titles))
    async for piece in reply.pieces:
        if isinstance(piece, Delta):
            said[piece.choice] += piece.text
    return said


async def say(world: World, line: str, **where: str) -> list[str]:
    return await answers(await run(world.context(**where), line))  # type: ignore[arg-type]


def asked(world: World) -> Question:
    return world.answers.questions[-1]


def words(turns: list[Turn]) -> list[str]:
    return [turn.content for turn in turns]


# --- what answers is a toy ------------------------------------------------------------------------
async def test_where_nobody_is_chosen_an_answer_may_say_that_a_toy_gave_it_once_in_a_conversation(
    world: World,
) -> None:
    async def told(line: str, guild: str = "local") -> str:
        reply = await run(world.context(guild=guild), line)
        assert isinstance(reply, Stream)
        await answers(reply)
        return reply.if_a_toy

    assert await told("hi") == "Untrained: I know only what you teach me. !train"
    assert await told("and now?") == await told("!ask hi") == ""
    world.session.forget()
    await run(world.context(), "!settings prefix ?")
    assert (await told("hi")).endswith("?train")
    await world.guilds.change("local", lambda old: old.model_copy(update={"voice": "base"}))
    world.session.forget()
    assert await told("hi") == "", "who chose it knows"


# --- sampling ------------------------------------------------------------------------------------
async def test_sampling_is_chosen_by_options(world: World) -> None:
    await say(
        world,
        "!ask temperature=0.7 top_p=0.9 top_k=40 min_p=0.05 repetition_penalty=1.1 presence_penalty=-0.5 "
        "max_tokens=64 seed=7 stop=END n=2 What is new?",
    )
    assert asked(world).sampling == Sampling(
        temperature=0.7, top_p=0.9, top_k=40, min_p=0.05, repetition_penalty=1.1, presence_penalty=-0.5,
        max_tokens=64, seed=7, stop=["END"], n=2,
    )  # fmt: skip
    assert words(asked(world).messages) == ["What is new?"]


@pytest.mark.parametrize("option", ["temperature=3", "top_p=0", "n=9", "max_tokens=0", "seed=-1"])
async def test_sampling_out_of_bounds_is_refused_with_its_name(world: World, option: str) -> None:
    refused = await run(world.context(), f"!ask {option} hi")
    assert isinstance(refused, Problem)
    assert refused.code == "invalid_parameter"
    assert f"`{option.partition('=')[0]}` cannot be" in refused.message
    assert not world.answers.questions


async def test_several_answers_come_with_numbers(world: World) -> None:
    reply = await run(world.context(), "!ask n=3 hi")
    assert isinstance(reply, Stream)
    assert reply.titles == ("1", "2", "3")
    assert await answers(reply) == ["Hello."] * 3
    assert asked(world).sampling.temperature == VARIED, "they are to differ"
    refused = await run(world.context(), "!ask n=3 temperature=0 hi")
    assert isinstance(refused, Problem)
    assert refused.code == "same_answers"


# --- memory --------------------------------------------------------------------------------------
async def test_send_message_is_said_in_the_conversation(world: World) -> None:
    await say(world, '!send_message "hi"')
    await say(world, "and then?")
    assert words(asked(world).messages) == ["hi", "Hello.", "and then?"]


async def test_a_reset_forgets_and_says_what(world: World) -> None:
    await say(world, "hi")
    told = await run(world.context(), "!reset")
    assert isinstance(told, Text)
    assert told.text.startswith("Forgotten: the last 2 messages of the conversation here.")
    await say(world, "who are you?")
    assert words(asked(world).messages) == ["who are you?"]
    world.session.forget()
    told = await run(world.context(), "!reset")
    assert isinstance(told, Text)
    assert told.text.startswith("There was nothing to forget")


async def test_what_is_forgotten_while_it_is_answered_stays_forgotten(world: World) -> None:
    reply = await run(world.context(), "hi")
    assert isinstance(reply, Stream)
    pieces = aiter(reply.pieces)
    await anext(pieces)
    await run(world.context(), "!reset")
    async for _ in pieces:
        pass
    assert not world.session.turns


async def test_a_new_answer_takes_the_old_ones_place(world: World) -> None:
    await say(world, "hi")
    world.answers.says[None] = "Ahoy."
    assert await say(world, "!regenerate") == ["Ahoy."]
    assert words(asked(world).messages) == ["hi"]
    assert words(list(world.session.turns)) == ["hi", "Ahoy."]
    first = asked(world).sampling
    assert first.temperature == VARIED
    await say(world, "!regenerate temperature=1.5 model=main@2")
    assert (asked(world).model, asked(world).sampling.temperature) == ("main@2", 1.5)
    assert asked(world).sampling.seed != first.seed
    assert words(list(world.session.turns)) == ["hi", "Hello."]


async def test_what_failed_can_be_asked_anew(world: World) -> None:
    world.answers.says[None] = BUSY
    with pytest.raises(ChorusError):
        await say(world, "hi")
    assert not world.session.turns
    del world.answers.says[None]
    assert await say(world, "!regenerate") == ["Hello."]
    assert words(list(world.session.turns)) == ["hi", "Hello."]


async def test_what_is_refused_leaves_the_last_question_as_it_was(world: World) -> None:
    await say(world, "hi")
    before = world.session.asked
    for line in ("!ask n=3 temperature=0 Where?", "!ask model=Main@1 Where?"):
        assert isinstance(await run(world.context(), line), Problem)
        assert world.session.asked is before


async def test_a_question_apart_is_asked_anew_as_it_was(world: World) -> None:
    await say(world, "hi")
    await say(world, "!ask model=main@1 max_tokens=9 Where?")
    await say(world, "!regenerate")
    assert (asked(world).model, asked(world).sampling.max_tokens) == ("main@1", 9)
    assert words(asked(world).messages) == ["Where?"]
    assert words(list(world.session.turns)) == ["hi", "Hello."], "it stands apart"


async def test_an_answer_that_left_the_memory_is_replaced_nowhere(world: World) -> None:
    await say(world, "hi")
    first = world.session.asked
    for number in range(30):
        await say(world, f"question {number}")
    kept = list(world.session.turns)
    world.session.asked = first
    world.answers.says[None] = "Ahoy."
    await say(world, "!regenerate")
    assert list(world.session.turns) == kept


async def test_without_a_question_nothing_is_asked_anew_or_compared(world: World) -> None:
    for line, code in (("!regenerate", "nothing_to_regenerate"), ("!compare a b", "nothing_to_compare")):
        refused = await run(world.context(), line)
        assert isinstance(refused, Problem)
        assert refused.code == code


# --- several people ------------------------------------------------------------------------------
async def test_somebody_alone_has_no_name_and_several_are_named_as_in_training(world: World) -> None:
    await say(world, "hi", user="77")
    await say(world, "and?", user="77")
    assert {turn.name for turn in asked(world).messages} == {None}
    await say(world, "me too", user="12")
    assert [(turn.name, turn.content) for turn in asked(world).messages] == [
        ("u1", "hi"),
        (None, "Hello."),
        ("u1", "and?"),
        (None, "Hello."),
        ("u2", "me too"),
    ]


async def test_where_the_guild_wants_it_models_are_told_names_when_asked_and_in_data(world: World) -> None:
    await run(world.context(), "!settings names on")

    async def speak(user: str, line: str) -> None:
        await answers(await run(replace(world.context(user=user), people=world.people), line))

    for user in ("42", "43", "77"):
        await speak(user, "hi")
    named = [turn.name for turn in asked(world).messages if turn.role == "user"]
    assert named == ["marit", "bo", "u3"], "who left has no name"
    await told(await run(world.context(), '!train "words"'))
    await told(await run(world.context(), '!train "words" real_names=no'))
    assert [new.options.real_names for _, new in world.datasets.added] == [True, False]


async def test_nobodys_id_is_sent(world: World) -> None:
    await say(world, "hi", user="77")
    await say(world, "hi", user="12")
    await say(world, "!ask hi", user="13")
    sent = {turn.name for question in world.answers.questions for turn in question.messages}
    assert sent == {None, "u1", "u2"}


# --- side by side --------------------------------------------------------------------------------
async def test_two_models_answer_the_same_question(world: World) -> None:
    world.answers.says = {"main@1": "Ahoy.", None: "Hm."}
    reply = await run(world.context(), '!compare main@1 base "When do you open?" temperature=0')
    assert isinstance(reply, Stream)
    assert reply.titles == ("main@1", "base")
    assert await answers(reply) == ["Ahoy.", "Hm."]
    assert [(q.model, words(q.messages), q.sampling.temperature) for q in world.answers.questions] == [
        ("main@1", ["When do you open?"], 0),
        (None, ["When do you open?"], 0),
    ]
    assert not world.session.turns


async def test_the_last_question_is_compared_with_what_was_before_it(world: World) -> None:
    await say(world, "hi")
    await say(world, "and then?")
    await say(world, "!compare main@1 main@2")
    assert words(asked(world).messages) == ["hi", "Hello.", "and then?"]


async def test_several_answers_of_each_are_compared(world: World) -> None:
    world.answers.says = {"main@1": "Ahoy.", "main@2": "Hm."}
    reply = await run(world.context(), "!compare main@1 main@2 hi n=2")
    assert isinstance(reply, Stream)
    assert reply.titles == ("main@1 (1)", "main@1 (2)", "main@2 (1)", "main@2 (2)")
    assert await answers(reply) == ["Ahoy.", "Ahoy.", "Hm.", "Hm."]


async def test_one_that_fails_says_so_beside_the_other(world: World) -> None:
    world.answers.says["main@1"] = BUSY
    shown = await say(world, "!compare main@1 main@2 hi")
    assert shown == ["✗ Busy, 37 ahead. Try again in 5 s. [busy]", "Hello."]


async def test_where_both_fail_that_is_the_outcome(world: World) -> None:
    world.answers.says = {"main@1": BUSY, "main@2": BUSY}
    reply = await run(world.context(), "!compare main@1 main@2 hi")
    with pytest.raises(Unavailable) as failed:
        await answers(reply)
    assert failed.value.code == "nobody_answered"


async def test_their_ends_are_told_together(world: World) -> None:
    reply = await run(world.context(), "!compare main@1 main@2 hi")
    assert isinstance(reply, Stream)
    *_, end = [piece async for piece in reply.pieces]
    assert isinstance(end, End)
    assert (end.model, end.finish_reasons) == ("main@1 and main@2", ["stop", "stop"])


async def test_both_are_asked_at_once_and_who_leaves_stops_both(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, stopped = itertools.count(1), []
    both = asyncio.Event()

    async def ask(guild: str, question: Question):  # type: ignore[no-untyped-def]
        try:
            if next(begun) == 2:
                both.set()
            yield Waiting(code="loading", text="being loaded")
            await both.wait()
            yield Delta(i=0, text="Hm")
            await asyncio.Event().wait()
        finally:
            stopped.append(question.model)

    monkeypatch.setattr(world.answers, "ask", ask)
    reply = await run(world.context(), "!compare main@1 main@2 hi")
    assert isinstance(reply, Stream)
    pieces = reply.pieces
    async with asyncio.timeout(5):
        seen = [await anext(pieces) for _ in range(4)]
    assert sum(isinstance(piece, Delta) for piece in seen) == 2
    await pieces.aclose()  # type: ignore[attr-defined]
    assert sorted(stopped) == ["main@1", "main@2"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("!compare", "missing_parameter"),
        ("!compare main@1", "two_models"),
        ("!compare main@1 When do you open?", "invalid_model_name"),
    ],
)
async def test_two_models_are_needed(world: World, line: str, code: str) -> None:
    refused = await run(world.context(), line)
    assert isinstance(refused, Problem)
    assert refused.code == code
