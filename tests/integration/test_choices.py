"""What a server has chosen, in real NATS: the deadline after a deletion, and the model that answers."""

from datetime import timedelta

import pytest

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import BaseModelId, ModelRecord, ModelVersion, Stale, model_key
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.topology import MODELS, SETTINGS
from chorus.common.contracts.wire import now
from chorus.common.errors import NotFound
from chorus.gateway.backends.guilds import BusGuilds
from chorus.gateway.backends.models import BusModels
from tests.support.servers import Servers

SHA256 = "0" * 64


def version(number: int, blocked: timedelta | None) -> ModelVersion:
    return ModelVersion(
        version=number,
        manifest=ObjectRef(bucket="models", key="x", size=1, sha256=SHA256),
        base=BaseModelId(name="starter", fingerprint=SHA256),
        dataset="club@1",
        job="k7f3m2qxab",
        created_at=now(),
        stale=None if blocked is None else Stale(since=now(), blocked_at=now() + blocked),
    )


async def test_the_deadline_is_kept_beside_what_else_was_chosen(servers: Servers, guild: str) -> None:
    async with servers.connected("gateway") as connection:
        bucket = await open_bucket(connection, SETTINGS, GuildSettings)
        await bucket.create(guild, GuildSettings(voice="main"))
        guilds = BusGuilds(bucket)
        assert (await guilds.settings(guild)).forget_within == timedelta(days=7)
        await guilds.set_deadline(guild, 0)
        chosen = await guilds.settings(guild)
    assert (chosen.voice, chosen.forget_within) == ("main", timedelta(0))


async def test_a_model_that_is_blocked_cannot_be_chosen_and_a_stale_one_can(
    servers: Servers, guild: str
) -> None:
    versions = [version(1, timedelta(0)), version(2, timedelta(days=7)), version(3, None)]
    async with servers.connected("gateway") as gateway, servers.connected("trainer") as trainer:
        records = await open_bucket(trainer, MODELS, ModelRecord)
        record = ModelRecord(guild=guild, name="main", versions=versions, aliases={"prod": 3})
        await records.create(model_key(guild, "main"), record)
        models = BusModels(
            gateway,
            await open_bucket(gateway, MODELS, ModelRecord),
            await open_bucket(gateway, SETTINGS, GuildSettings),
            servers.store(),
        )
        with pytest.raises(NotFound) as error:
            await models.use(guild, "main", "1")
        assert error.value.code == "model_withdrawn"
        assert (await models.all(guild))[0].aliases == {"prod": 3}
        assert await models.use(guild, "main", "2") == "main@2"
