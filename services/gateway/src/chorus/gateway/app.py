"""The gateway, put together: the only file that names adapters."""

from chorus.common.bus.connection import connect
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.topology import JOBS, MODELS, SETTINGS
from chorus.common.contracts.training import JobRecord
from chorus.common.errors import Misconfigured
from chorus.common.objects import open_store
from chorus.common.service import Service
from chorus.gateway.backends.answers import BusAnswers
from chorus.gateway.backends.datasets import BusDatasets
from chorus.gateway.backends.jobs import BusJobs
from chorus.gateway.backends.models import BusModels
from chorus.gateway.commands.context import Chorus
from chorus.gateway.frontends.console.repl import converse
from chorus.gateway.settings import GatewaySettings


async def build(service: Service, settings: GatewaySettings) -> None:
    """Connect the commands to the bus, and the front-ends to the commands."""
    if not settings.console:
        raise Misconfigured("CHORUS_CONSOLE: no front-end is switched on. Set it to true.")
    connection = await service.stack.enter_async_context(
        connect(settings.nats_url, user="gateway", nkey_file=settings.nats_nkey_file, on_closed=service.fail)
    )
    service.health.checks["nats"] = lambda: None if connection.is_connected else "not connected"
    models = await open_bucket(connection, MODELS, ModelRecord)
    chorus = Chorus(
        datasets=BusDatasets(connection, open_store(settings)),
        jobs=BusJobs(connection, await open_bucket(connection, JOBS, JobRecord)),
        models=BusModels(models, await open_bucket(connection, SETTINGS, GuildSettings)),
        answers=BusAnswers(connection),
    )

    async def console() -> None:
        service.exit_code = await converse(
            chorus, max_upload=settings.max_upload, history=settings.cache / "history"
        )
        service.stopping.set()

    service.background("console", console())
