"""`chorus provision`: make the streams, consumers and buckets as `contracts.topology` says.

The only code that creates anything on the servers, so the only one with the right to. Running it again
changes nothing; after an upgrade it updates what has changed.
"""

import asyncio
from contextlib import AsyncExitStack

import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, StreamConfig
from nats.js.errors import BadRequestError
from pydantic import Field

from chorus.common.bus.connection import connect
from chorus.common.contracts.storage import BUCKETS
from chorus.common.contracts.topology import KV_BUCKETS, STREAMS, TRAIN, trainer_consumer
from chorus.common.errors import ChorusError, Misconfigured, NotPermitted, Unavailable
from chorus.common.objects import open_store
from chorus.common.settings import CommonSettings

STORE_WITHIN = 30.0  # seconds for the object store to come up
NAME_IN_USE = 10058  # JetStream's error code for a stream that is there, and configured otherwise

log = structlog.get_logger()


class ProvisionSettings(CommonSettings):
    """What the streams and buckets should be like here."""

    nats_replicas: int = Field(default=1, ge=1, le=5)
    """Servers that keep each stream; 3 on a cluster."""
    ack_wait: float = Field(default=60.0, ge=1)
    """Seconds that a silent worker keeps its job."""


async def provision(settings: ProvisionSettings) -> None:
    """Bring NATS and S3 to the state that this version of Chorus needs."""
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(
            connect(
                settings.nats_url,
                user="provisioner",
                nkey_file=settings.nats_nkey_file,
                ca_file=settings.nats_ca,
                on_closed=lambda reason: log.error(reason),
            )
        )
        js = connection.jetstream()
        try:
            for config in (*STREAMS, *KV_BUCKETS):
                await _ensure_stream(js, config.evolve(num_replicas=settings.nats_replicas))
            await _ensure_consumer(js, TRAIN, trainer_consumer(settings.ack_wait))
        except NatsError as error:
            raise Unavailable(f"JetStream refused to be provisioned: {error}.") from error
    await _ensure_buckets(settings)


async def _ensure_stream(js: JetStreamContext, config: StreamConfig) -> None:
    try:
        await js.add_stream(config)
    except BadRequestError as error:
        if error.err_code != NAME_IN_USE:
            raise
        await js.update_stream(config)
        log.info("stream updated", stream=config.name)


async def _ensure_consumer(js: JetStreamContext, stream: str, config: ConsumerConfig) -> None:
    await js.add_consumer(stream, config)  # creates, or updates what differs


async def _ensure_buckets(settings: ProvisionSettings) -> None:
    """The object store may still be starting: wait for it a while."""
    store = open_store(settings)
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + STORE_WITHIN
    while True:
        try:
            return await store.ensure_buckets(BUCKETS)
        except Misconfigured:
            raise
        except NotPermitted as refused:  # to a question without a body S3 says no more than this
            raise Misconfigured(f"CHORUS_S3_ACCESS_KEY, CHORUS_S3_SECRET_KEY: {refused}") from None
        except ChorusError:
            if loop.time() > give_up_at:
                raise
            await asyncio.sleep(0.5)
