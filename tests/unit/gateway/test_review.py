"""What people said of answers, reviewed: what is approved becomes data, with whose words it is."""

import pytest

from chorus.common.contracts.consent import ConsentRecord
from chorus.common.contracts.datasets import Basis, Example, Turn
from chorus.common.contracts.feedback import Opinion, ReplyRecord
from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.wire import now
from chorus.common.errors import Unavailable
from chorus.gateway.commands.context import Trust
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.preferences import examples
from chorus.gateway.commands.replies import Card, Problem, Progress, Reply, Text
from chorus.gateway.commands.table import run
from tests.unit.gateway.fake_data import AT, dataset, ref
from tests.unit.gateway.fakes import World, told
from tests.unit.gateway.test_models import version

GUILD = "55"


@pytest.fixture
def world() -> World:
    return World()


async def do(world: World, line: str, *, admin: bool = True, mode: str = "submitted") -> Reply:
    trust = Trust(mode=mode)  # type: ignore[arg-type]
    return await run(world.context(guild=GUILD, user="1", admin=admin, trust=trust, channel="5"), line)


def record(message: str = "100", text: str = "At nine.", **changes: object) -> ReplyRecord:
    return ReplyRecord(
        guild=GUILD, person="42", people=["42", "77"], message=message, via="message", model="main@1",
        messages=[Turn(role="user", content="When do you open?")], sampling=Sampling(), text=text, at=now(),
    ).model_copy(update=changes)  # fmt: skip


def opinion(by: str, message: str = "100", **said: object) -> Opinion:
    given = Opinion(guild=GUILD, person="42", channel="7", message=message, by=by, via="message", at=AT)
    return given.model_copy(update=said)


async def said(world: World, *opinions: Opinion, text: str = "At nine.") -> None:
    """What people have said, of which whoever reviews has seen the list."""
    for one in opinions:
        await world.replies.keep(record(one.message, text))
        world.replies.given[one.key] = one
    await looked(world, "!review")


async def looked(world: World, line: str) -> None:
    """What waits, shown."""
    card = await do(world, line)
    assert isinstance(card, Card)
    assert card.shown is not None
    card.shown()


def code(reply: Reply) -> str:
    assert isinstance(reply, Problem), reply
    return reply.code


def learned(world: World) -> list[Example]:
    """What the last dataset was made of."""
    (file,) = world.datasets.added[-1][1].files
    assert isinstance(file, Upload)
    assert isinstance(file.data, bytes)
    return [Example.model_validate_json(line) for line in file.data.splitlines()]


# --- what opinions mean --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("opinions", "expected"),
    [
        ([opinion("1", vote="up")], [("At nine.", True)]),
        ([opinion("1", vote="down"), opinion("2", vote="down"), opinion("3")], [("At nine.", False)]),
        ([opinion("1", vote="up"), opinion("2", vote="down")], []),
        ([opinion("1", words="Hm.")], []),
        ([opinion("1", correction="At eight.", vote="up")], [("At eight.", True), ("At nine.", False)]),
        ([opinion("1", correction="At nine.")], [("At nine.", True)]),
    ],
)  # fmt: skip
def test_opinions_become_wanted_and_unwanted_replies(
    opinions: list[Opinion], expected: list[tuple[str, bool]]
) -> None:
    made = examples(record(), opinions)
    assert [(one.messages[-1].content, one.label) for one in made] == expected
    assert {one.messages[0].content for one in made} <= {"When do you open?"}


def test_an_example_has_whose_words_it_is() -> None:
    better, refused = examples(record(), [opinion("9", correction="At eight.")])
    assert (better.contributors, refused.contributors) == (["42", "77", "9"], ["42", "77"])
    assert examples(record(text=" "), [opinion("9", vote="down")]) == [], "there is nothing that was said"


# --- the list ------------------------------------------------------------------------------------
async def test_what_waits_is_listed_for_those_who_manage_the_place(world: World) -> None:
    assert isinstance(await do(world, "!review"), Text)
    await said(world, opinion("9", vote="down", words="No."), opinion("8", vote="up"))
    await said(
        world, opinion("7", message="200", correction="At eight."), opinion("6", message="300", vote="up")
    )
    world.privacy.records["6"] = ConsentRecord(guild=GUILD, person="6", state="out", said_by="6", at=AT)
    card = await do(world, "!review")
    assert isinstance(card, Card)
    assert card.private
    assert card.rows == [
        ("100", "main@1", "1 👍 1 👎", "When do you open?", "At nine.", "No."),
        ("200", "main@1", "", "When do you open?", "At nine.", "better: At eight."),
    ]
    assert [button.line for button in card.buttons] == ["!review approve all", "!review reject all"]
    assert code(await do(world, "!review", admin=False)) == "not_permitted"


