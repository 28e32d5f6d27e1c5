"""Datasets on real servers: what is handed over becomes versions, and what becomes of those."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.consent import ConsentRecord
from chorus.common.contracts.datasets import Basis, BuildOptions, DatasetRecord, Example, Source
from chorus.common.contracts.storage import FILES
from chorus.common.contracts.topology import CONSENT, DATASETS
from chorus.common.errors import InvalidInput, NotFound, NotPermitted, TooLarge
from chorus.gateway.commands.ports import NewDataset
from chorus.trainer.datasets.building import Builder, Limits, Plan, curators, unheard
from chorus.trainer.datasets.consent import Ledger
from chorus.trainer.datasets.library import Library
from tests.support.chats import chat
from tests.support.servers import Servers
from tests.support.training import ENDLESS, Gateway, a_gateway, built


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
    text = chat(("Ann", "Tea?"), ("Bob", "Yes, please"), ("Cid", "Milk?"), ("Bob", "No"), ("Ann", "Bye"))
    dataset = await gateway.dataset(text, target="bob")
    lines = (await servers.store().get(dataset.examples)).decode().splitlines()
    (example,) = [Example.model_validate_json(line) for line in lines]
    assert [(turn.role, turn.name, turn.content) for turn in example.messages] == [
        ("user", "u1", "Tea?"),
        ("assistant", None, "Yes, please"),
        ("user", "u3", "Milk?"),
        ("assistant", None, "No"),
    ]
    card = dataset.card
    assert (card.read, card.kept, sum(card.dropped.values())) == (5, 4, 1)
    assert (card.people, card.examples, card.positive) == (3, 1, 1)
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


async def test_what_is_no_name_is_said_so(gateway: Gateway) -> None:
    with pytest.raises(InvalidInput) as error:
        await gateway.datasets.preview(gateway.guild, "../data", 1)
    assert error.value.code == "invalid_dataset_name"


async def test_another_guild_finds_nothing(gateway: Gateway, servers: Servers) -> None:
    await gateway.dataset()
    async with a_gateway(servers, f"{gateway.guild}1") as other:
        assert (await other.datasets.list(other.guild)).datasets == []
        with pytest.raises(NotFound):
            await other.datasets.preview(other.guild, "data", 1)


async def test_data_that_exhausts_memory_ends_its_process_alone(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    rows = "".join(f'"{n}","n{n}","2026-01-05T10:00:00Z","words {n}","",""\n' for n in range(500_000))
    data = f"AuthorID,Author,Date,Content,Attachments,Reactions\n{rows}".encode()
    file = await servers.store().put_by_hash(FILES, gateway.guild, data)
    async with servers.connected("trainer") as connection, curators() as curation:
        library = Library(await open_bucket(connection, DATASETS, DatasetRecord), servers.store())
        ledger = Ledger(await open_bucket(connection, CONSENT, ConsentRecord))
        limits = Limits(memory=160 * 1024**2, seconds=60)
        parts = (library, ledger, servers.store(), curation)
        builder = Builder(*parts, base="starter", folder=tmp_path, limits=limits)
        plan = Plan(
            guild=gateway.guild,
            name="huge",
            contributor="42",
            label=True,
            basis=Basis(),
            options=BuildOptions(),
            sources=(Source(file=file, filename="huge.csv"),),
        )
        with pytest.raises(TooLarge) as error:
            await builder.build(plan, unheard)
        assert error.value.code == "too_much_data"
        hurried = Builder(*parts, base="starter", folder=tmp_path, limits=Limits(2**31, 0.1))
        with pytest.raises(TooLarge) as late:
            await hurried.build(plan, unheard)
        assert late.value.code == "build_too_long"
        assert await library.records(gateway.guild) == []
        assert list(tmp_path.iterdir()) == [], "nothing half-made is left"


async def test_the_same_examples_of_other_data_are_another_version(
    gateway: Gateway, servers: Servers
) -> None:
    talk = [("Ann", "Tea?"), ("Bob", "Yes, please")]
    longer = chat(*talk, ("Cid", "Nobody answers me"))
    first = await gateway.dataset(chat(*talk), target="Bob")
    more = await gateway.dataset(longer, target="Bob")
    store = servers.store()
    assert await store.get(first.examples) == await store.get(more.examples)
    assert (more.version, more.card.read) == (2, 3)
    for dataset in (first, more):
        for ref in dataset.objects():
            await store.get(ref)
    assert await gateway.dataset(longer, target="Bob") == more
    stored = await store.list("datasets", f"{gateway.guild}/")
    assert len(stored) == 6, "what was made twice is there once"


async def test_what_a_source_says_of_its_build_holds_for_later_builds(gateway: Gateway) -> None:
    parameters = json.dumps(
        {
            "model": "x",
            "type_fine_tune": "lora",
            "max_length": 512,
            "preprocessor_data": {"DiscordChatExporter": {"username": "Tom"}},
        }
    )
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        packed.writestr("Dataset_1_Talk/parameters.json", parameters)
        text = chat(("Tom", "a"), ("Ann", "b"), ("Tom", "c"), ("Ann", "d"), ("Tom", "e"), ("Ann", "f"))
        packed.writestr("Dataset_1_Talk/DiscordChatExporter/a.json", text)
    dataset = await gateway.dataset(data.getvalue())
    assert (dataset.options.target, dataset.options.max_tokens) == ("Tom", 512)
    again = await built(
        gateway.datasets.rebuild(
            gateway.guild, "data", dataset.options.model_copy(update={"merge_minutes": 0})
        )
    )
    assert again.options.target == "Tom"
