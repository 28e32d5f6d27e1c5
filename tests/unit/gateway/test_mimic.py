"""`!mimic`: who may be mimicked, what is read for it, and what is trained."""

from dataclasses import replace

import pytest

from chorus.common.contracts.consent import ConsentRecord, Mode
from chorus.gateway.commands.context import Context, Trust
from chorus.gateway.commands.history import Channel
from chorus.gateway.commands.replies import Moment, Problem, Progress
from chorus.gateway.commands.table import run
from tests.unit.gateway.fake_data import dataset
from tests.unit.gateway.fakes import AT, RESULT, JobState, World
from tests.unit.gateway.histories import FakeHistory, said

GENERAL = Channel(1, "general", "GuildTextChat")
ADA, BOB = "7", "8"


class Server:
    """A server where Ada has opted in, and has said something."""

    def __init__(self) -> None:
        self.world, self.history = World(), FakeHistory()
        self.history.add(GENERAL, [said(1, ADA), said(2, BOB)])
        self.opt(ADA, names=["Ada.L"])

    def opt(
        self,
        person: str,
        state: str = "in",
        said_by: str | None = None,
        names: tuple[str, ...] | list[str] = (),
    ) -> None:
        self.world.privacy.records[person] = ConsentRecord.model_validate(
            {
                "guild": "100", "person": person, "state": state, "names": list(names),
                "said_by": said_by or person, "at": AT,
            }
        )  # fmt: skip

    def context(self, mode: Mode = "permitted") -> Context:
        trust = Trust(mode, "DISCORD-1" if mode == "permitted" else None)
        return replace(self.world.context(), guild="100", trust=trust, history=self.history)

    async def refused(self, line: str, mode: Mode = "permitted") -> Problem:
        reply = await run(self.context(mode), line)
        assert isinstance(reply, Problem), reply
        assert not self.history.listed, "nothing is read"
        return reply

    async def mimic(self, line: str) -> list[Moment]:
        reply = await run(self.context(), line)
        assert isinstance(reply, Progress), reply
        return [moment async for moment in reply.moments]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.mark.parametrize("line", ["!mimic <@7>", "!mimic <@!7>", "!mimic 7"])
async def test_a_model_is_trained_on_the_replies_of_who_opted_in(server: Server, line: str) -> None:
    server.world.jobs.course = [
        {
            "state": JobState.SUCCEEDED,
            "result": RESULT.model_copy(update={"model": "mimic-ada-l@1", "in_use": False}),
        }
    ]
    moments = await server.mimic(line)
    ((guild, new),) = server.world.datasets.added
    assert (guild, new.name, new.options.target, new.contributor) == ("100", "mimic-ada-l", ADA, "42")
    assert (new.basis.way, new.basis.reference) == ("mined", "DISCORD-1")
    assert server.world.harvests.harvest.kept == [1], "of others only who opted in is kept"
    (record,) = server.world.jobs.records.values()
    assert (record.job.model, record.job.dataset) == ("mimic-ada-l", "mimic-ada-l@1")
    assert record.job.data[0].imitates
    assert [(button.label, button.line) for button in moments[-1].buttons] == [
        ("Use it", "!use mimic-ada-l@1"), ("Keep the old one", f"!keep {record.job.job}"),
    ]  # fmt: skip


async def test_options_are_those_of_reading_and_of_training(server: Server) -> None:
    await server.mimic("!mimic <@7> name=captain channel=#general epochs=3 gap_minutes=30 base=gpt2")
    ((_, new),) = server.world.datasets.added
    assert (new.name, new.options.gap_minutes) == ("mimic-captain", 30)
    (record,) = server.world.jobs.records.values()
    assert (record.job.model, record.job.base, record.job.hyperparameters.epochs) == (
        "mimic-captain",
        "gpt2",
        3,
    )


async def test_all_that_is_missing_is_told_in_one_sentence(server: Server) -> None:
    both = await server.refused("!mimic <@8>", "submitted")
    assert both.code == "mimic_not_permitted"
    assert both.message.count(". ") == 0
    assert "CHORUS_TRAIN_ON_MESSAGES=permitted, and CHORUS_TRAIN_PERMISSION" in both.message
    assert both.message.endswith(
        "and they have not opted in (they, and nobody else for them, write `!privacy optin` here)."
    )
    operator = await server.refused("!mimic <@7>", "submitted")
    assert "opted in" not in operator.message
    person = await server.refused("!mimic <@8>")
    assert "CHORUS" not in person.message


@pytest.mark.parametrize(("state", "said_by"), [("out", None), ("in", "42")])
async def test_who_opted_out_or_was_opted_in_by_another_is_not_mimicked(
    server: Server, state: str, said_by: str | None
) -> None:
    server.opt(BOB, state, said_by)
    assert (await server.refused("!mimic <@8>")).code == "mimic_not_permitted"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("!mimic Ada", "unknown_person"),
        ("!mimic", "missing_parameter"),
        ("!mimic <@&7>", "unknown_person"),
        ("!mimic <@7> target=8", "two_targets"),
    ],
)
async def test_whom_it_is_about_has_to_be_clear(server: Server, line: str, code: str) -> None:
    assert (await server.refused(line)).code == code


async def test_in_the_console_there_is_nobody_to_mimic(server: Server) -> None:
    reply = await run(replace(server.context(), history=None), "!mimic <@7>")
    assert isinstance(reply, Problem)
    assert reply.code == "no_history"


async def test_nobody_is_mimicked_under_another_persons_name(server: Server) -> None:
    server.world.datasets.all = [dataset("mimic-ada-l", guild="100", options={"target": BOB})]
    assert (await server.refused("!mimic <@7>")).code == "mimics_another"
    await server.mimic("!mimic <@7> name=ada-of-the-quay")
    assert server.world.datasets.added[0][1].name == "mimic-ada-of-the-quay"


async def test_under_another_name_it_is_an_imitation_all_the_same(server: Server) -> None:
    await server.mimic("!mimic <@7>")
    await server.mimic("!train data=mimic-ada-l model=club")
    record = list(server.world.jobs.records.values())[-1]
    assert record.job.data[0].imitates
