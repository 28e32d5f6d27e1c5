"""`!mine` without Discord and without a bus: whose words are kept, and how far each channel is read."""

import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chorus.common.contracts.consent import ConsentRecord, Mode
from chorus.common.contracts.datasets import BuildOptions, Source
from chorus.common.errors import NotFound, NotPermitted, Unavailable
from chorus.gateway.backends.export import merged, packed
from chorus.gateway.commands import reading
from chorus.gateway.commands.context import Context, Trust
from chorus.gateway.commands.history import Channel, Said
from chorus.gateway.commands.reading import chosen
from chorus.gateway.commands.replies import Moment, Problem, Progress, Text
from chorus.gateway.commands.table import run
from chorus.trainer.curation.reading import read_all
from chorus.trainer.curation.records import Message
from chorus.trainer.curation.source import Source as TrainerSource
from tests.unit.gateway.fakes import AT, World
from tests.unit.gateway.histories import FakeHarvest, FakeHistory, said

GENERAL = Channel(1, "general", "GuildTextChat")
FOX = Channel(2, "🦊・ｃhat", "GuildTextChat")
FORUM = Channel(3, "ideas", "GuildForum", talks=False)
POST = Channel(4, "A bigger boat?", "GuildPublicThread", parent=3, parent_name="ideas")
SECRET = Channel(5, "board", "GuildTextChat", closed_to="asker")
BOTLESS = Channel(6, "mods", "GuildTextChat", closed_to="bot")


class Ledger:
    """Who opted in; `once` are those who change their mind after they were asked so often."""

    def __init__(
        self, *opted_in: str, once: Sequence[str] = (), after: int = 1, said_by: str | None = None
    ) -> None:
        self._said_by = said_by
        self._after = after
        self._asked: Counter[str] = Counter()
        self.opted_in = {*opted_in, *once}
        self._once = set(once)

    async def record(self, guild: str, person: str) -> ConsentRecord | None:
        state = "in" if person in self.opted_in else "out"
        self._asked[person] += 1
        if person in self._once and self._asked[person] >= self._after:
            self.opted_in.discard(person)
        if person == "silent":
            return None
        return ConsentRecord(guild=guild, person=person, state=state, said_by=self._said_by or person, at=AT)


class Mining:
    def __init__(self) -> None:
        self.world, self.history = World(), FakeHistory()
        self.world.privacy = Ledger("ada")  # type: ignore[assignment]

    @property
    def harvest(self) -> FakeHarvest:
        return self.world.harvests.harvest

    def context(self, mode: Mode = "permitted") -> Context:
        trust = Trust(mode, "DISCORD-1" if mode == "permitted" else None)
        return replace(self.world.context(), guild="100", trust=trust, history=self.history)

    async def mine(self, line: str = "!mine") -> list[Moment]:
        reply = await run(self.context(), line)
        assert isinstance(reply, Progress), reply
        return [moment async for moment in reply.moments]


@pytest.fixture
def mining() -> Mining:
    return Mining()


def told(moments: Sequence[Moment]) -> str:
    return "\n".join(moment.note for moment in moments if moment.note)


def problem(moments: Sequence[Moment]) -> Problem:
    assert isinstance(moments[-1].outcome, Problem), moments[-1]
    return moments[-1].outcome


@pytest.mark.parametrize("mode", ["off", "submitted"])
async def test_without_discords_permission_nothing_is_asked_for(mining: Mining, mode: Mode) -> None:
    mining.history.add(GENERAL, [said(1, "ada")])
    reply = await run(mining.context(mode), "!mine")
    assert isinstance(reply, Problem)
    assert reply.code == "mining_not_permitted"
    assert "rule 21" in reply.message
    assert "CHORUS_TRAIN_ON_MESSAGES=permitted" in reply.message
    assert "!import" in reply.message
    assert not mining.history.listed
    assert not mining.world.harvests.opened


async def test_in_the_console_there_is_no_history(mining: Mining) -> None:
    reply = await run(replace(mining.context(), history=None), "!mine")
    assert isinstance(reply, Problem)
    assert reply.code == "no_history"


async def test_only_who_runs_the_server_mines(mining: Mining) -> None:
    reply = await run(replace(mining.context(), admin=False), "!mine")
    assert isinstance(reply, Problem)
    assert reply.code == "not_permitted"


