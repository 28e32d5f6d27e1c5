"""The gateway, put together: the only file that names adapters."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from prometheus_client import CollectorRegistry

from chorus.common.bus.connection import Connection, connect
from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.cards import JobCard
from chorus.common.contracts.consent import ConsentRecord
from chorus.common.contracts.feedback import Opinion, ReplyRecord, TestRecord
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.identify import Identifying
from chorus.common.contracts.leases import Lease
from chorus.common.contracts.mining import Mined
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.quotas import Used
from chorus.common.contracts.topology import (
    CARDS,
    CONSENT,
    FEEDBACK,
    IDENTIFY,
    JOBS,
    LEASES,
    MODELS,
    OPINIONS,
    QUOTAS,
    REPLIES,
    SETTINGS,
    UNFINISHED,
)
from chorus.common.contracts.training import JobRecord
from chorus.common.contracts.unfinished import Unfinished
from chorus.common.errors import Misconfigured
from chorus.common.objects import open_store
from chorus.common.service import EX_CONFIG, EX_NOPERM, Service
from chorus.common.telemetry.metrics import BusMetrics, ObjectMetrics, watch_disk
from chorus.gateway.backends.answers import BusAnswers
from chorus.gateway.backends.cards import BusCards
from chorus.gateway.backends.datasets import BusDatasets
from chorus.gateway.backends.feedback import BusFeedback
from chorus.gateway.backends.gpu import gpu_news
from chorus.gateway.backends.guilds import BusGuilds
from chorus.gateway.backends.harvests import BusHarvests
from chorus.gateway.backends.identify import BusLanes
from chorus.gateway.backends.jobs import BusJobs
from chorus.gateway.backends.models import BusModels
from chorus.gateway.backends.objects import S3Objects
from chorus.gateway.backends.privacy import BusPrivacy
from chorus.gateway.backends.quotas import BusQuotas
from chorus.gateway.backends.replies import BusReplies
from chorus.gateway.backends.speech import BusSpeech
from chorus.gateway.backends.unfinished import BusUnfinished
from chorus.gateway.commands.context import Chorus, Trust
from chorus.gateway.commands.replies import problem
from chorus.gateway.frontends.cli.once import run_once
from chorus.gateway.frontends.console.repl import announce, converse
from chorus.gateway.metrics import CommandMetrics, DiscordMetrics
from chorus.gateway.settings import GatewaySettings

Tell = Callable[[str, bool], Awaitable[None]]
"""Says when answers have to wait, and, where that is true, that they are back."""

BUS_AWAY_WITHIN = 2.0  # seconds of an outage until people are told of it

log = structlog.get_logger()


async def build(service: Service, settings: GatewaySettings, words: Sequence[str] = ()) -> None:
    """Connect the commands to the bus, and the front-ends to the commands.

    With `words`, a command and what it takes, that alone is run, and the process ends.
    """
    if not words and not settings.console and settings.discord_token is None:
        raise Misconfigured(
            "No front-end is switched on. "
            "Set CHORUS_DISCORD_TOKEN to a bot's token, or CHORUS_CONSOLE to true."
        )
    connection = await service.stack.enter_async_context(
        connect(
            settings.nats_url,
            user="gateway",
            nkey_file=settings.nats_nkey_file,
            ca_file=settings.nats_ca,
            on_closed=service.fail,
            give_up_after=BUS_AWAY_WITHIN,
            metrics=BusMetrics(service.registry),
        )
    )
    service.health.checks["nats"] = lambda: None if connection.is_connected else "not connected"
    watch_disk(service.registry, settings.cache)
    chorus = await all_of(connection, settings, service.registry)
    if words:
        service.background("command", _once(service, settings, chorus, words))
        return
    tells: list[Tell] = []
    if settings.console:
        service.background("console", _in_the_terminal(service, settings, chorus))
        tells.append(_tell_in_the_terminal)
    if settings.discord_token:
        lanes = BusLanes(await open_bucket(connection, IDENTIFY, Identifying), service.instance)
        tells.append(join_discord(service, settings, chorus, lanes))
    service.background("turns", _tell_of_turns(await open_bucket(connection, LEASES, Lease), tells))


async def all_of(
    connection: Connection, settings: GatewaySettings, registry: CollectorRegistry | None = None
) -> Chorus:
    """What commands may ask for, over the bus and S3."""
    counts = registry or CollectorRegistry()
    store = open_store(settings, settings.public_s3_endpoint, ObjectMetrics(counts))
    guilds = await open_bucket(connection, SETTINGS, GuildSettings)
    records = await open_bucket(connection, MODELS, ModelRecord)
    return Chorus(
        datasets=BusDatasets(connection, store),
        jobs=BusJobs(connection, await open_bucket(connection, JOBS, JobRecord)),
        cards=BusCards(await open_bucket(connection, CARDS, JobCard)),
        unfinished=BusUnfinished(await open_bucket(connection, UNFINISHED, Unfinished)),
        models=BusModels(connection, records, guilds, store),
        answers=BusAnswers(connection, records),
        speech=BusSpeech(connection, store, settings.max_upload),
        privacy=BusPrivacy(connection, await open_bucket(connection, CONSENT, ConsentRecord)),
        guilds=BusGuilds(guilds),
        objects=S3Objects(store),
        harvests=BusHarvests(await open_bucket(connection, SETTINGS, Mined), store),
        feedback=BusFeedback(await open_bucket(connection, FEEDBACK, TestRecord)),
        quotas=BusQuotas(await open_bucket(connection, QUOTAS, Used)),
        replies=BusReplies(
            await open_bucket(connection, REPLIES, ReplyRecord),
            await open_bucket(connection, OPINIONS, Opinion),
        ),
        metrics=CommandMetrics(counts),
    )


async def _in_the_terminal(service: Service, settings: GatewaySettings, chorus: Chorus) -> None:
    """The console; its end is the end of the process."""
    service.exit_code = await converse(
        chorus, _trust(settings), max_upload=settings.max_local_upload, history=settings.cache / "history"
    )
    service.stopping.set()


async def _once(service: Service, settings: GatewaySettings, chorus: Chorus, words: Sequence[str]) -> None:
    """One command; its end is the end of the process, and an end before that is a failure."""
    service.exit_code = 1
    service.exit_code = await run_once(
        chorus,
        _trust(settings),
        words,
        max_upload=settings.max_local_upload,
        history=settings.cache / "history",
    )
    service.stopping.set()


def _trust(settings: GatewaySettings) -> Trust:
    return Trust(settings.train_on_messages, settings.train_permission or None, "console")


def join_discord(service: Service, settings: GatewaySettings, chorus: Chorus, lanes: BusLanes) -> Tell:
    """Discord, beside the console or alone. Beside it, a refusal is told there, and the console goes on."""
    from chorus.gateway.frontends.discord.frontend import NO_INTENT, Discord  # half a second

    token = settings.discord_token.get_secret_value() if settings.discord_token else ""
    tell = announce if settings.console else _nobody_looks
    discord = Discord(chorus, settings, tell, lanes, DiscordMetrics(service.registry))
    if not settings.console:
        service.health.checks["discord"] = discord.trouble

    async def stay() -> None:
        try:
            await discord.stay(token)
        except Misconfigured as error:
            if settings.console:
                log.warning("not on Discord", reason=error.message)
                tell(problem(error).line)
            else:
                service.fail(error.message, EX_NOPERM if error.code == NO_INTENT else EX_CONFIG)

    service.background("discord", stay())
    return discord.tell


async def _tell_of_turns(leases: Bucket[Lease], tells: Sequence[Tell]) -> None:
    """Say it where people talk, when a training has the GPU and when answers are back."""
    async for text, back in gpu_news(leases):
        for tell in tells:
            await tell(text, back)


async def _tell_in_the_terminal(text: str, _back: bool) -> None:
    announce(text)


def _nobody_looks(_: str) -> None:
    """There is no terminal; the log has it."""
