"""Answers that people can come back to: kept with all that was asked, judged, corrected, asked anew."""

from datetime import timedelta

import pytest

from chorus.common.contracts.consent import ConsentRecord
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import End
from chorus.common.contracts.guild import Exchange, Persona
from chorus.common.contracts.wire import now
from chorus.gateway.commands.asking import VARIED
from chorus.gateway.commands.context import Session, Trust
from chorus.gateway.commands.replies import Button, Problem, Reply, Stream, Text, offered
from chorus.gateway.commands.table import run
from tests.unit.gateway.fake_data import AT
from tests.unit.gateway.fakes import World

GUILD, MESSAGE = "55", "1234567890123456789"
LINK = f"https://discord.com/channels/{GUILD}/7/{MESSAGE}"
TYPED = Trust()


@pytest.fixture
def world() -> World:
    return World()


async def do(world: World, line: str, *, user: str = "42", channel: str = "7", **where: object) -> Reply:
    ctx = world.context(guild=GUILD, user=user, channel=channel, trust=TYPED, **where)  # type: ignore[arg-type]
    return await run(ctx, line)


async def shown(world: World, line: str, message: str = MESSAGE, **where: object) -> tuple[Button, ...]:
    """An answer, read to its end and shown in this message; its buttons."""
    reply = await do(world, line, **where)
    assert isinstance(reply, Stream), reply
    pieces = [piece async for piece in reply.pieces]
    assert reply.kept is not None
    await reply.kept(message)
    assert isinstance(pieces[-1], End)
    return offered(reply, pieces[-1])


def restarted(world: World) -> World:
    """Nothing but what is stored is left."""
    world.session = Session()
    return world


def words(reply: Reply) -> str:
    assert isinstance(reply, Text), reply
    return reply.text


def code(reply: Reply) -> str:
    assert isinstance(reply, Problem), reply
    return reply.code


# --- what is kept --------------------------------------------------------------------------------
async def test_an_answer_is_kept_with_all_that_it_was_asked_with(world: World) -> None:
    world.guilds.others = world.guilds.others.model_copy(
        update={
            "persona": Persona(text="You are a cat.", by="9"),
            "examples": [Exchange(user="Hm?", bot="Meow.", by="8")],
        }
    )
    await shown(world, "hi", message="1", user="77")
    await shown(world, "and you?")
    kept = world.replies.records[f"{GUILD}.42.{MESSAGE}"]
    assert [(t.role, t.name, t.content) for t in kept.messages] == [
        ("system", None, "You are a cat."), ("user", "u1", "hi"), ("assistant", None, "Hello."),
        ("user", "u2", "and you?"),
    ]  # fmt: skip
    assert [turn.content for turn in kept.examples] == ["Hm?", "Meow."]
    assert (kept.text, kept.model, kept.person, kept.channel, kept.via) == (
        "Hello.", "starter", "42", "7", "message"
    )  # fmt: skip
    assert kept.people == ["42", "77", "8", "9"]


async def test_nothing_is_kept_where_the_guild_or_one_of_the_people_does_not_want_it(world: World) -> None:
    world.guilds.others = world.guilds.others.model_copy(update={"keep_replies_days": 0})
    await shown(world, "hi")
    world.guilds.others = world.guilds.others.model_copy(update={"keep_replies_days": 3})
    out = ConsentRecord(guild=GUILD, person="42", state="out", said_by="42", at=AT)
    world.privacy.records["42"] = out
    await shown(world, "me too", user="77")
    assert not world.replies.records, "42 has spoken before"
    assert isinstance(await do(world, "!regenerate"), Stream), "what is remembered here is not what is kept"
    await shown(world, "again", user="77")
    for line in ("!feedback up", "!correct Ahoy."):
        assert code(await do(world, line, user="77")) == "reply_not_kept"
    assert not world.replies.given


async def test_an_answer_that_broke_off_is_not_kept(world: World) -> None:
    reply = await do(world, "hi")
    assert isinstance(reply, Stream)
    assert reply.kept is not None
    await anext(aiter(reply.pieces))
    await reply.kept(MESSAGE)
    assert not world.replies.records


async def test_an_answer_has_buttons_that_are_lines(world: World) -> None:
    assert [button.line for button in await shown(world, "hi")] == [
        "!regenerate reply=@", "!feedback up reply=@", "!feedback down reply=@", "!correct @",
    ]  # fmt: skip
    several = await shown(world, "!ask n=2 hi")
    assert [button.label for button in several] == ["Regenerate"], "which one would be judged?"
    world.answers.cut_off = True
    assert "!continue reply=@" in [button.line for button in await shown(world, "and?")]


