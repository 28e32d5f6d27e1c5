"""`!privacy delete` on real servers: afterwards a search of all S3 and all NATS finds no word of theirs."""

import asyncio
import io
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chorus.common.bus.connection import Connection
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.consent import ConsentRecord
from chorus.common.contracts.datasets import (
    Basis,
    BuildOptions,
    Dataset,
    Source,
)
from chorus.common.contracts.feedback import Prediction
from chorus.common.contracts.feedback import TestRecord as Kept
from chorus.common.contracts.guild import Exchange, GuildSettings, Persona
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.mining import Mined, MinedPart, mining_key
from chorus.common.contracts.models import ModelRecord, model_key
from chorus.common.contracts.speech import recordings_of
from chorus.common.contracts.storage import CHECKPOINTS, FILES, MODELS
from chorus.common.contracts.topology import CONSENT, FEEDBACK, JOBS, SETTINGS
from chorus.common.contracts.topology import MODELS as MODEL_RECORDS
from chorus.common.contracts.training import JobRecord, JobState, Learned, Parent, TrainJob
from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput, NotPermitted
from chorus.gateway.backends.feedback import BusFeedback
from chorus.gateway.backends.privacy import BusPrivacy
from chorus.gateway.commands.ports import NewDataset
from tests.support.chats import chat
from tests.support.leftovers import places_of
from tests.support.servers import Servers
from tests.support.training import NOBODYS, Gateway, a_trainer, built

PHRASES = ["heliotrope ferry", "nine blue lanterns"]
MARA = str(sum(b"Mara"))  # the id that `chat` gives her
CHAT = chat(
    ("Tom", "What shall we take?"),
    ("Mara", f"The {PHRASES[0]} leaves at nine"),
    ("Tom", "And what do we bring along?"),
    ("Mara", f"{PHRASES[1]} and bread"),
    ("Tom", "Fine, who cooks?"),
    ("Iva", "I can cook something"),
    ("Tom", "Then we have it all"),
)
TXT = f"""{"=" * 62}
Guild: G
Channel: C / general
{"=" * 62}

[12/24/2024 1:05 PM] tom
Where was it that we met?


[12/24/2024 1:06 PM] MARA
Under the {PHRASES[1]}, surely


[12/24/2024 1:07 PM] iva
And I was there as well


[12/24/2024 1:09 PM] tom
So it was


{"=" * 62}
Exported 4 message(s)
{"=" * 62}
"""


async def privacy(servers: Servers, gateway: Gateway) -> BusPrivacy:
    records = await open_bucket(gateway.connection, CONSENT, ConsentRecord)
    return BusPrivacy(gateway.connection, records)


