"""The streams, consumers and key-value buckets that hold Chorus's state. `chorus provision` makes them so.

Every bucket republishes what it has stored to `changed.<bucket>.<key>`, with the value and its revision:
who wants to know of changes subscribes there. That costs no consumer, survives a restart of the server,
and needs no right to create anything (a watch does, and that right lets its holder read the whole
account: nats-server#8274).
"""

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RePublish,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from chorus.common.contracts.feedback import REPLIES_KEPT
from chorus.common.contracts.identify import IDENTIFY_EVERY
from chorus.common.contracts.training import JOBS_SUBJECT
from chorus.common.contracts.unfinished import UNFINISHED_KEPT
from chorus.common.contracts.wire import MIB

MINUTE, DAY = 60.0, 86400.0  # seconds

TRAIN, EVENTS, DLQ = "TRAIN", "EVENTS", "DLQ"
TRAINER_CONSUMER = "trainer"

JOBS, DATASETS, MODELS, SETTINGS, CONSENT = "jobs", "datasets", "models", "settings", "consent"
FEEDBACK, REPLIES, OPINIONS = "feedback", "replies", "opinions"
LEASES, CARDS, UNFINISHED = "leases", "cards", "unfinished"
QUOTAS, IDENTIFY = "quotas", "identify"

JOBS_PER_GUILD = 3
"""Queued and running together. One more is refused at once, with the error `queue_full`."""

STREAMS = (
    StreamConfig(
        name=TRAIN,
        description="Training jobs, until one worker has ended them",
        subjects=[f"{JOBS_SUBJECT}.*"],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        discard_new_per_subject=True,
        max_msgs_per_subject=JOBS_PER_GUILD,
        max_bytes=64 * MIB,
        max_msg_size=256 * 1024,
        duplicate_window=10 * MINUTE,
    ),
    StreamConfig(
        name=EVENTS,
        description="What happened, for a week",
        subjects=["evt.>"],
        storage=StorageType.FILE,
        max_age=7 * DAY,
        max_bytes=256 * MIB,
        duplicate_window=10 * MINUTE,
    ),
    StreamConfig(
        name=DLQ,
        description="Jobs given up, with the reason",
        subjects=["dlq.train.*"],
        storage=StorageType.FILE,
        max_age=30 * DAY,
        max_bytes=64 * MIB,
        duplicate_window=10 * MINUTE,
    ),
)


def trainer_consumer(ack_wait: float) -> ConsumerConfig:
    """The queue's one consumer. `ack_wait` in seconds: how long a silent worker keeps its job.

    Deliveries are not limited here: a job that fails again and again is counted in its entry, where
    progress resets the count, and given up by the trainer. No `backoff`: it would replace `ack_wait`.
    Nor is what waits for an answer: a job whose turn it is not is handed back for a moment, and a limit
    would hide those behind it, with the one whose turn it is among them.
    """
    return ConsumerConfig(
        durable_name=TRAINER_CONSUMER,
        description="Trainers, each fetching one job when it has room",
        filter_subject=f"{JOBS_SUBJECT}.*",
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait,
        max_deliver=-1,
        max_ack_pending=-1,
        max_waiting=64,
    )


def _bucket(
    name: str, description: str, *, history: int, ttl: float | None = None, max_bytes: int | None = None
) -> StreamConfig:
    """With `max_bytes`, what is oldest makes room; without, what is full takes nothing more."""
    return StreamConfig(
        name=f"KV_{name}",
        description=description,
        subjects=[f"$KV.{name}.>"],
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD if max_bytes else DiscardPolicy.NEW,
        max_msgs_per_subject=history,
        max_age=ttl,
        max_bytes=max_bytes,
        duplicate_window=min(2 * MINUTE, ttl or DAY),
        allow_rollup_hdrs=False,  # a roll-up of the whole bucket would be one message away
        deny_delete=True,
        # Read from the leader alone: on a cluster any replica answers a direct read, and one that lags tells
        # a worker that the entry it has just claimed is not its own.
        allow_direct=False,
        republish=RePublish(src=f"$KV.{name}.>", dest=f"changed.{name}.>"),
    )


KV_BUCKETS = (
    _bucket(JOBS, "Truth about each training job: <guild>.<job>", history=8, ttl=30 * DAY),
    # One value a key: who is forgotten must not live on in an older one.
    _bucket(DATASETS, "Dataset versions: <guild>.<name>", history=1),
    _bucket(SETTINGS, "What a guild has chosen: <guild>", history=1),
    _bucket(MODELS, "Model versions and aliases: <guild>.<name>", history=16),
    _bucket(LEASES, "Whose turn it is on a shared GPU: <name>", history=1),
    _bucket(FEEDBACK, "Where models were wrong: <guild>.<person>.<id>", history=1, ttl=30 * DAY),
    _bucket(
        REPLIES,
        "What was answered: <guild>.<person>.<message>",
        history=1,
        ttl=REPLIES_KEPT.total_seconds(),
        max_bytes=512 * MIB,
    ),
    _bucket(
        OPINIONS,
        "How people found an answer: <guild>.<person>.<message>.<by>",
        history=1,
        ttl=REPLIES_KEPT.total_seconds(),
    ),
    _bucket(CARDS, "Where a training is shown on Discord: <guild>.<job>", history=1, ttl=30 * DAY),
    _bucket(
        UNFINISHED,
        "Answers that are being written on Discord: <guild>.<asked>",
        history=1,
        ttl=UNFINISHED_KEPT,
    ),
    _bucket(QUOTAS, "What people have had of what is counted: <guild>.<person>.<what>", history=1, ttl=DAY),
    _bucket(IDENTIFY, "Who logs in to Discord just now: <lane>", history=1, ttl=IDENTIFY_EVERY),
    _bucket(CONSENT, "Who may be learned from: <guild>.<person>", history=1),
)
