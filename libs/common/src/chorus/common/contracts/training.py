"""Training jobs: how one is asked for, where its truth lies, and what it says while it runs.

    train.job.<guild>                    TrainJob; JetStream stream TRAIN, a work queue
    train.control.<job>                  Control: the fast path to the worker; the truth is the job's entry
    KV jobs  <guild>.<job>               JobRecord
    evt.trainer.<guild>.<job>.<type>     JobEvent*, the last of them with a final `state`

      queued ──→ running ──→ succeeded | failed
        │           └──→ cancelling ──→ cancelled
        └──────────────────────────────────↗

Submitting is two steps, in this order: create the entry (its key makes a second try the same job),
then publish the message. A worker claims the entry by compare-and-set; the entry, not the
acknowledgement of the message, decides who may publish a model.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from chorus.common.contracts.names import Guild, JobId, Name
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import Part, Time, Wire

JOBS_SUBJECT = "train.job"
CONTROL_SUBJECT = "train.control"
EVENTS_SUBJECT = "evt.trainer"


class JobState(StrEnum):
    """Where a job is. See the picture at the top of this file."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing can change it any more."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


class Hyperparameters(Part):
    """What a person may choose; what is left out is chosen from the data and the base model."""

    epochs: PositiveInt | None = Field(default=None, le=1000)
    """Passes over the data."""
    learning_rate: PositiveFloat | None = Field(default=None, le=1.0)
    """Peak learning rate of AdamW."""
    rank: Literal[8, 16, 32, 64] | None = None
    """Rank of the adapter; vLLM serves these, up to the operator's `CHORUS_MAX_RANK`."""
    seed: NonNegativeInt = Field(default=0, lt=2**31)
    """Data order and initial weights follow from it."""


class TrainJob(Wire):
    """One training to do: everything a worker needs, and nothing that changes later."""

    job: JobId
    guild: Guild
    model: Name
    dataset: str
    """As people name it: `name@version`."""
    examples: ObjectRef
    base: str | None = None
    """The base model's name; a worker with another base refuses. None takes the operator's default."""
    hyperparameters: Hyperparameters = Hyperparameters()
    submitted_by: str
    submitted_at: Time


class Progress(Part):
    """How far a run is. Loss in nats a token; time in seconds."""

    step: NonNegativeInt
    steps: PositiveInt
    loss: NonNegativeFloat | None = None
    tokens_per_s: NonNegativeFloat | None = None
    seconds_left: NonNegativeFloat | None = None


class JobError(Part):
    """Why a job failed, in the shape people know from other training services."""

    code: str
    message: str
    param: str | None = None


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


class Committed(Part):
    """A model that is trained and stored, and about to be published: any worker can end this job."""

    manifest: ObjectRef
    steps: PositiveInt
    seconds: NonNegativeFloat
    voice_before: str | None = None
    """The guild's voice at that moment."""
    promote: bool
    """Whether this one is to be the voice, unless somebody chooses another one meanwhile."""


class JobRecord(Wire):
    """The truth about a job, in one line that reads well in `nats kv get`."""

    state: JobState
    job: TrainJob
    attempt: NonNegativeInt = 0
    """How often a worker has claimed it."""
    worker: str | None = None
    """Who holds the claim."""
    stage: str | None = None
    """What the worker is doing, in words."""
    progress: Progress | None = None
    committed: Committed | None = None
    """Set once, through the claim: from then on it cannot be cancelled, and is not trained again."""
    result: JobResult | None = None
    error: JobError | None = None
    updated_at: Time

    @property
    def key(self) -> str:
        """Its key in the bucket."""
        return job_key(self.job.guild, self.job.job)


class Control(Wire):
    """Word to the workers: look at the job's entry, now. Who does not run it frees its place in the queue."""

    guild: Guild
    action: Literal["cancel"]


class JobEvent(Wire):
    """One thing that happened. `message` is for people; `progress` comes with type `metrics`."""

    guild: Guild
    job: JobId
    at: Time
    level: Literal["info", "warn", "error"] = "info"
    type: Literal["message", "metrics"]
    message: str
    state: JobState
    progress: Progress | None = None
    result: JobResult | None = None
    error: JobError | None = None


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
