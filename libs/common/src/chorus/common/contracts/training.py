"""Training jobs: how one is asked for, where its truth lies, and what it says while it runs.

    train.v1.check                       CheckTraining → Checked: what is wrong with it, and what it will take
    train.v1.order                       Order → JobRecord: cancel a job, or try one again; for operators
    train.job.<guild>                    TrainJob; JetStream stream TRAIN, a work queue
    train.control.<job>                  Control: the fast path to the worker; the truth is the job's entry
    KV jobs  <guild>.<job>               JobRecord
    evt.trainer.<guild>.<job>.<type>     JobEvent*, the last of them with a final `state`

      queued ──→ running ──→ succeeded | failed
       ↑  │        │ └─────→ cancelling ──→ cancelled
       │  │        └───────→ pausing ──→ paused
       └──┼────────────────────────────────┘ │
          └──→ paused | cancelled ←──────────┘

Submitting is two steps, in this order: create the entry (its key makes a second try the same job),
then publish the message. A worker claims the entry by compare-and-set; the entry, not the
acknowledgement of the message, decides who may publish a model. A paused job has no message: resuming
publishes one.
"""

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import Benchmark, Parity
from chorus.common.contracts.names import Guild, JobId, Name
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import Part, Request, Time, Wire

CHECK = "train.v1.check"
ORDER = "train.v1.order"
JOBS_SUBJECT = "train.job"
CONTROL_SUBJECT = "train.control"
EVENTS_SUBJECT = "evt.trainer"

DATASETS_AT_MOST = 20
"""That one job learns from."""


class JobState(StrEnum):
    """Where a job is. See the picture at the top of this file."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing can change it any more."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}

    @property
    def held(self) -> bool:
        """Whether a worker has it in hand."""
        return self in {JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING}


class Learned(Part):
    """A dataset version that a job learns from."""

    dataset: str
    """As people name it: `name@version`."""
    examples: ObjectRef
    imitates: bool = False
    """Whether its replies are one person's: who learns them is labelled as AI, under whatever name."""


class Parent(Part):
    """The version that a training goes on from."""

    model: str
    """As people name it: `name@version`."""
    manifest: ObjectRef


class TrainJob(Wire):
    """One training to do: everything a worker needs, and nothing that changes later."""

    job: JobId
    guild: Guild
    model: Name
    data: list[Learned] = Field(min_length=1, max_length=DATASETS_AT_MOST)
    base: str | None = None
    """One of the operator's base models; None takes the default."""
    parent: Parent | None = None
    """None starts from the base itself."""
    hyperparameters: Hyperparameters = Hyperparameters()
    submitted_by: str
    submitted_at: Time

    @property
    def dataset(self) -> str:
        """All that it learns from, for people."""
        return ", ".join(learned.dataset for learned in self.data)


class JobError(Part):
    """Why a job failed, in the shape people know from other training services."""

    code: str
    message: str
    param: str | None = None


class CheckTraining(Request):
    """Would this training work, and what would it take? Nothing is queued."""

    guild: Guild
    base: str | None = None
    parent: Parent | None = None
    hyperparameters: Hyperparameters = Hyperparameters()
    examples: NonNegativeInt
    """Of all its data together, from the dataset cards, as the following two."""
    wanted: NonNegativeInt
    """Examples that are to be imitated."""
    tokens: NonNegativeInt


class Estimate(Part):
    """What a training will take, before it begins. Rough: within a factor of two."""

    steps: PositiveInt
    epochs: PositiveInt
    tokens: NonNegativeInt
    """That will be learned from, over all epochs."""
    memory_bytes: NonNegativeInt
    seconds: NonNegativeFloat | None = None
    """None where the machine that will do it is not known."""


class Checked(Wire):
    """Everything that is wrong, at once; an estimate where nothing is."""

    problems: list[JobError] = Field(default=[])
    estimate: Estimate | None = None


class Progress(Part):
    """How far a run is. Loss in nats a token; time in seconds."""

    step: NonNegativeInt
    steps: PositiveInt
    epoch: PositiveInt | None = None
    epochs: PositiveInt | None = None
    loss: NonNegativeFloat | None = None
    learning_rate: NonNegativeFloat | None = None
    tokens_per_s: NonNegativeFloat | None = None
    mfu: NonNegativeFloat | None = None
    """Model FLOP utilisation: the share of the machine's peak arithmetic that was used (arXiv 2204.02311)."""
    memory_bytes: NonNegativeInt | None = None
    """At most so far: of the GPU, or of the process."""
    seconds_left: NonNegativeFloat | None = None