# --- asking anew ---------------------------------------------------------------------------------
async def test_an_answer_is_asked_anew_after_a_restart_as_it_was_but_warmer(world: World) -> None:
    await shown(world, "hi", message="1", user="77")
    await shown(world, "!ask model=base max_tokens=9 temperature=1.1 Where?")
    before = world.answers.questions[-1]
    world.models.chosen = "main"
    await shown(restarted(world), f"!regenerate reply={MESSAGE}", message="2", user="5")
    again = world.answers.questions[-1]
    assert (again.model, again.messages) == (None, before.messages)
    assert (again.sampling.max_tokens, again.sampling.temperature) == (9, 1.1)
    assert world.replies.records[f"{GUILD}.42.2"].people == ["42"], "whose words it is has not changed"
    await shown(restarted(world), "!regenerate", message="3", user="77")
    assert world.answers.questions[-1].messages == [Turn(role="user", content="hi")]
    assert world.answers.questions[-1].model == "main", "as the voice is now"
    assert world.answers.questions[-1].sampling.temperature == VARIED


async def test_an_answer_of_another_channel_guild_or_time_is_not_asked_anew(world: World) -> None:
    await shown(world, "hi")
    restarted(world)
    line = f"!regenerate reply={MESSAGE}"
    assert code(await do(world, line, channel="8")) == "reply_elsewhere"
    assert code(await run(world.context(guild="56", channel="7"), line)) == "unknown_reply"
    for odd in ("*", ">", "1.2", "a b", LINK.replace(f"/{GUILD}/", "/56/"), "https://example.org/1"):
        assert code(await do(world, f'!regenerate reply="{odd}"')) == "unknown_reply"
    key = f"{GUILD}.42.{MESSAGE}"
    old = world.replies.records[key].model_copy(update={"at": now() - timedelta(days=31)})
    world.replies.records[key] = old
    assert code(await do(world, line)) == "unknown_reply"
    assert code(await do(world, "!regenerate")) == "nothing_to_regenerate"


async def test_an_answer_that_was_cut_off_goes_on_and_is_one_with_its_end(world: World) -> None:
    world.answers.cut_off = True
    await shown(world, "tell me all", message="1")
    world.answers.cut_off, world.answers.says[None] = False, " And that is all."
    await shown(world, "!continue", message="2")
    asked = world.answers.questions[-1].messages
    assert [turn.role for turn in asked] == ["user", "assistant", "user"]
    assert asked[1].content == "Hello."
    kept = world.replies.records[f"{GUILD}.42.2"]
    assert (kept.text, [turn.content for turn in kept.messages]) == (
        "Hello. And that is all.",
        ["tell me all"],
    )
    assert [t.content for t in world.session.turns] == ["tell me all", "Hello. And that is all."]
    assert code(await do(world, "!continue")) == "answer_is_whole"
    await shown(restarted(world), "!continue reply=1", message="3")
    assert world.replies.records[f"{GUILD}.42.3"].text == "Hello. And that is all."
    assert code(await do(restarted(world), "!continue", user="6")) == "nothing_to_continue"


# --- judging -------------------------------------------------------------------------------------
async def test_a_vote_is_once_per_person_and_can_be_changed(world: World) -> None:
    await shown(world, "hi")
    assert words(await do(world, "!feedback up")) == "Noted: 👍. Thank you."
    await do(restarted(world), f"!feedback down reply={MESSAGE}")
    await do(world, "!feedback 👍", user="77", reply_to=MESSAGE)
    await do(world, "!feedback too short", user="77", reply_to=MESSAGE)
    given = await world.replies.opinions(GUILD)
    assert [(one.by, one.vote, one.words) for one in given] == [
        ("42", "down", None),
        ("77", "up", "too short"),
    ]
    assert {one.person for one in given} == {"42"}


async def test_a_vote_is_taken_back_and_another_one_stays(world: World) -> None:
    await shown(world, "hi")
    await do(world, "!feedback up")
    await do(world, "!feedback up undo=yes", user="77")
    assert words(await do(world, "!feedback up undo=yes")) == "Taken back: 👍."
    assert not any(one.vote or one.waits for one in await world.replies.opinions(GUILD))
    await do(world, "!feedback down")
    await do(world, "!feedback up undo=yes")
    assert [one.vote for one in await world.replies.opinions(GUILD)] == ["down", None]
    assert code(await do(world, "!feedback hm undo=yes")) == "not_a_vote"


async def test_an_answer_in_several_messages_is_one_whichever_is_named(world: World) -> None:
    reply = await do(world, "tell me all")
    assert isinstance(reply, Stream)
    assert reply.kept is not None
    assert [piece async for piece in reply.pieces]
    for message in ("11", "12", "13"):
        await reply.kept(message)
    for user, message in (("1", "11"), ("2", "12"), ("3", "13")):
        await do(world, f"!feedback up reply={message}", user=user)
    assert {one.message for one in await world.replies.opinions(GUILD)} == {"13"}
    before = world.answers.questions[-1].messages
    await do(world, "!regenerate reply=11")
    assert world.answers.questions[-1].messages == before
    world.replies.given.clear()
    await do(restarted(world), "!correct 12 Better.")
    assert [(one.message, one.correction) for one in await world.replies.opinions(GUILD)] == [
        ("13", "Better.")
    ]


