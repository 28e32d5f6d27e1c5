"""Each service's rights in the object store, on a real one: what is granted works, all else is refused."""

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from yarl import URL

from chorus.common.bus.calls import ask
from chorus.common.contracts.datasets import IMPORT
from chorus.common.contracts.permissions import USERS
from chorus.common.contracts.policies import STORE_USERS, Rights
from chorus.common.contracts.storage import BUCKETS, CHECKPOINTS, FILES, MODELS, ObjectRef
from chorus.common.contracts.wire import Request, Wire
from chorus.common.errors import ChorusError, Misconfigured, NotFound, NotPermitted
from chorus.common.objects import ObjectStore, open_store
from chorus.common.provision import ProvisionSettings, provision
from tests.support.servers import Servers

Deed = Callable[[ObjectStore, str], Awaitable[object]]

NOWHERE = "not-of-chorus"
"""A bucket of somebody else's, on the same server."""


def missing(bucket: str) -> ObjectRef:
    return ObjectRef(bucket=bucket, key="1/missing", size=1, sha256="0" * 64)


DEEDS: dict[str, Deed] = {
    "read": lambda store, bucket: store.get(missing(bucket)),
    "list": lambda store, bucket: store.list(bucket, "1/"),
    "write": lambda store, bucket: store.put(bucket, "1/written", b"x"),
    "write in parts": lambda store, bucket: store.put(bucket, "1/large", bytes(6_000_000)),
    "delete": lambda store, bucket: store.delete(bucket, ["1/missing"]),
    "make": lambda store, bucket: store.ensure_buckets((bucket,)),
}


def allowed(rights: Rights, deed: str, bucket: str) -> bool:
    granted = {
        "read": rights.reads,
        "list": rights.reads + rights.makes,
        "write": rights.writes,
        "write in parts": rights.writes,
        "delete": rights.deletes,
        "make": rights.makes + rights.reads,  # what is there needs no making: it is looked for first
    }
    return bucket in granted[deed]


@pytest.mark.parametrize("user", STORE_USERS)
async def test_what_is_granted_works_and_all_else_is_refused_with_a_reason(
    servers: Servers, user: str
) -> None:
    store = open_store(servers.settings(user))
    for bucket in (*BUCKETS, NOWHERE):
        for name, deed in DEEDS.items():
            told = await outcome(deed, store, bucket)
            if allowed(STORE_USERS[user], name, bucket):
                assert not isinstance(told, NotPermitted), f"{user} {name} {bucket}: {told}"
            else:
                assert isinstance(told, NotPermitted), f"{user} {name} {bucket}: {told}"
                assert told.code == "storage_not_permitted"
                assert f"the bucket {bucket}: whoever runs Chorus has to grant it" in told.message


async def outcome(deed: Deed, store: ObjectStore, bucket: str) -> ChorusError | None:
    """How it was refused, or None; what is merely not there was looked for."""
    try:
        await deed(store, bucket)
    except NotFound:
        return None
    except ChorusError as error:
        return error
    return None


class Errand(Request):
    """Asks a service for something that it has to store."""


class Stored(Wire):
    """It is."""


async def test_whoever_asked_a_service_gets_the_reason_of_the_refusal(servers: Servers, guild: str) -> None:
    narrow = open_store(servers.settings("inference"))

    async def store(_: Errand) -> Stored:
        await narrow.put(FILES, f"{guild}/x", b"x")
        return Stored()

    async with (
        servers.serving("trainer", lambda responder: responder.answer("store", IMPORT, Errand, store)),
        servers.connected("gateway") as client,
    ):
        with pytest.raises(NotPermitted) as refused:
            await ask(client, IMPORT, Errand(), Stored)
    assert refused.value.code == "storage_not_permitted"
    assert "does not permit this in the bucket files" in refused.value.message


async def test_a_service_cannot_open_another_ones_objects_with_its_own_secret(servers: Servers) -> None:
    mixed = servers.settings("trainer").model_copy(
        update={"s3_secret_key": servers.settings("speech").s3_secret_key}
    )
    with pytest.raises(Misconfigured, match="CHORUS_S3_SECRET_KEY"):
        await open_store(mixed).put(MODELS, "1/x", b"x")


async def test_a_link_opens_what_the_gateway_may_read_and_nothing_else(servers: Servers, guild: str) -> None:
    settings = servers.settings("gateway")
    gateway = open_store(settings, settings.s3_endpoint)
    async with aiohttp.ClientSession() as session:
        for bucket, status in ((MODELS, 200), (FILES, 200), (CHECKPOINTS, 403)):
            ref = await servers.store().put(bucket, f"{guild}/linked", b"x")
            link = gateway.link(ref, "linked", 60)
            assert link is not None
            async with session.get(URL(link, encoded=True)) as response:
                assert response.status == status, bucket


async def test_provisioning_with_a_services_credentials_says_which_setting_to_mend(servers: Servers) -> None:
    settings = servers.settings("provisioner").model_dump()
    for name in ("s3_access_key", "s3_secret_key"):
        settings[name] = getattr(servers.settings("inference"), name)
    with pytest.raises(Misconfigured, match="CHORUS_S3_ACCESS_KEY"):
        await provision(ProvisionSettings.model_validate(settings))


async def test_nobody_is_let_in_by_what_stands_in_the_servers_environment(servers: Servers) -> None:
    """`weed` takes AWS's variables for those of somebody who may do all."""
    assert servers.s3.program.environment["AWS_ACCESS_KEY_ID"] == ""
    assert servers.s3.program.environment["AWS_SECRET_ACCESS_KEY"] == ""


def test_users_of_the_object_store_are_those_of_the_bus() -> None:
    assert set(STORE_USERS) == set(USERS)


def test_who_copies_may_read_all_and_only_who_restores_may_write_models() -> None:
    assert [user for user, rights in STORE_USERS.items() if MODELS in rights.writes] == [
        "trainer",
        "provisioner",
    ]
    assert (STORE_USERS["operator"].reads, STORE_USERS["operator"].writes) == (BUCKETS, (FILES,))


def test_nobody_but_the_trainer_deletes_models() -> None:
    assert [user for user, rights in STORE_USERS.items() if MODELS in rights.deletes] == ["trainer"]
    assert [user for user, rights in STORE_USERS.items() if FILES in rights.deletes] == ["gateway", "trainer"]
