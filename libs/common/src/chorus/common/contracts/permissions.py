"""Which NATS user may do what: least privilege, from the first day, on one machine too.

A service may subscribe only to what it serves and to its own inboxes, so that nobody reads another's
replies; only the provisioner makes streams and buckets. Requests are served through queue groups only
(`… q`), by their owner alone: a plain subscription that would listen in on them is denied.

Answering is allowed by `allow_responses`: once asked, to whatever subject the asker has named. That those are
inboxes NATS does not check, so services do (`bus.inboxes`). And whoever may answer hears nothing that they
may publish themselves: it would let them name a subject, and then write there.
"""

from dataclasses import dataclass, field

from chorus.common.contracts import consent, datasets, generation, merging, speech, training
from chorus.common.contracts.topology import (
    CARDS,
    CONSENT,
    DATASETS,
    DLQ,
    EVENTS,
    FEEDBACK,
    IDENTIFY,
    JOBS,
    KV_BUCKETS,
    LEASES,
    MODELS,
    OPINIONS,
    QUOTAS,
    REPLIES,
    SETTINGS,
    STREAMS,
    TRAIN,
    TRAINER_CONSUMER,
    UNFINISHED,
)

QUEUE_GROUP = "q"

DATA = (
    datasets.IMPORT,
    datasets.BUILD,
    datasets.LIST,
    datasets.PREVIEW,
    datasets.SELECT,
    datasets.ARCHIVE,
    datasets.DELETE,
    consent.SET,
    consent.FORGET,
    consent.EXPORT,
)
"""What the trainer answers about data."""

ASKING = tuple(
    subject + rest
    for subject, rests in (
        (generation.GENERATE, ("", ".*")),  # of the default base, and of each by name
        (generation.SCORE, ("", ".*")),
        (generation.SERVED, ("",)),
    )
    for rest in rests
)
"""What inference answers."""

DISCOVERY = tuple(f"$SRV.{verb}{rest}" for verb in ("PING", "INFO", "STATS") for rest in ("", ".>"))


@dataclass(frozen=True)
class Responses:
    """How many replies to one request, and for how long (NATS duration)."""

    max: int
    ttl: str


@dataclass(frozen=True)
class Permissions:
    """What one user may publish and subscribe to. Inboxes are `_INBOX.<user>.>`."""

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    responses: Responses | None = field(default=None)


def _read(bucket: str) -> tuple[str, ...]:
    """Get a key's value, and list the keys."""
    return (f"$JS.API.STREAM.INFO.KV_{bucket}", f"$JS.API.STREAM.MSG.GET.KV_{bucket}")


def _write(bucket: str) -> tuple[str, ...]:
    return (*_read(bucket), f"$KV.{bucket}.>")


