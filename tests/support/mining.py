"""A server of the double that is mined into real NATS and S3. The trainer is played, up to its import."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from chorus.common.bus.discovery import Identity
from chorus.common.bus.replies import ReplyStream
from chorus.common.bus.responder import Responder
from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.consent import ConsentRecord, consent_key
from chorus.common.contracts.datasets import (
    CANCEL,
    IMPORT,
    LIST,
    Building,
    Card,
    Dataset,
    Datasets,
    Histogram,
    Import,
    Imported,
    ListDatasets,
)
from chorus.common.contracts.mining import Mined
from chorus.common.contracts.storage import FILES, ObjectRef
from chorus.common.contracts.topology import CONSENT, SETTINGS
from chorus.common.contracts.wire import now
from chorus.common.objects import ObjectStore
from chorus.common.telemetry.metrics import RequestMetrics
from chorus.gateway.backends.datasets import BusDatasets
from chorus.gateway.backends.harvests import BusHarvests
from chorus.gateway.backends.privacy import BusPrivacy
from tests.support.discord.double import running_discord
from tests.support.discord.history import History
from tests.support.discord.place import Place
from tests.support.discord.world import Channel, Message, User
from tests.support.servers import Servers

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 0x3FFFFF  # bits of an id below its time
PERMITTED = {"train_on_messages": "permitted", "train_permission": "DISCORD-1", "discord_edit_every": 0.1}
OBJECT = ObjectRef(bucket="datasets", key="1/x", size=1, sha256="0" * 64)


@dataclass
class Mining:
    """A server of the double whose channels are mined, and the trainer that gets what was mined."""

    place: Place
    store: ObjectStore
    records: Bucket[Mined]
    consents: Bucket[ConsentRecord]
    imports: list[Import] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ada, self.bob = self.place.discord.person("ada"), self.place.discord.person("bob")
        self._at = BEGAN

    @property
    def history(self) -> History:
        return self.place.discord.rest.history

    @property
    def read(self) -> list[tuple[str, str]]:
        """What was read for it: a channel's name, and after which id; not the look for what was missed."""
        return [(name, after) for name, after in self.history.asked if after == "0" or int(after) & COUNT]

    async def opt(self, person: User, state: str) -> None:
        key = consent_key(self.place.guild.id, person.id)
        record = ConsentRecord.model_validate(
            {
                "guild": self.place.guild.id,
                "person": person.id,
                "state": state,
                "said_by": person.id,
                "at": now(),
            }
        )
        await self.consents.change(key, lambda _: record, initial=record)

    def said(self, channel: Channel, author: User, text: str, **more: Any) -> Message:
        self._at += timedelta(minutes=1)
        return self.place.discord.once(channel, author, text, at=self._at, **more)

    async def mine(self, line: str = "!mine", ends: str = "Train on it", **others: object) -> str:
        """Have it mined, and wait until the answer says so."""
        before = len(self.place.discord.said(self.place.channel))
        async with self.place.present(**{**PERMITTED, **others}):
            await self.place.ask(line, self.place.admin)
            return (await self.until(ends, before)).content

    async def until(self, words: str, before: int = 0) -> Message:
        """Wait until the newest message says this; of those `before`, none counts."""
        said = self.place.discord.said
        return await self.place.discord.until(
            lambda: next((m for m in said(self.place.channel)[before:][-1:] if words in m.content), None)
        )

    async def exports(self) -> list[dict[str, Any]]:
        """The files in the parts that were imported last."""
        found = []
        for source in self.imports[-1].files:
            with zipfile.ZipFile(io.BytesIO(await self.store.get(source.file))) as archive:
                found += [json.loads(archive.read(name)) for name in archive.namelist()]
        return found

    async def stored(self) -> set[str]:
        """Keys of all that was uploaded for this server."""
        return {found.key for found in await self.store.list(FILES, f"{self.place.guild.id}/")}

    async def ids(self) -> list[str]:
        return sorted(message["id"] for export in await self.exports() for message in export["messages"])

    async def list(self, _: ListDatasets) -> Datasets:
        """The trainer's part: nothing is there before."""
        return Datasets(datasets=[])

    async def take(self, question: Import, replies: ReplyStream) -> None:
        """The trainer's part."""
        self.imports.append(question)
        await replies.send(Building(stage="reading", done=1, total=2))
        lengths = Histogram(edges=[32], counts=[1, 0])
        card = Card(
            format="Discord", read=1, kept=1, dropped={}, examples=1, positive=1, tokens=9, lengths=lengths
        )
        dataset = Dataset(
            guild=question.guild, name=question.name, version=len(self.imports), examples=OBJECT,
            records=OBJECT, people=OBJECT, card=card, sources=question.files, basis=question.basis,
            contributor=question.contributor, created_at=now(), options=question.options,
        )  # fmt: skip
        await replies.send(Imported(dataset=dataset))


@asynccontextmanager
async def a_mining(servers: Servers) -> AsyncIterator[Mining]:
    """All of it, with `ada` opted in."""
    async with AsyncExitStack() as stack:
        discord = await stack.enter_async_context(running_discord())
        gateway = await stack.enter_async_context(servers.connected("gateway"))
        trainer = await stack.enter_async_context(servers.connected("trainer"))
        place, store = Place(discord), servers.store()
        place.guild.admins.append(discord.bot)
        records = await open_bucket(gateway, SETTINGS, Mined)
        consents = await open_bucket(trainer, CONSENT, ConsentRecord)
        mining = Mining(place, store, records, consents)
        place.world.datasets = BusDatasets(gateway, store)  # type: ignore[assignment]
        known = await open_bucket(gateway, CONSENT, ConsentRecord)
        place.world.privacy = BusPrivacy(gateway, known)  # type: ignore[assignment]
        place.world.harvests = BusHarvests(records, store)  # type: ignore[assignment]
        identity = Identity("trainer", "abc", "1.0.0", "For tests")
        metrics = RequestMetrics(CollectorRegistry())
        responder = Responder(trainer, identity, metrics, slots=2, backlog=2, grace=1.0)
        responder.answer("list", LIST, ListDatasets, mining.list)
        responder.stream("import", IMPORT, Import, mining.take, cancel=CANCEL)
        await stack.enter_async_context(responder)
        await mining.opt(mining.ada, "in")
        yield mining