def zipped(**files: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        for name, text in files.items():
            packed.writestr(f"{name}.json", text)
    return data.getvalue()


async def texts_of(dataset: Dataset, servers: Servers) -> str:
    return (await servers.store().get(dataset.examples)).decode()


async def test_nothing_of_a_person_is_left_anywhere(
    gateway: Gateway, servers: Servers, operator: Connection
) -> None:
    guild, store = gateway.guild, servers.store()
    theirs = await privacy(servers, gateway)
    phrases = [f"{phrase} of {guild}" for phrase in PHRASES]  # of this test alone: all guilds are searched
    talk, txt = marked(CHAT, guild), marked(TXT, guild)
    # --- everything that can hold their words ----------------------------------------------------
    chats = await gateway.dataset(talk, "chats", target="Tom")
    await gateway.dataset(talk, "chats", target="Iva")
    names_only = await gateway.dataset(txt, "names", target="tom")
    packed = await gateway.dataset(zipped(a=talk, b=talk), "packed", target="Tom")
    await theirs.opt(guild, MARA, "in", names=[], said_by=MARA)
    mined = await harvested(gateway, servers, talk)
    await gateway.datasets.archive(guild, "chats")
    await gateway.datasets.select(guild, "packed", positive=True)
    job = await gateway.jobs.submit([chats], "main", Hyperparameters(epochs=1), submitted_by="42", key="k")
    await gateway.until(job, JobState.SUCCEEDED)
    await paused(gateway, servers, Learned(dataset=chats.id, examples=chats.examples), phrases[0])
    await its_child_paused(gateway, servers, phrases[0])
    kept = await said_of_models(gateway, phrases)
    exported = await theirs.export(guild, MARA, names=["mara"])
    with zipfile.ZipFile(io.BytesIO(await store.get(exported.archive))) as words:
        assert {"tests.jsonl", "examples.jsonl", "personas.jsonl"} <= set(words.namelist())
        assert words.read("personas.jsonl").decode().count(phrases[0]) == 2
    found = await places_of(phrases, store, operator)
    assert len(found) > 12, "the search finds what is there"
    assert {"samples.json", "state.json"} <= {place.rpartition("/")[2] for place in found}
    assert {f"KV_{SETTINGS} $KV.{SETTINGS}.{guild}", *kept} <= set(found)

    # --- the deletion ----------------------------------------------------------------------------
    told = await theirs.forget(guild, MARA, names=[], said_by=MARA)

    assert await places_of(phrases, store, operator) == []
    assert set(told.datasets) == {"chats@1", "chats@2", names_only.id, packed.id, mined.id}
    assert told.models == ["main@1"]
    assert told.feedback == 5
    assert told.blocked_at is not None
    assert told.blocked_at - datetime.now(UTC) > timedelta(days=6)
    record = await theirs.record(guild, MARA)
    assert record is not None
    assert (record.state, record.forget_since, "mara" in record.names) == ("out", None, True)
    await others_are_still_there(gateway)
    left = {d.name: d for d in (await gateway.datasets.list(guild)).datasets}
    assert {"chats", "names", "packed"} <= set(left)
    assert "cook something" in await texts_of(left["chats"], servers)
    model = await gateway.model()
    assert model is not None
    assert model.versions[0].stale is not None

    # --- any later build -------------------------------------------------------------------------
    again = await gateway.dataset(talk, "later", target="Tom")
    assert again.card.dropped["opted out"] == 2
    for place in await places_of(phrases, store, operator):
        assert place.startswith(f"{FILES}/"), "only in the upload itself, which somebody has just handed over"
    harvests = await open_bucket(gateway.connection, SETTINGS, Mined)
    entry = await harvests.get(mining_key(guild, "mined"))
    assert entry is not None
    assert (entry.value.parts, entry.value.cursors) == ([], {})


async def said_of_models(gateway: Gateway, words: list[str]) -> list[str]:
    """Her test, example and personas; another's test of a model that learned from her; what is not hers.

    Returns the entries with her words.
    """
    exchanges = [
        Exchange(user="Where?", bot=words[0], by=MARA),
        Exchange(user="Where?", bot="There", by="42"),
    ]
    hers, others = Persona(text=f"Say {words[0]}", by=MARA), Persona(text="You are a cat.", by="42")
    personas = {"persona": hers, "personas": {"7": hers, "8": others}}
    settings = await open_bucket(gateway.connection, SETTINGS, GuildSettings)
    for examples in (exchanges, exchanges[::-1]):  # as often as there might be a history
        await settings.change(
            gateway.guild,
            lambda old, e=examples: old.model_copy(update={"examples": e, **personas}),
            initial=GuildSettings(),
        )
    feedback = BusFeedback(await open_bucket(gateway.connection, FEEDBACK, Kept))
    tests = [
        a_test(
            gateway.guild, MARA, "starter", Prediction(input="Where?", prediction="No", expected=words[0])
        ),
        a_test(gateway.guild, "42", "main@1", Prediction(input="Where?", prediction=words[0], expected="Hm")),
        a_test(gateway.guild, "42", "other@1", Prediction(input="Where?", prediction="Oh", expected="Hm")),
    ]
    for test in tests:
        await feedback.keep(test)
    return [f"KV_{FEEDBACK} $KV.{FEEDBACK}.{test.key}" for test in tests[:2]]


async def others_are_still_there(gateway: Gateway) -> None:
    """What is left of what `said_of_models` left."""
    feedback = BusFeedback(await open_bucket(gateway.connection, FEEDBACK, Kept))
    assert [test.model for test in await feedback.tests(gateway.guild, None)] == ["other@1"]
    settings = await (await open_bucket(gateway.connection, SETTINGS, GuildSettings)).get(gateway.guild)
    assert settings is not None
    assert [one.by for one in settings.value.examples] == ["42"]
    assert (settings.value.persona, list(settings.value.personas)) == (None, ["8"])


def a_test(guild: str, person: str, model: str, *wrong: Prediction) -> Kept:
    return Kept(
        guild=guild,
        person=person,
        id=model.partition("@")[0],
        model=model,
        at=now(),
        asked=2,
        judged=2,
        right=1,
        wrong=list(wrong),
    )


async def paused(gateway: Gateway, servers: Servers, data: Learned, words: str, **changes: object) -> None:
    """A job that waits to go on, with a checkpoint that holds words of the data."""
    job = TrainJob(
        job="p" * 10,
        guild=gateway.guild,
        model="other",
        data=[data],
        submitted_by="42",
        submitted_at=now(),
    ).model_copy(update=changes)
    record = JobRecord(state=JobState.PAUSED, job=job, updated_at=now())
    await (await open_bucket(gateway.connection, JOBS, JobRecord)).create(record.key, record)
    key = f"{gateway.guild}/{job.job}/00000007-1/state.json"
    await servers.store().put(CHECKPOINTS, key, words.encode())


async def its_child_paused(gateway: Gateway, servers: Servers, words: str) -> None:
    """The same with other data, but it goes on from the last step of main@1."""

    def with_final(old: ModelRecord) -> ModelRecord:
        final = old.versions[0].model_copy(update={"label": "1-final"})
        return old.model_copy(update={"checkpoints": [*old.checkpoints, final]})

    async with servers.connected("trainer") as connection:
        models = await open_bucket(connection, MODEL_RECORDS, ModelRecord)
        entry = await models.change(model_key(gateway.guild, "main"), with_final)
    parent = Parent(model="main@1-final", manifest=entry.value.versions[0].manifest)
    await paused(
        gateway, servers, Learned(dataset="new@1", examples=NOBODYS), words, job="q" * 10, parent=parent
    )


def marked(text: str, guild: str) -> str:
    """The text with phrases that are in no other test's."""
    for phrase in PHRASES:
        text = text.replace(phrase, f"{phrase} of {guild}")
    return text


async def harvested(gateway: Gateway, servers: Servers, talk: str) -> Dataset:
    """What mining leaves behind: a part, its record, the dataset of it."""
    data = zipped(part=talk)
    file = await servers.store().put_by_hash(FILES, gateway.guild, data)
    source = Source(file=file, filename="mined.zip")
    harvests = await open_bucket(gateway.connection, SETTINGS, Mined)
    part = MinedPart(source=source, messages=7)
    record = Mined(guild=gateway.guild, name="mined", cursors={"10": "1006"}, parts=[part])
    await harvests.create(mining_key(gateway.guild, "mined"), record)
    basis = Basis(way="mined", mode="permitted", reference="R-1")
    people = await privacy(servers, gateway)
    tom = str(sum(b"Tom"))
    await people.opt(gateway.guild, tom, "in", names=[], said_by=tom)
    new = NewDataset("mined", [source], True, "42", basis, BuildOptions(target="Tom"))
    dataset = await built(gateway.datasets.add(gateway.guild, new))
    assert dataset.card.dropped["not opted in"] == 1
    return dataset


async def test_a_model_past_its_deadline_is_blocked(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    guild = gateway.guild
    chosen = await open_bucket(gateway.connection, SETTINGS, GuildSettings)
    await chosen.change(
        guild, lambda old: old.model_copy(update={"forget_within_days": 0}), initial=GuildSettings()
    )
    for text in (chat(("Tom", "Hm?"), ("Iva", "Yes")), chat(("Tom", "Hm?"), ("Mara", "No"))):
        job = await gateway.submit(text, epochs=1)
        await gateway.until(job, JobState.SUCCEEDED)
    models = await open_bucket(gateway.connection, MODEL_RECORDS, ModelRecord)
    key = model_key(guild, "main")
    await models.change(key, lambda old: old.promote(2))

    told = await (await privacy(servers, gateway)).forget(guild, MARA, names=[], said_by=MARA)
    assert told.models == ["main@2"]
    async with a_trainer(servers, tmp_path, "another"), asyncio.timeout(30):
        while (record := await gateway.model()) is None or record.aliases.get("prod") != 1:
            await asyncio.sleep(0.1)
    assert "latest" not in record.aliases
    assert record.versions[1].is_blocked(datetime.now(UTC))
    kept = {found.key.rpartition("/")[0] for found in await servers.store().list(MODELS, f"{guild}/")}
    assert kept == {record.versions[0].manifest.key.rpartition("/")[0]}

    told = await (await privacy(servers, gateway)).forget(guild, str(sum(b"Iva")), names=[], said_by="x")
    assert told.models == ["main@1"]
    async with a_trainer(servers, tmp_path, "third"), asyncio.timeout(30):
        while (after := await chosen.get(guild)) is None or after.value.voice is not None:
            await asyncio.sleep(0.1)
        while await servers.store().list(MODELS, f"{guild}/"):  # the base answers, and its files go
            await asyncio.sleep(0.1)


async def test_who_said_only_what_nobody_answered_takes_no_dataset_along(
    gateway: Gateway, servers: Servers
) -> None:
    talk = chat(("Tom", "Tea?"), ("Iva", "Yes"), ("Una", "Where is everybody?"))
    await gateway.dataset(talk, target="Iva")
    told = await (await privacy(servers, gateway)).forget(
        gateway.guild, str(sum(b"Una")), names=[], said_by="x"
    )
    assert told.datasets == ["data@1"]
    (left,) = (await gateway.datasets.list(gateway.guild)).datasets
    assert (left.id, left.card.examples) == ("data@2", 1)
    assert (await gateway.datasets.preview(gateway.guild, "data", 1)).samples


async def test_nobody_takes_a_strangers_words_along_by_calling_themselves_like_them(
    gateway: Gateway, servers: Servers
) -> None:
    await gateway.dataset(TXT, "names", target="tom")
    nicknamed = chat(("Tom", "Hm?"), ("Eve", "Yes")).replace(
        '"name": "Eve"', '"name": "eve", "nickname": "Mara"'
    )
    await gateway.dataset(nicknamed, "nicks")
    told = await (await privacy(servers, gateway)).forget(
        gateway.guild, str(sum(b"Eve")), names=[], said_by="x"
    )
    assert told.datasets == ["nicks@1"]


async def test_only_ones_own_words_are_exported(gateway: Gateway, servers: Servers) -> None:
    await gateway.dataset(zipped(a=CHAT, b='[{"user": "of 42", "bot": "alone"}]'))
    await said_of_models(gateway, PHRASES)
    people = await privacy(servers, gateway)
    for person, words, others in ((MARA, PHRASES[0], b"of 42"), ("42", "of 42", PHRASES[0].encode())):
        exported = await people.export(gateway.guild, person, names=[])
        packed = zipfile.ZipFile(io.BytesIO(await servers.store().get(exported.archive)))
        data = packed.read("data-1.jsonl")
        assert words.encode() in data
        assert others not in data
        tests, examples = (packed.read(f"{name}.jsonl") for name in ("tests", "examples"))
        assert (b"Oh" in tests, PHRASES[0].encode() in examples) == (person == "42", person == MARA)


async def test_nobody_is_opted_in_by_somebody_else(gateway: Gateway, servers: Servers) -> None:
    people = await privacy(servers, gateway)
    with pytest.raises(NotPermitted) as refused:
        await people.opt(gateway.guild, MARA, "in", names=[], said_by="42")
    assert refused.value.code == "only_oneself"


async def test_who_is_named_is_found_by_their_id(gateway: Gateway, servers: Servers) -> None:
    talk = chat(("Tom", "Hm?"), ("Mara", PHRASES[0]), ("Tom", "Ah"), ("Iva", "Oh"), ("Tom", "Well"))
    await gateway.dataset(talk, target="Tom")
    told = await (await privacy(servers, gateway)).forget(gateway.guild, "mara", names=[], said_by="42")
    assert told.datasets == ["data@1"]
    two = talk.replace('"name": "Iva"', '"name": "iva", "nickname": "Tom"')
    await gateway.dataset(two, "two")
    with pytest.raises(InvalidInput) as several:
        await (await privacy(servers, gateway)).forget(gateway.guild, "Tom", names=[], said_by="42")
    assert several.value.code == "ambiguous_person"


async def test_recordings_that_were_kept_of_somebody_are_handed_over_and_deleted(
    gateway: Gateway, servers: Servers
) -> None:
    store, places = servers.store(), [recordings_of(gateway.guild, person) for person in (MARA, "42")]
    for number, place in enumerate(places):
        await store.put(FILES, f"{place}{number}.ogg", b"OggS")
    people = await privacy(servers, gateway)
    exported = await people.export(gateway.guild, MARA, names=[])
    assert exported.messages == 1
    with zipfile.ZipFile(io.BytesIO(await store.get(exported.archive))) as packed:
        assert packed.namelist() == ["consent.json", "recordings/0.ogg"]
        assert packed.read("recordings/0.ogg") == b"OggS"
    await people.forget(gateway.guild, MARA, names=[], said_by=MARA)
    assert [len(await store.list(FILES, place)) for place in places] == [0, 1]