async def test_nobody_judges_what_they_may_not_read(world: World) -> None:
    await shown(world, "hi")
    restarted(world)
    for line in (f"!feedback up reply={MESSAGE}", f"!correct {LINK} Better."):
        assert isinstance(await do(world, line, channel="8"), Text)
    world.people.hidden = {"7"}
    for line in (f"!feedback up reply={MESSAGE}", f"!correct {LINK} Better.", f"!regenerate reply={MESSAGE}"):
        assert code(await do(world, line, channel="8")) == "unknown_reply"
    assert code(await do(world, "!correct Better.", channel="8", reply_to=MESSAGE)) == "unknown_reply"
    assert isinstance(await do(world, f"!feedback up reply={MESSAGE}"), Text), "whoever is there reads it"


async def test_without_a_name_the_newest_answer_here_is_meant(world: World) -> None:
    await shown(world, "hi", message="1")
    await shown(world, "hi", message="2", channel="8")
    await do(restarted(world), "!correct Better.")
    await do(restarted(world), "!feedback up", channel="8")
    assert [one.message for one in await world.replies.opinions(GUILD)] == ["1", "2"]


async def test_where_the_last_question_has_no_answer_the_one_before_it_is_meant(world: World) -> None:
    await shown(world, "hi")
    assert isinstance(await do(world, "and you?"), Stream), "which is not shown yet"
    assert "Noted" in words(await do(world, "!feedback up"))
    (opinion,) = world.replies.given.values()
    assert opinion.message == MESSAGE
    reply = await do(world, "!regenerate")
    assert isinstance(reply, Stream)
    assert [piece async for piece in reply.pieces]
    assert world.answers.questions[-1].messages[-1].content == "and you?"


async def test_a_correction_may_begin_with_quotes_that_never_close(world: World) -> None:
    await shown(world, "hi")
    await do(world, f'!correct {MESSAGE} "Ahoy, he said')
    await do(world, f'!correct {MESSAGE} "Ahoy", he said', user="77")
    given = await world.replies.opinions(GUILD)
    assert [one.correction for one in given] == ['"Ahoy, he said', '"Ahoy", he said']


async def test_words_need_no_answer_and_votes_do(world: World) -> None:
    told = words(await do(world, '!feedback "More jokes, please"', key="m"))
    assert told == "Thank you for your feedback. We will use it to improve the model."
    await do(world, '!feedback "More jokes, please"', key="m")  # as the same message that arrives twice
    (one,) = await world.replies.opinions(GUILD)
    assert (one.words, one.vote) == ("More jokes, please", None)
    assert code(await do(world, "!feedback up")) == "nothing_answered"
    assert code(await do(world, "!correct Better.")) == "nothing_answered"
    assert code(await do(world, "!feedback up", reply_to="9" * 18)) == "unknown_reply"


@pytest.mark.parametrize("which", [f"{MESSAGE} ", f"{LINK} ", f"<{LINK}>\n", ""])
async def test_a_correction_names_its_answer_by_id_by_link_or_by_replying(world: World, which: str) -> None:
    await shown(world, "hi")
    reply_to = None if which else MESSAGE
    told = words(await do(restarted(world), f'!correct {which}"Ahoy = hello!"', reply_to=reply_to))
    assert told.startswith("Correction received: Ahoy = hello!")
    (one,) = await world.replies.opinions(GUILD)
    assert (one.message, one.correction, one.by) == (MESSAGE, "Ahoy = hello!", "42")


async def test_a_correction_is_refused_where_nothing_is_learned_or_of_whom(world: World) -> None:
    await shown(world, "hi")
    foreign = LINK.replace(f"/{GUILD}/", "/56/")
    assert code(await do(world, f"!correct {foreign} Ahoy.")) == "unknown_reply"
    assert code(await do(world, f"!correct {'8' * 18} Ahoy.")) == "unknown_reply"
    assert code(await do(world, f"!correct {MESSAGE}")) == "no_correction"
    world.guilds.notice = None
    assert code(await do(world, "!correct Ahoy.")) == "notice_needed"
    off = world.context(guild=GUILD, channel="7", trust=Trust(mode="off"))
    assert code(await run(off, "!correct Ahoy.")) == "training_off"
    world.privacy.records["42"] = ConsentRecord(guild=GUILD, person="42", state="out", said_by="42", at=AT)
    assert code(await do(world, "!feedback up")) == "opted_out"
    assert not world.replies.given


async def test_hello_and_how_to_begin(world: World) -> None:
    assert words(await do(world, "!hi")) == "HI!"
    assert "!help" in words(await do(world, "!instruction"))