USERS = {
    "gateway": Permissions(
        publish=(
            f"{training.JOBS_SUBJECT}.*",
            f"{training.CONTROL_SUBJECT}.*",
            training.CHECK,
            merging.MERGE,
            f"{merging.CANCEL}.*",
            f"$JS.API.STREAM.MSG.GET.{EVENTS}",
            *DATA,
            f"{datasets.CANCEL}.*",
            *ASKING,
            f"{generation.CANCEL}.*",
            speech.TTS,
            speech.STT,
            speech.VOICES,
            f"{speech.CANCEL}.*",
            *_write(JOBS),
            *_write(MODELS),
            *_write(SETTINGS),
            *_write(FEEDBACK),
            *_write(QUOTAS),
            *_write(REPLIES),
            *_write(OPINIONS),
            *_write(CARDS),
            *_write(UNFINISHED),
            *_write(IDENTIFY),
            *_read(LEASES),
            *_read(CONSENT),
        ),
        subscribe=(f"{training.EVENTS_SUBJECT}.>", f"changed.{JOBS}.>", f"changed.{LEASES}.>"),
        # One empty reply to each credit request of a stream (`contracts.generation`).
        responses=Responses(max=1, ttl="10s"),
    ),
    "trainer": Permissions(
        publish=(
            f"$JS.API.CONSUMER.INFO.{TRAIN}.{TRAINER_CONSUMER}",
            f"$JS.API.CONSUMER.MSG.NEXT.{TRAIN}.{TRAINER_CONSUMER}",
            f"$JS.ACK.{TRAIN}.{TRAINER_CONSUMER}.>",
            f"$JS.API.STREAM.MSG.GET.{TRAIN}",
            f"$JS.API.STREAM.MSG.DELETE.{TRAIN}",
            f"{training.JOBS_SUBJECT}.*",  # what was lost from the queue is published again
            f"{training.EVENTS_SUBJECT}.>",
            "dlq.train.*",
            *ASKING,  # the parity probes of a new version
            f"{generation.CANCEL}.*",
            *_write(LEASES),
            *_write(FEEDBACK),
            *_write(REPLIES),
            *_write(OPINIONS),
            *_write(JOBS),
            *_write(DATASETS),
            *_write(MODELS),
            *_write(SETTINGS),
            *_write(CONSENT),
        ),
        subscribe=(
            f"{training.CONTROL_SUBJECT}.*",
            f"changed.{JOBS}.>",
            f"changed.{LEASES}.>",
            *(
                f"{subject} {QUEUE_GROUP}"
                for subject in (training.CHECK, training.ORDER, merging.MERGE, *DATA)
            ),
            f"{datasets.CANCEL}.*",
            f"{merging.CANCEL}.*",
            *DISCOVERY,
        ),
        # A build says once a second how far it is.
        responses=Responses(max=10_000, ttl="2h"),
    ),
    "inference": Permissions(
        publish=(*_read(MODELS), *_write(LEASES)),
        subscribe=(
            *(f"{subject} {QUEUE_GROUP}" for subject in ASKING),
            f"{generation.CANCEL}.*",
            f"changed.{MODELS}.>",
            f"changed.{LEASES}.>",
            *DISCOVERY,
        ),
        responses=Responses(max=100_000, ttl="15m"),
    ),
    "speech": Permissions(
        subscribe=(
            *(f"{subject} {QUEUE_GROUP}" for subject in (speech.TTS, speech.STT, speech.VOICES)),
            f"{speech.CANCEL}.*",
            *DISCOVERY,
        ),
        # What is heard so far is told a few times a minute, and once a second it is asked who still listens.
        responses=Responses(max=10_000, ttl="2h"),
    ),
    "provisioner": Permissions(
        publish=(
            "$JS.API.STREAM.>",
            "$JS.API.CONSUMER.>",
            "$JS.API.INFO",
            "$JS.SNAPSHOT.RESTORE.>",  # `chorus restore`
        )
    ),
    "operator": Permissions(
        publish=(
            *DISCOVERY,
            "$JS.API.INFO",
            "$JS.API.STREAM.NAMES",
            "$JS.API.STREAM.LIST",
            "$JS.API.STREAM.INFO.>",
            "$JS.API.STREAM.MSG.GET.>",
            "$JS.API.CONSUMER.NAMES.>",
            "$JS.API.CONSUMER.LIST.>",
            "$JS.API.CONSUMER.INFO.>",
            # `nats kv watch` and `nats stream view` read through a consumer of their own.
            *(
                f"$JS.API.CONSUMER.{verb}.{stream}{rest}"
                for stream in (
                    EVENTS,
                    DLQ,
                    *(str(bucket.name) for bucket in KV_BUCKETS),
                )
                for verb, rest in (("CREATE", ""), ("CREATE", ".>"), ("DELETE", ".*"), ("MSG.NEXT", ".*"))
            ),
            "$JS.FC.>",
            # `chorus backup`: it reads, and each piece is answered.
            *(f"$JS.API.STREAM.SNAPSHOT.{stream.name}" for stream in (*STREAMS, *KV_BUCKETS)),
            "$JS.SNAPSHOT.ACK.>",
            # Orders: the queue stands still for a while, a job is cancelled or tried again, dead letters go.
            f"$JS.API.CONSUMER.PAUSE.{TRAIN}.{TRAINER_CONSUMER}",
            f"$JS.API.STREAM.PURGE.{DLQ}",
            training.ORDER,
            *ASKING,
            f"{generation.CANCEL}.*",
            speech.TTS,
            speech.STT,
            speech.VOICES,
            f"{speech.CANCEL}.*",
            f"{training.CONTROL_SUBJECT}.*",
        ),
        subscribe=("evt.>", "changed.>", f"{training.JOBS_SUBJECT}.*", "$JS.EVENT.>"),
        # Credit, where people ask models with it.
        responses=Responses(max=1, ttl="10s"),
    ),
}
"""Users of the account that all of Chorus meets in."""

_LOOKS = ("IDZ", "STATSZ", "VARZ", "CONNZ", "ROUTEZ", "SUBSZ", "ACCOUNTZ", "JSZ", "HEALTHZ")

SYSTEM_USERS = {
    "monitor": Permissions(
        publish=(
            "$SYS.REQ.USER.INFO",
            "$SYS.REQ.SERVER.PING",
            *(f"$SYS.REQ.SERVER.*.{look}" for look in _LOOKS),  # of one server, or (`PING`) of each
            *(f"$SYS.REQ.ACCOUNT.*.{look}" for look in ("INFO", "CONNZ", "SUBSZ", "JSZ", "STATZ")),
        ),
        subscribe=("$SYS.SERVER.>", "$SYS.ACCOUNT.>"),
    )
}
"""Users of the servers' own account: how the servers fare, but none of Chorus's messages, and no orders."""