async def test_all_of_one_is_shown_word_for_word(world: World) -> None:
    better = f"At eight.\n{'And so on. ' * 40}".strip()
    await said(world, opinion("9", correction=better, vote="down"), opinion("8", words="Wrong."))
    card = await do(world, "!review 100")
    assert isinstance(card, Card)
    assert card.private
    assert card.rows == [
        ("user", "When do you open?"), ("main@1", "At nine."), ("👎", ""), ("better", better),
        ("said", "Wrong."),
    ]  # fmt: skip
    assert code(await do(world, "!review 999")) == "unknown_wish"


async def test_nobody_reviews_what_was_said_where_they_may_not_read(world: World) -> None:
    await said(world, opinion("9", vote="up"), opinion("8", message="200", channel="8", vote="up"))
    world.people.hidden = {"8"}
    card = await do(world, "!review")
    assert isinstance(card, Card)
    assert [row[0] for row in card.rows] == ["100"]
    assert card.footer.startswith("1 more wait in channels that you cannot read.")
    assert code(await do(world, "!review approve 200")) == "unknown_review"
    await told(await do(world, "!review approve all"))
    assert [one.message for one in await world.replies.opinions(GUILD) if one.waits] == ["200"]


# --- deciding ------------------------------------------------------------------------------------
async def test_what_is_approved_becomes_a_dataset_that_can_be_learned(world: World) -> None:
    await said(world, opinion("9", correction="At eight."), opinion("8", message="200", vote="up"))
    text = await told(await do(world, "!review approve 100"))
    assert "!train data=feedback" in text
    assert [(one.messages[-1].content, one.label) for one in learned(world)] == [
        ("At eight.", True), ("At nine.", False),
    ]  # fmt: skip
    guild, new = world.datasets.added[-1]
    assert (guild, new.name, new.contributor, new.basis.way) == (GUILD, "feedback", "1", "submitted")
    card = await do(world, "!review")
    assert isinstance(card, Card)
    assert [row[0] for row in card.rows] == ["200"], "the rest waits on"


async def test_of_what_an_imitation_said_only_corrections_are_learned(world: World) -> None:
    versions = [version(1), version(2, imitates=True)]
    world.models.records = [ModelRecord(guild=GUILD, name="main", versions=versions, aliases={"prod": 2})]
    as_somebody = {one: record(one, model="main@2") for one in ("100", "200")}
    await said(
        world, opinion("9", correction="At eight."), opinion("8", message="200", vote="up"),
        opinion("8", message="300", vote="up"),
    )  # fmt: skip
    world.replies.records |= {one.key: one for one in as_somebody.values()}
    text = await told(await do(world, "!review approve 100 300"))
    assert "Not learned: what was answered in 100, for a model said it as a person would." in text
    assert [(one.messages[-1].content, one.label) for one in learned(world)] == [
        ("At eight.", True), ("At nine.", True),
    ]  # fmt: skip
    reply = await do(world, "!review approve 200")
    assert isinstance(reply, Text)
    assert "Not learned: what was answered in 200" in reply.text
    assert len(world.datasets.added) == 1


async def test_more_that_is_approved_comes_to_what_was_there(world: World) -> None:
    old = Example(messages=[Turn(role="assistant", content="Hm.")], contributors=["5"], source="feedback")
    basis = Basis(way="submitted")
    world.datasets.all = [dataset("feedback", guild=GUILD, basis=basis, examples=ref("old"))]
    world.objects.held["local/old"] = f"{old.model_dump_json()}\n".encode()
    await said(world, opinion("8", vote="up"))
    await told(await do(world, "!review approve all"))
    assert [one.messages[-1].content for one in learned(world)] == ["Hm.", "At nine."]
    assert isinstance(await do(world, "!review"), Text), "nothing waits any more"


async def test_what_could_not_be_built_waits_on(world: World) -> None:
    await said(world, opinion("8", vote="up"))
    world.datasets.error = Unavailable("No trainer.", code="no_responders")
    assert "[no_responders]" in await told(await do(world, "!review approve all"))
    assert isinstance(await do(world, "!review"), Card)