async def test_only_words_of_people_who_opted_in_are_kept(mining: Mining) -> None:
    robot, notice, picture = said(3, "ada", bot=True), said(4, "ada", notice=True), said(5, "ada", " ")
    mining.history.add(GENERAL, [said(1, "ada"), said(2, "bob"), robot, notice, picture, said(6, "silent")])
    moments = await mining.mine()
    assert mining.harvest.kept == [1]
    assert mining.harvest.cursors == {1: 6}
    assert "Read 6 new messages. 1 of people who opted in are kept; 2 of others were passed over." in told(
        moments
    )


async def test_it_becomes_a_dataset_with_its_basis_and_its_options(mining: Mining) -> None:
    mining.history.add(GENERAL, [said(1, "ada")])
    moments = await mining.mine("!mine name=club gap_minutes=30 since=2026-01-01")
    ((guild, new),) = mining.world.datasets.added
    assert (guild, new.name, new.positive, new.contributor) == ("100", "club", True, "42")
    assert (new.basis.way, new.basis.mode, new.basis.reference) == ("mined", "permitted", "DISCORD-1")
    assert new.options.gap_minutes == 30
    assert [isinstance(file, Source) and file.filename for file in new.files] == ["mined.zip"]
    ((_, name, since, anew),) = mining.world.harvests.opened
    assert (name, anew) == ("club", False)
    assert since is not None
    assert since.isoformat() == "2026-01-01T00:00:00+00:00"
    assert isinstance(moments[-1].outcome, Text)
    assert "!train data=club" in moments[-1].outcome.text


async def test_who_opts_out_while_channels_are_read_is_not_kept(mining: Mining) -> None:
    mining.world.privacy = Ledger("ada", once=["bob"])  # type: ignore[assignment]
    mining.history.add(GENERAL, [said(1, "ada"), said(2, "bob")])
    await mining.mine()
    assert mining.harvest.kept == [1]


async def test_who_changes_their_mind_while_a_part_is_stored_ends_the_run(mining: Mining) -> None:
    mining.world.privacy = Ledger("ada", once=["bob"], after=2)  # type: ignore[assignment]
    mining.history.add(GENERAL, [said(1, "ada"), said(2, "bob")])
    assert problem(await mining.mine()).code == "mined_meanwhile"
    assert (mining.harvest.kept, mining.harvest.cursors) == ([], {})
    assert not mining.world.datasets.added


async def test_to_be_opted_in_by_somebody_else_does_not_count(mining: Mining) -> None:
    mining.world.privacy = Ledger("ada", said_by="admin")  # type: ignore[assignment]
    mining.history.add(GENERAL, [said(1, "ada")])
    assert problem(await mining.mine()).code == "nothing_mined"


async def test_what_was_read_is_stored_now_and_then(mining: Mining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "KEPT_AT_ONCE", 4)
    pages = [[said(2 * number, "ada"), said(2 * number + 1, "ada")] for number in range(1, 6)]
    mining.history.add(GENERAL, *pages)
    moments = await mining.mine()
    parts = [[message.id for _, messages in part for message in messages] for part in mining.harvest.parts]
    assert parts == [[2, 3, 4, 5], [6, 7, 8, 9], [10, 11]]
    assert [m.figures for m in moments if m.stage.startswith("channel")][-1] == (
        "10 messages read", "10 kept",
    )  # fmt: skip


async def test_others_words_alone_move_the_cursor_and_leave_nothing(mining: Mining) -> None:
    mining.history.add(GENERAL, [said(1, "bob")])
    assert problem(await mining.mine()).code == "nothing_mined"
    assert mining.harvest.cursors == {1: 1}
    assert mining.harvest.kept == []
    assert not mining.world.datasets.added


async def test_it_goes_on_where_it_was(mining: Mining) -> None:
    mining.history.add(GENERAL, [said(1, "ada"), said(2, "ada")])
    await mining.mine("!mine limit=1")
    assert mining.harvest.kept == [1]
    await mining.mine()
    assert mining.history.asked == [(1, 0), (1, 1)]
    assert mining.harvest.kept == [1, 2]
    assert len(mining.world.datasets.added) == 2, "all that was kept is imported again"


async def test_a_channel_without_news_is_not_asked_for(mining: Mining) -> None:
    mining.harvest.cursors = {1: 9}
    mining.history.add(replace(GENERAL, latest=9), [said(9, "ada")])
    await mining.mine()
    assert mining.history.asked == []


