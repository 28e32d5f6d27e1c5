"""Datasets on real servers: what is handed over becomes versions, and what becomes of those."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chorus.common.contracts.datasets import Basis, BuildOptions, Example, Source
from chorus.common.contracts.storage import FILES
from chorus.common.errors import InvalidInput, NotFound, NotPermitted
from chorus.common.local.process import Process
from chorus.gateway.commands.ports import NewDataset
from tests.support.servers import Servers
from tests.support.training import ENDLESS, Gateway, a_gateway, a_trainer, built


@pytest.fixture(scope="module")
async def trainer(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    async with a_trainer(servers, tmp_path_factory.mktemp("trainer")) as process:
        yield process


@pytest.fixture
async def gateway(servers: Servers, guild: str, trainer: Process) -> AsyncIterator[Gateway]:
    async with a_gateway(servers, guild) as gateway:
        yield gateway


def chat(*said: tuple[str, str]) -> str:
    """A conversation as DiscordChatExporter writes it, a message a minute: (author's name, text)."""
    messages = [
        {
            "id": str(1000 + number),
            "type": "Default",
            "timestamp": f"2026-01-05T10:{number:02}:00+00:00",
            "content": text,
            "author": {"id": str(sum(name.encode())), "name": name, "isBot": False},
        }
        for number, (name, text) in enumerate(said)
    ]
    channel = {"id": "10", "type": "GuildTextChat", "name": "general"}
    return json.dumps({"guild": {"id": "1", "name": "G"}, "channel": channel, "messages": messages}, indent=2)


async def test_the_same_file_is_one_version(gateway: Gateway) -> None:
    first, again = await gateway.dataset(), await gateway.dataset()
    assert first == again
    assert (await gateway.dataset(ENDLESS)).version == 2
    unwanted = await gateway.dataset(positive=False)
    assert (unwanted.version, unwanted.card.positive) == (3, 0)


async def test_another_guilds_file_is_refused(gateway: Gateway, servers: Servers) -> None:
    file = await servers.store().put(FILES, "999/secret", b"theirs")
    new = NewDataset("data", [Source(file=file, filename="f")], True, "42", Basis(), BuildOptions())
    with pytest.raises(NotPermitted) as refused:
        await built(gateway.datasets.add(gateway.guild, new))
    assert refused.value.code == "other_guild"


async def test_a_bad_file_changes_nothing(gateway: Gateway) -> None:
    with pytest.raises(InvalidInput) as error:
        await gateway.dataset('[{"user": "a", "bot": "b"},\n {"user": }]')
    assert error.value.code == "broken_json"
    assert (await gateway.datasets.list(gateway.guild)).datasets == []
    assert (await gateway.dataset()).version == 1


async def test_a_chat_is_learned_as_one_of_its_speakers(gateway: Gateway, servers: Servers) -> None:
    text = chat(("Ann", "Tea?"), ("Bob", "Yes, please"), ("Ann", "Milk?"), ("Bob", "No"), ("Cid", "Bye"))
    dataset = await gateway.dataset(text, target="bob")
    lines = (await servers.store().get(dataset.examples)).decode().splitlines()
    (example,) = [Example.model_validate_json(line) for line in lines]
    assert [(turn.role, turn.name, turn.content) for turn in example.messages] == [
        ("user", "u1", "Tea?"),
        ("assistant", None, "Yes, please"),
        ("user", "u1", "Milk?"),
        ("assistant", None, "No"),
    ]
    card = dataset.card
    assert (card.read, card.kept, sum(card.dropped.values())) == (5, 4, 1)
    assert (card.people, card.examples, card.positive) == (2, 1, 1)
    assert card.format == "DiscordChatExporter JSON"


async def test_what_was_read_is_built_another_way(gateway: Gateway) -> None:
    await gateway.dataset(chat(("Ann", "Tea?"), ("Bob", "Yes"), ("Ann", "Good")), target="Bob")
    steps = gateway.datasets.rebuild(gateway.guild, "data", BuildOptions(target="Ann"))
    again = await built(steps)
    assert (again.version, again.options.target, again.card.read) == (2, "Ann", 3)


async def test_a_list_a_preview_and_an_archive(gateway: Gateway, servers: Servers) -> None:
    dataset = await gateway.dataset()
    listed = await gateway.datasets.list(gateway.guild)
    assert ([d.id for d in listed.datasets], listed.selected) == (["data@1"], None)

    shown = await gateway.datasets.preview(gateway.guild, "data", 2)
    learned = ["".join(piece.text for piece in sample if piece.learned) for sample in shown.samples]
    assert ["Bosun." in learned[0], "Yes." in learned[1]] == [True, True]
    assert not any("What is" in text for text in learned), "questions are read, not learned"

    chosen = await gateway.datasets.select(gateway.guild, "data", positive=True)
    assert chosen.dataset == dataset
    assert (await gateway.datasets.list(gateway.guild)).selected == "data@1"
    packed = zipfile.ZipFile(io.BytesIO(await servers.store().get(chosen.archive)))
    assert sorted(packed.namelist()) == ["README.md", "dataset.json", "examples.jsonl"]
    assert packed.read("examples.jsonl") == await servers.store().get(dataset.examples)
    assert (await gateway.datasets.archive(gateway.guild, "data@1")).archive == chosen.archive


async def test_what_is_selected_as_unwanted_is_built_as_such(gateway: Gateway) -> None:
    await gateway.dataset()
    chosen = await gateway.datasets.select(gateway.guild, "data", positive=False)
    assert (chosen.dataset.id, chosen.dataset.label, chosen.dataset.card.positive) == ("data@2", False, 0)


async def test_a_deleted_dataset_is_gone_and_its_numbers_are_not_given_again(
    gateway: Gateway, servers: Servers
) -> None:
    dataset = await gateway.dataset()
    await gateway.datasets.archive(gateway.guild, "data")
    gone = await gateway.datasets.delete(gateway.guild, "data")
    assert (gone.versions, gone.objects) == (1, 5), "examples, records, people, archive, upload"
    for bucket in ("datasets", "files"):
        assert await servers.store().list(bucket, f"{gateway.guild}/") == []
    with pytest.raises(NotFound) as unknown:
        await gateway.datasets.archive(gateway.guild, "data")
    assert unknown.value.code == "unknown_dataset"
    with pytest.raises(NotFound) as withdrawn:
        await gateway.datasets.archive(gateway.guild, dataset.id)
    assert withdrawn.value.code == "dataset_withdrawn"
    assert (await gateway.dataset()).version == 2


async def test_another_guild_finds_nothing(gateway: Gateway, servers: Servers) -> None:
    await gateway.dataset()
    async with a_gateway(servers, f"{gateway.guild}1") as other:
        assert (await other.datasets.list(other.guild)).datasets == []
        with pytest.raises(NotFound):
            await other.datasets.preview(other.guild, "data", 1)


async def test_data_that_exhausts_memory_ends_its_process_alone(
    servers: Servers, guild: str, tmp_path: Path
) -> None:
    limited = {"CHORUS_CURATION_MEMORY": str(160 * 1024**2)}
    async with a_trainer(servers, tmp_path, **limited), a_gateway(servers, guild) as gateway:
        rows = "".join(f'"{n}","n{n}","2026-01-05T10:00:00Z","words {n}","",""\n' for n in range(500_000))
        huge = f"AuthorID,Author,Date,Content,Attachments,Reactions\n{rows}"
        with pytest.raises(InvalidInput) as error:
            await gateway.dataset(huge)
        assert error.value.code == "too_much_data"
        assert (await gateway.dataset()).version == 1
