"""The gateway, put together: the only file that names adapters."""

import structlog

from chorus.common.bus.connection import connect
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.topology import JOBS, MODELS, SETTINGS
from chorus.common.contracts.training import JobRecord
from chorus.common.errors import Misconfigured
from chorus.common.objects import open_store
from chorus.common.service import EX_CONFIG, Service
from chorus.gateway.backends.answers import BusAnswers
from chorus.gateway.backends.datasets import BusDatasets
from chorus.gateway.backends.jobs import BusJobs
from chorus.gateway.backends.models import BusModels
from chorus.gateway.backends.speech import BusSpeech
from chorus.gateway.commands.context import Chorus
from chorus.gateway.frontends.console.repl import announce, converse
from chorus.gateway.settings import GatewaySettings

log = structlog.get_logger()


async def build(service: Service, settings: GatewaySettings) -> None:
    """Connect the commands to the bus, and the front-ends to the commands."""
    if not settings.console and settings.discord_token is None:
        raise Misconfigured(
            "No front-end is switched on. "
            "Set CHORUS_DISCORD_TOKEN to a bot's token, or CHORUS_CONSOLE to true."
        )
    connection = await service.stack.enter_async_context(
        connect(settings.nats_url, user="gateway", nkey_file=settings.nats_nkey_file, on_closed=service.fail)
    )
    service.health.checks["nats"] = lambda: None if connection.is_connected else "not connected"
    store = open_store(settings)
    models = await open_bucket(connection, MODELS, ModelRecord)
    chorus = Chorus(
        datasets=BusDatasets(connection, store),
        jobs=BusJobs(connection, await open_bucket(connection, JOBS, JobRecord)),
        models=BusModels(models, await open_bucket(connection, SETTINGS, GuildSettings)),
        answers=BusAnswers(connection),
        speech=BusSpeech(connection, store),
    )
    if settings.console:
        service.background("console", _in_the_terminal(service, settings, chorus))
    if settings.discord_token:
        _join_discord(service, settings, chorus, settings.discord_token.get_secret_value())


async def _in_the_terminal(service: Service, settings: GatewaySettings, chorus: Chorus) -> None:
    """The console; its end is the end of the process."""
    service.exit_code = await converse(
        chorus, max_upload=settings.max_upload, history=settings.cache / "history"
    )
    service.stopping.set()


def _join_discord(service: Service, settings: GatewaySettings, chorus: Chorus, token: str) -> None:
    """Discord, beside the console or alone. Beside it, a refusal is told there, and the console goes on."""
    from chorus.gateway.frontends.discord.frontend import Discord  # half a second, for those who want it

    tell = announce if settings.console else _nobody_looks
    discord = Discord(chorus, settings, tell)
    if not settings.console:
        service.health.checks["discord"] = discord.trouble

    async def stay() -> None:
        try:
            await discord.stay(token)
        except Misconfigured as error:
            if settings.console:
                log.warning("not on Discord", reason=error.message)
                tell(f"✗ {error.message} [{error.code}]")
            else:
                service.fail(error.message, EX_CONFIG)

    service.background("discord", stay())


def _nobody_looks(_: str) -> None:
    """There is no terminal; the log has it."""