async def test_closed_channels_are_told_and_hidden_ones_are_not_named(mining: Mining) -> None:
    mining.history.add(GENERAL, [said(1, "ada")], error=NotPermitted("closed"))
    mining.history.add(FOX, error=NotFound("gone"))
    mining.history.add(POST, [said(2, "ada")])
    for channel in (SECRET, BOTLESS, FORUM):
        mining.history.add(channel)
    moments = await mining.mine()
    assert mining.harvest.kept == [1, 2]
    assert [channel for channel, _ in mining.history.asked] == [1, 2, 4]
    assert "I may not read #mods, #general, #🦊・ｃhat." in told(moments)
    assert "You may not read 1 channel" in told(moments)
    assert "board" not in told(moments)


async def test_when_discord_goes_away_what_was_read_is_kept(mining: Mining) -> None:
    mining.history.add(
        GENERAL, [said(1, "ada")], error=Unavailable("Discord is away.", code="discord_unavailable")
    )
    mining.history.add(FOX, [said(2, "ada")])
    assert problem(await mining.mine()).code == "discord_unavailable"
    assert mining.harvest.kept == [1]
    assert mining.harvest.cursors == {1: 1}
    assert not mining.world.datasets.added


async def test_more_channels_than_a_record_can_hold_are_refused(
    mining: Mining, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHANNELS_AT_MOST", 1)
    mining.history.add(GENERAL)
    mining.history.add(FOX)
    assert problem(await mining.mine()).code == "too_many_channels"
    assert mining.history.asked == []


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ("#general", [1]),
        ("GENERAL", [1]),
        ("<#2>", [2]),
        ("#🦊・chat", [2]),
        ("#general,#🦊・chat", [1, 2]),
        ("<#1> <#2>", [1, 2]),
        ("ideas", [3, 4]),
        ("a bigger boat?", [4]),
        ("4, 1", [1, 4]),
    ],
)
def test_channels_are_chosen_as_people_write_them(wanted: str, ids: list[int]) -> None:
    assert [c.id for c in chosen([GENERAL, FOX, FORUM, POST, SECRET], wanted)] == ids


@pytest.mark.parametrize(
    ("wanted", "hint"), [("#genral", "Did you mean #general?"), ("#board", ""), ("<#5>", "")]
)
def test_a_channel_that_one_may_not_see_is_not_there(wanted: str, hint: str) -> None:
    with pytest.raises(NotFound) as error:
        chosen([GENERAL, SECRET], wanted)
    assert error.value.code == "unknown_channel"
    assert error.value.message.endswith(hint or "may read.")


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_same_messages_are_the_same_bytes() -> None:
    words: list[tuple[Channel, list[Said]]] = [
        (GENERAL, [said(1, "ada")]), (FOX, []), (POST, [said(2, "ada")]),
    ]  # fmt: skip
    assert packed("100", words) == packed("100", words)
    assert list(unzipped(packed("100", words))) == ["general-1.json", "a-bigger-boat-4.json"]


def test_parts_are_merged_channel_by_channel() -> None:
    one = packed("100", [(GENERAL, [said(1, "ada")]), (POST, [said(2, "ada")])])
    two = packed("100", [(replace(GENERAL, name='renamed, "messages": ['), [said(3, "ada")])])
    both = packed("100", [(GENERAL, [said(1, "ada"), said(3, "ada")]), (POST, [said(2, "ada")])])
    assert merged([one, two]) == both


def test_a_part_is_read_as_an_export(tmp_path: Path) -> None:
    words = [
        said(1, "7", "Where were\nyou? 🌊"),
        replace(said(2, "8", "There."), reply_to=1),
        said(3, "8", "\ud83d"),
    ]
    part = tmp_path / "part"
    part.write_bytes(packed("100", [(FOX, words)]))
    (tmp_path / "scratch").mkdir()
    result = read_all([TrainerSource("mined.zip", part)], BuildOptions(), tmp_path / "scratch")
    records = [record for record in result.records if isinstance(record, Message)]
    assert [(r.id, r.author, r.channel, r.text, r.reply_to) for r in records] == [
        ("1", "7", "2", "Where were\nyou? 🌊", ""), ("2", "8", "2", "There.", "1"), ("3", "8", "2", "?", ""),
    ]  # fmt: skip
    assert {r.at for r in records} == {AT.timestamp()}
    assert dict(result.formats) == {"DiscordChatExporter JSON": 3}