async def test_what_is_rejected_or_teaches_nothing_is_not_learned(world: World) -> None:
    await said(world, opinion("8", vote="down"), opinion("8", message="200", words="Nice."))
    for line, answer in (("reject 100", "Rejected: 1 answer."), ("approve 200", "Approved: 1 answer.")):
        reply = await do(world, f"!review {line}")
        assert isinstance(reply, Text)
        assert reply.text.startswith(answer)
    assert not world.datasets.added
    assert isinstance(await do(world, "!review"), Text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("!review approve", "nothing_to_review"),
        ("!review approve 999", "unknown_review"),
        ("!review approve *", "unknown_review"),
        ("!review burn all", "unknown_wish"),
        ("!review approve all name=club", "name_taken"),
        ("!review approve all name=../x", "invalid_parameter"),
    ],
)
async def test_what_cannot_be_decided_is_said(world: World, line: str, expected: str) -> None:
    world.datasets.all = [dataset("club", guild=GUILD)]
    await said(world, opinion("8", vote="up"))
    reply = await do(world, line)
    assert isinstance(reply, Problem), reply
    assert reply.code == expected
    assert not world.datasets.added


async def test_what_was_asked_in_messages_is_not_learned_where_messages_are_not(world: World) -> None:
    await said(world, opinion("8", vote="up"))
    assert code(await do(world, "!review approve all", mode="off")) == "training_off"
    world.replies.records["55.42.100"] = record(via="form")
    assert isinstance(await do(world, "!review approve all", mode="off"), Progress)
    changed = opinion("8", vote="up", correction="At ten.")
    world.replies.given[changed.key] = changed
    assert code(await do(world, "!review approve all", mode="off")) == "training_off", "it was typed, too"


# --- what is not approved ------------------------------------------------------------------------
async def test_what_came_or_changed_since_it_was_listed_waits_on_and_is_named(world: World) -> None:
    await said(
        world, opinion("9", vote="up"), opinion("9", message="200", correction="At six."),
        opinion("9", message="300", vote="up"),
    )  # fmt: skip
    worse = opinion("9", message="200", correction="Never.", at=now())
    late = opinion("6", message="300", correction="At five.")
    world.replies.given |= {worse.key: worse, late.key: late}
    text = await told(await do(world, "!review approve all"))
    assert "Approved: 2 answers." in text
    assert "Not approved: 200, 300: this has come or changed since you were shown it." in text
    assert [one.messages[-1].content for one in learned(world)] == ["At nine.", "At nine."]
    waits = [one.correction for one in await world.replies.opinions(GUILD) if one.waits]
    assert sorted(map(str, waits)) == ["At five.", "Never."]
    assert code(await do(world, "!review approve 200")) == "review_first"
    world.objects.held["local/feedback-1-examples"] = b""
    await do(world, "!review 200")
    assert code(await do(world, "!review approve 200")) == "review_first", "it was not delivered"
    await looked(world, "!review 200")
    await told(await do(world, "!review approve 200"))
    assert learned(world)[-2].messages[-1].content == "Never."


async def test_what_changes_while_the_dataset_is_built_waits_anew(world: World) -> None:
    await said(world, opinion("9", correction="At six."))
    reply = await do(world, "!review approve all")
    worse = opinion("9", correction="Never.", at=now())
    world.replies.given[worse.key] = worse
    assert "Changed meanwhile, so it waits anew: 100." in await told(reply)
    assert [one.correction for one in await world.replies.opinions(GUILD) if one.waits] == ["Never."]


async def test_what_is_about_an_answer_that_is_gone_waits_on_and_is_named(world: World) -> None:
    await said(world, opinion("9", correction="At eight."), opinion("9", message="200", vote="up"))
    del world.replies.records["55.42.100"]
    text = await told(await do(world, "!review approve all"))
    assert "Approved: 1 answer." in text
    assert "Not approved: 100: the answer is not kept any more" in text
    assert code(await do(world, "!review approve 100")) == "reply_not_kept"
    card = await do(world, "!review 100")
    assert isinstance(card, Card)
    assert card.rows == [("", "The answer is not kept any more."), ("better", "At eight.")]
    await do(world, "!review reject 100")
    assert isinstance(await do(world, "!review"), Text)


async def test_what_somebody_else_adds_meanwhile_is_not_lost(world: World) -> None:
    theirs = Example(messages=[Turn(role="assistant", content="Hm.")], contributors=["5"], source="feedback")
    world.objects.held["local/theirs"] = f"{theirs.model_dump_json()}\n".encode()
    await said(world, opinion("8", vote="up"))
    reply = await do(world, "!review approve all")
    made = dataset("feedback", guild=GUILD, basis=Basis(way="submitted"), examples=ref("theirs"))
    world.datasets.all.append(made)
    assert "Approved: 1 answer." in await told(reply)
    assert [new.after for _, new in world.datasets.added] == [0, 1]
    assert [one.messages[-1].content for one in learned(world)] == ["Hm.", "At nine."]