class JobResult(Part):
    """What a succeeded job made. Losses in nats a token, on the same examples before and after."""

    model: str
    """`name@version`."""
    in_use: bool
    """Whether the guild's questions now go to it."""
    loss_before: NonNegativeFloat
    loss_after: NonNegativeFloat
    held_out: bool
    """Whether the losses are on examples kept out of training; if not, on the training examples."""
    steps: PositiveInt
    seconds: NonNegativeFloat
    """Of work, over all attempts."""
    ended: str | None = None
    """Why it ended before its last step, in words."""
    parity: Parity | None = None
    losses: ObjectRef | None = None
    """CSV: step, loss of each step."""
    samples: ObjectRef | None = None
    """JSON, `contracts.models.Samples`: replies before and after."""


class Committed(Part):
    """A model that is trained and stored, and about to be published: any worker can end this job."""

    manifest: ObjectRef
    final: ObjectRef | None = None
    """Manifest of the last step's weights, where an earlier step's were better and are published."""
    steps: PositiveInt
    seconds: NonNegativeFloat
    ended: str | None = None
    voice_before: str | None = None
    """The guild's voice at that moment."""
    promote: bool
    """Whether this one is to be the voice, unless somebody chooses another one meanwhile."""


class Checkpoint(Part):
    """A whole checkpoint in S3: from here, any worker goes on."""

    step: NonNegativeInt
    manifest: ObjectRef
    at: Time


class JobRecord(Wire):
    """The truth about a job, in one line that reads well in `nats kv get`."""

    state: JobState
    job: TrainJob
    attempt: NonNegativeInt = 0
    """How often a worker has claimed it since it last got further."""
    claims: NonNegativeInt = 0
    """How often a worker has claimed it at all: names what each of them stores."""
    published: NonNegativeInt = 0
    """How often its message was published again, after a pause or a loss: part of the message's id."""
    worker: str | None = None
    """Who holds the claim."""
    started_at: Time | None = None
    """When a worker took it for the first time."""
    stage: str | None = None
    """What the worker is doing, in words."""
    progress: Progress | None = None
    estimate: Estimate | None = None
    benchmarks: list[Benchmark] = Field(default=[])
    checkpoint: Checkpoint | None = None
    seconds: NonNegativeFloat = 0.0
    """Of work that earlier attempts have done; time and spend limits count them."""
    committed: Committed | None = None
    """Set once, through the claim: from then on it cannot be cancelled, and is not trained again."""
    result: JobResult | None = None
    error: JobError | None = None
    declined_by: str | None = None
    """Who has decided that what answered before goes on doing so, and not what this job has made."""
    updated_at: Time

    @property
    def key(self) -> str:
        """Its key in the bucket."""
        return job_key(self.job.guild, self.job.job)

    @property
    def message_id(self) -> str:
        """`Nats-Msg-Id` of its message: NATS drops a second one with the same id."""
        again = f".{self.published}" if self.published else ""
        return f"{self.job.guild}.{self.job.job}{again}"


class Control(Wire):
    """Word to the workers: look at the job's entry, now. Who does not run it frees its place in the queue."""

    guild: Guild
    action: Literal["cancel", "pause"]


class Order(Request):
    """What an operator does with one job, whoever's it is. `retry` is for one that failed: it begins anew."""

    guild: Guild
    job: JobId
    action: Literal["cancel", "retry"]


class EventData(Part):
    """What an event has beside its words."""

    progress: Progress | None = None
    benchmark: Benchmark | None = None
    checkpoint: NonNegativeInt | None = None
    """Step of a checkpoint that is now whole in S3."""
    estimate: Estimate | None = None
    result: JobResult | None = None
    error: JobError | None = None


class JobEvent(Wire):
    """One thing that happened, in the shape of OpenAI's fine-tuning events, with our ids beside it.

    `message` is for people; `data.progress` comes with type `metrics`.
    """

    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    id: str = Field(default_factory=lambda: f"ftevent-{uuid.uuid4().hex}")
    created_at: int = Field(default_factory=lambda: int(datetime.now(UTC).timestamp()))
    """Seconds since 1970."""
    level: Literal["info", "warn", "error"] = "info"
    type: Literal["message", "metrics"]
    message: str
    data: EventData = EventData()
    guild: Guild
    job: JobId
    state: JobState


def job_key(guild: str, job: str) -> str:
    """Key of a job's entry."""
    return f"{guild}.{job}"


def job_subject(guild: str) -> str:
    """Where a guild's jobs queue."""
    return f"{JOBS_SUBJECT}.{guild}"


def control_subject(job: str) -> str:
    """Where the worker of a job listens."""
    return f"{CONTROL_SUBJECT}.{job}"


def event_subject(guild: str, job: str, type: str) -> str:  # noqa: A002 - the field's name in the event
    """Where a job's events of one type go."""
    return f"{EVENTS_SUBJECT}.{guild}.{job}.{type}"
