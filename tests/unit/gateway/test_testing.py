"""`!test` and `!errors`: how records are asked, and what is told and kept of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from chorus.common.contracts.consent import ConsentRecord
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.feedback import Prediction
from chorus.common.contracts.feedback import TestRecord as Kept
from chorus.common.contracts.generation import Delta, End, ReplyScore, Usage, Waiting
from chorus.common.contracts.guild import Exchange, GuildSettings, Persona
from chorus.common.contracts.models import ModelRecord, Stale
from chorus.common.errors import ChorusError, InvalidInput, Unavailable
from chorus.gateway.commands import testing
from chorus.gateway.commands.cases import LONGEST, Case, cases_of
from chorus.gateway.commands.context import Context, Trust
from chorus.gateway.commands.keeping import ROOM
from chorus.gateway.commands.ports import Question, Upload
from chorus.gateway.commands.replies import Card, File, Moment, Problem, Progress, Reply, Text
from chorus.gateway.commands.table import run
from tests.unit.gateway.fake_data import AT
from tests.unit.gateway.fakes import World
from tests.unit.gateway.test_models import version

HOURS = '{"text": "When do you open?", "label": "At seven."}'
BUSY = Unavailable("busy, 9 ahead.", code="busy")


class Answers:
    """A model that knows some answers, says `Hm.` to the rest, and counts how many it is asked at once."""

    def __init__(self, **answers: str | ChorusError) -> None:
        self.answers = answers
        self.questions: list[Question] = []
        self.scored: list[list[Turn]] = []
        self.unscored: ChorusError | None = None
        self.at_once = self.most_at_once = 0

    async def ask(self, guild: str, question: Question) -> AsyncIterator[Waiting | Delta | End]:
        self.questions.append(question)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield Waiting(code="queued", text="3 are before you.")
            await asyncio.sleep(0)  # others are asked meanwhile
            answer = self.answers.get(question.messages[-1].content, "Hm.")
            if isinstance(answer, ChorusError):
                raise answer
            yield Delta(i=0, text=answer)
            usage = Usage(prompt_tokens=1, completion_tokens=1)
            yield End(model="club@2", finish_reason="stop", usage=usage)
        finally:
            self.at_once -= 1

    async def score(
        self, guild: str, model: str | None, messages: list[Turn], replies: Sequence[str]
    ) -> list[ReplyScore]:
        if self.unscored is not None:
            raise self.unscored
        self.scored.append(messages)
        return [ReplyScore(logprob=-3.0, tokens=2)]


def place(answers: Answers, stale: Stale | None = None, **others: object) -> tuple[World, Context]:
    """A world whose model club@2 is the one that answers."""
    world = World()
    versions = [version(1), version(2, stale)]
    world.models.records = [ModelRecord(guild="local", name="club", versions=versions, aliases={"prod": 2})]
    ctx = world.context(**others)  # pyright: ignore[reportArgumentType]
    return world, replace(ctx, chorus=replace(ctx.chorus, answers=answers))


async def seen(ctx: Context, line: str) -> tuple[list[Moment], Moment]:
    """How far it was, and how it ended."""
    reply = await run(ctx, line)
    assert isinstance(reply, Progress), reply
    *course, last = [moment async for moment in reply.moments]
    return course, last


def outcome(last: Moment) -> str:
    assert last.outcome is not None
    return last.outcome.text if isinstance(last.outcome, Text) else last.outcome.message


# --- asking --------------------------------------------------------------------------------------
async def test_each_is_asked_as_people_would_be_answered_but_greedily() -> None:
    answers = Answers(**{"When do you open?": " at SEVEN. "})
    world, ctx = place(answers)
    shown = Exchange(user="Hi", bot="Ahoy", by="1")
    world.guilds.others = GuildSettings(persona=Persona(text="You are a cat.", by="7"), examples=[shown])
    world.models.chosen = "club"
    course, last = await seen(ctx, f'!test [{HOURS}, {{"text": "Wifi?"}}]')
    assert [(moment.done, moment.total) for moment in course] == [(0, 2), (1, 2), (2, 2)]
    assert outcome(last).splitlines() == [
        "Test complete. Predictions (AI): at SEVEN. · Hm.",
        "club@2: 1 of 1 right (100%), log-likelihood of what was expected -1.50 a token.",
    ]
    (card,) = last.more
    assert card.rows == [
        ("✓", "When do you open?", "at SEVEN.", "At seven."),
        ("", "Wifi?", "Hm.", ""),
    ]
    asked = answers.questions[0]
    assert [turn.role for turn in asked.messages] == ["system", "user"]
    assert (asked.model, asked.sampling.temperature, len(asked.examples)) == ("club", 0, 2)
    assert [turn.role for turn in answers.scored[0]] == ["system", "user", "assistant", "user"]
    assert world.feedback.records == {}, "all was right"

    await seen(ctx, f"!test bare=yes model=base max_tokens=9 n=3 {HOURS}")
    bare = answers.questions[-1]
    assert (bare.model, bare.examples, len(bare.messages)) == (None, [], 1)
    assert (bare.sampling.max_tokens, bare.sampling.n) == (9, 1)


async def test_some_are_asked_at_a_time_and_failures_stop_nothing() -> None:
    answers = Answers(q3=BUSY, q4="four")
    world, ctx = place(answers)
    records = [{"text": f"q{number}", "expected": "four"} for number in range(30)]
    _, last = await seen(ctx, f"!test {json.dumps(records)}")
    told = outcome(last)
    assert "1 of 29 right (3%), 1 failed" in told
    assert "29 wrong or failed are kept for 30 days: !errors" in told
    assert 1 < answers.most_at_once <= testing.AT_ONCE
    (card,) = last.more
    assert ("✗", "q3", "failed: busy: busy, 9 ahead.", "four") in card.rows
    assert {row[0] for row in card.rows} == {"✗"}, "of many, what was wrong comes first"
    (kept,) = world.feedback.records.values()
    assert (kept.model, kept.asked, kept.judged, kept.right, kept.failed) == ("club@2", 30, 29, 1, 1)
    assert kept.wrong[3] == Prediction(input="q3", expected="four", error="busy: busy, 9 ahead.")


async def test_where_nothing_is_answered_it_is_said_why() -> None:
    _, ctx = place(Answers(**{"When do you open?": BUSY}))
    _, last = await seen(ctx, f"!test {HOURS}")
    assert last.outcome == Problem("busy", "Failed to get predictions. busy, 9 ahead.")


async def test_nobody_waits_for_what_never_answers() -> None:
    answers = Answers(**{f"q{number}": BUSY for number in range(50)})
    _, ctx = place(answers)
    records = [{"text": f"q{number}"} for number in range(50)]
    _, last = await seen(ctx, f"!test {json.dumps(records)}")
    assert last.outcome == Problem("busy", "Failed to get predictions. busy, 9 ahead.")
    assert testing.AT_ONCE <= len(answers.questions) < 2 * testing.AT_ONCE


async def test_who_leaves_has_nobody_asked_in_vain() -> None:
    answers = Answers()
    _, ctx = place(answers)
    reply = await run(ctx, f"!test {json.dumps([{'text': 'a'}] * 100)}")
    assert isinstance(reply, Progress)
    async for _ in reply.moments:
        break
    await reply.moments.aclose()  # pyright: ignore[reportAttributeAccessIssue] - a generator
    assert (len(answers.questions) < 100, answers.at_once) == (True, 0)


async def test_an_engine_that_cannot_score_still_predicts() -> None:
    answers = Answers()
    answers.unscored = InvalidInput("This engine gives no likelihoods.", code="no_scores")
    _, ctx = place(answers)
    _, last = await seen(ctx, f"!test {HOURS}")
    assert "0 of 1 right (0%)." in outcome(last)
    assert "This engine gives no likelihoods." in outcome(last)


async def test_records_come_in_files_too() -> None:
    answers = Answers()
    world, ctx = place(answers)
    world.files.files["records.jsonl"] = Upload(
        "records.jsonl", b'\xef\xbb\xbf{"text": "a"}\n{"text": "b"}\n'
    )
    world.files.files["latin.json"] = Upload("latin.json", b'{"text": "\xe4"}')
    world.files.files["big.json"] = Upload("big.json", b" " * (testing.LARGEST + 1))
    await seen(ctx, "!test file=records.jsonl")
    world.files.with_the_command = ["records.jsonl"]
    await seen(ctx, "!test")
    assert len(answers.questions) == 4
    world.files.with_the_command = []
    for line, code in (
        ("!test", "nothing_to_test"),
        ("!test file=latin.json", "invalid_test_data"),
        ("!test file=big.json", "too_large"),
        ("!test file=missing.json", "file_not_found"),
    ):
        reply = await run(ctx, line)
        assert isinstance(reply, Problem)
        assert reply.code == code


# --- what is kept --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("trust", "noticed", "state", "line", "why"),
    [
        (Trust("submitted"), True, None, f"!test {HOURS}", ""),
        (Trust("submitted"), False, None, f"!test {HOURS}", "reads and accepts a notice"),
        (Trust("off"), True, None, f"!test {HOURS}", "nothing is learned from messages"),
        (Trust("off"), False, None, "!test file=records.json", ""),
        (Trust("off", via="console"), False, None, f"!test {HOURS}", ""),
        (Trust("submitted"), True, "out", f"!test {HOURS}", "You are opted out"),
    ],
)
async def test_what_was_wrong_is_kept_only_where_it_may_be_learned(
    trust: Trust, noticed: bool, state: str | None, line: str, why: str
) -> None:
    world, ctx = place(Answers(), guild="900", trust=trust)
    world.files.files["records.json"] = Upload("records.json", HOURS.encode())
    if not noticed:
        world.guilds.notice = None
    if state is not None:
        said = ConsentRecord.model_validate(
            {"guild": "900", "person": "42", "state": state, "said_by": "42", "at": AT}
        )
        world.privacy.records["42"] = said
    _, last = await seen(ctx, line)
    told = outcome(last).splitlines()[-1]
    assert bool(world.feedback.records) == (why == "")
    assert told.startswith("What was wrong is not kept.") == (why != "")
    assert why in told


async def test_what_a_stale_model_says_is_not_kept() -> None:
    world, ctx = place(Answers(), Stale(since=AT, blocked_at=AT))
    _, last = await seen(ctx, f"!test {HOURS}")
    assert "club@2 learned words that were deleted since." in outcome(last)
    assert world.feedback.records == {}


async def test_a_record_holds_only_what_fits() -> None:
    world, ctx = place(Answers())
    long = "ä" * LONGEST
    records = [{"text": f"{number} {long}"[:LONGEST], "expected": long} for number in range(20)]
    world.files.files["long.json"] = Upload("long.json", json.dumps(records).encode())
    _, last = await seen(ctx, "!test file=long.json")
    (kept,) = world.feedback.records.values()
    assert 10 < len(kept.wrong) < 20
    assert f"({20 - len(kept.wrong)} more did not fit)" in outcome(last)
    assert len(kept.model_dump_json().encode()) < ROOM + 4096


# --- !errors -------------------------------------------------------------------------------------
def kept(person: str = "42", model: str = "club@2", **wrong: str) -> Kept:
    predictions = [Prediction(input=text, prediction=said, expected="Yes") for text, said in wrong.items()]
    failed = Prediction(input="Why?", error="busy: try later")
    return Kept(
        guild="local",
        person=person,
        id=f"{model}-{person}",
        model=model,
        at=AT,
        asked=9,
        judged=8,
        right=7,
        failed=1,
        wrong=[*predictions, failed],
    )


async def errors_of(world: World, line: str, *, admin: bool = True) -> Reply:
    return await run(world.context(admin=admin), line)


async def test_errors_shows_the_newest_tests() -> None:
    world = World()
    assert isinstance(await errors_of(world, "!errors"), Text)
    for record in (kept(a="No"), kept(model="starter", b="No"), kept(person="7", model="main@1", c="No")):
        await world.feedback.keep(record)
    reply = await errors_of(world, "!errors")
    assert isinstance(reply, Card)
    assert [row[1] for row in reply.rows if row[0] == "→"] == ["main@1", "starter", "club@2"]
    assert ("→", "club@2", "2026-01-02 03:04 UTC", "7 of 8 right, 1 failed") in reply.rows
    assert ("✗", "a", "No", "Yes") in reply.rows
    for line, admin, models in (
        ("!errors count=1", True, ["main@1"]),
        ("!errors model=club", True, ["club@2"]),
        ("!errors model=club@2", True, ["club@2"]),
        ("!errors model=base", True, ["starter"]),
        ("!errors", False, ["starter", "club@2"]),
    ):
        shown = await errors_of(world, line, admin=admin)
        assert isinstance(shown, Card)
        assert [row[1] for row in shown.rows if row[0] == "→"] == models, line
        assert shown.private == ("main@1" in models), "what others asked is for whoever runs the place alone"
    world.privacy.records["7"] = ConsentRecord(guild="local", person="7", state="out", said_by="7", at=AT)
    without = await errors_of(world, "!errors")
    assert isinstance(without, Card)
    assert "main@1" not in str(without.rows)


async def test_errors_become_a_file_to_learn_from_and_to_test_with() -> None:
    world = World()
    await world.feedback.keep(kept(a="No", b="Never"))
    await world.feedback.keep(kept(model="club@3", a="Perhaps"))
    reply = await errors_of(world, "!errors to=errors.json")
    assert isinstance(reply, File)
    assert (reply.name, reply.private) == ("errors.json", True)
    data = await reply.data.read()
    assert json.loads(data) == [
        {"user": "a", "bot": "Yes", "prediction": "Perhaps"},
        {"user": "b", "bot": "Yes", "prediction": "Never"},
    ]
    assert cases_of(data.decode()) == [Case("a", "Yes"), Case("b", "Yes")]


async def test_what_only_failed_teaches_nothing() -> None:
    world = World()
    await world.feedback.keep(kept())
    reply = await errors_of(world, "!errors to=errors.json")
    assert isinstance(reply, Problem)
    assert reply.code == "nothing_expected"
