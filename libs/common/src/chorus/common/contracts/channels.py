"""Every address on the bus with what is said there: the table that `docs/asyncapi.yaml` is made from."""

from dataclasses import dataclass

from pydantic import BaseModel

from chorus.common.contracts import consent, datasets, generation, merging, speech, training
from chorus.common.contracts.cards import JobCard
from chorus.common.contracts.consent import (
    ConsentRecord,
    Exported,
    ExportPerson,
    Forget,
    Forgotten,
    SetConsent,
)
from chorus.common.contracts.datasets import (
    Archive,
    Archived,
    Building,
    DatasetRecord,
    Datasets,
    Deleted,
    DeleteDataset,
    Import,
    Imported,
    ListDatasets,
    Preview,
    Previewed,
    Rebuild,
    Select,
    Selected,
)
from chorus.common.contracts.feedback import Opinion, ReplyRecord, TestRecord
from chorus.common.contracts.generation import (
    Cancel,
    Delta,
    End,
    Generate,
    ListServed,
    Score,
    Scored,
    Served,
    Waiting,
)
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.identify import Identifying
from chorus.common.contracts.leases import Lease
from chorus.common.contracts.merging import Merge, Merged, Merging
from chorus.common.contracts.mining import Mined
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.quotas import Used
from chorus.common.contracts.speech import (
    ListVoices,
    Partial,
    Speak,
    Spoken,
    SpokenPart,
    Transcribe,
    Transcript,
    Voices,
)
from chorus.common.contracts.topology import (
    CARDS,
    CONSENT,
    DATASETS,
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
from chorus.common.contracts.training import (
    Checked,
    CheckTraining,
    Control,
    JobEvent,
    JobRecord,
    Order,
    TrainJob,
)
from chorus.common.contracts.unfinished import Unfinished


@dataclass(frozen=True)
class Channel:
    """One address. A `{word}` in it stands for a token of the subject."""

    name: str
    address: str
    service: str
    """Who receives what is sent there; for state and events, who writes it."""
    sent: type[BaseModel]
    replies: tuple[type[BaseModel], ...] = ()
    """What a request is answered with, in this order; an error comes as headers."""
    summary: str = ""


CHANNELS = (
    Channel(
        "trainJob", f"{training.JOBS_SUBJECT}.{{guild}}", "trainer", TrainJob,
        summary="A training to do: JetStream stream TRAIN, a work queue with the durable consumer `trainer`.",
    ),
    Channel(
        "trainControl", f"{training.CONTROL_SUBJECT}.{{job}}", "trainer", Control,
        summary="Word to the worker of a job to look at the job's entry now.",
    ),
    Channel(
        "trainDeadLetter", "dlq.train.{guild}", "trainer", TrainJob,
        summary="A job given up: JetStream stream DLQ; the reason is in the headers.",
    ),
    Channel(
        "trainEvent", f"{training.EVENTS_SUBJECT}.{{guild}}.{{job}}.{{type}}", "trainer", JobEvent,
        summary="What happens to a job: JetStream stream EVENTS, kept for a week.",
    ),
    Channel(
        "trainCheck", training.CHECK, "trainer", CheckTraining, (Checked,),
        summary="What is wrong with a training, all of it at once, or what it will take. Nothing is queued.",
    ),
    Channel(
        "trainOrder", training.ORDER, "trainer", Order, (JobRecord,),
        summary="An operator cancels a job, or has one that failed tried again: its dead letter is replayed.",
    ),
    Channel(
        "trainMerge", merging.MERGE, "trainer", Merge, (Merging, Merged),
        summary="Merge an adapter into its base: a whole model, as files to be fetched for a day.",
    ),
    Channel(
        "trainMergeCancel", f"{merging.CANCEL}.{{request}}", "trainer", Cancel,
        summary="Stop a merging.",
    ),
    Channel(
        "dataImport", datasets.IMPORT, "trainer", Import, (Building, Imported),
        summary="Make a dataset version of uploaded files; streamed, as all replies of a build are.",
    ),
    Channel(
        "dataBuild", datasets.BUILD, "trainer", Rebuild, (Building, Imported),
        summary="Build a dataset version anew, with other options.",
    ),
    Channel(
        "dataCancel", f"{datasets.CANCEL}.{{request}}", "trainer", Cancel,
        summary="Stop an import or a build.",
    ),
    Channel("dataList", datasets.LIST, "trainer", ListDatasets, (Datasets,), summary="A guild's datasets."),
    Channel(
        "dataPreview", datasets.PREVIEW, "trainer", Preview, (Previewed,),
        summary="A few examples as a model will see them, with the learned parts marked.",
    ),
    Channel(
        "dataSelect", datasets.SELECT, "trainer", Select, (Selected,),
        summary="Choose what a bare `!train` uses, and take a snapshot of it.",
    ),
    Channel(
        "dataArchive", datasets.ARCHIVE, "trainer", Archive, (Archived,),
        summary="A dataset version as a ZIP.",
    ),
    Channel(
        "dataDelete", datasets.DELETE, "trainer", DeleteDataset, (Deleted,),
        summary="Delete a dataset with all its versions.",
    ),
    Channel(
        "consentSet", consent.SET, "trainer", SetConsent, (ConsentRecord,), summary="A person opts in or out."
    ),
    Channel(
        "consentForget", consent.FORGET, "trainer", Forget, (Forgotten,),
        summary="Delete a person's words, everywhere.",
    ),
    Channel(
        "consentExport", consent.EXPORT, "trainer", ExportPerson, (Exported,),
        summary="All that is kept of a person's words.",
    ),
    Channel(
        "inferGenerate", generation.GENERATE, "inference", Generate, (Waiting, Delta, End),
        summary="Ask a model; the replies are streamed, an empty message ends them.",
    ),
    Channel(
        "inferGenerateBase", f"{generation.GENERATE}.{{base}}", "inference", Generate, (Waiting, Delta, End),
        summary="The same, of the processes that serve this base model.",
    ),
    Channel(
        "inferScore", generation.SCORE, "inference", Score, (Scored,),
        summary="How likely a model finds given replies.",
    ),
    Channel(
        "inferScoreBase", f"{generation.SCORE}.{{base}}", "inference", Score, (Scored,),
        summary="The same, of the processes that serve this base model.",
    ),
    Channel(
        "inferModels", generation.SERVED, "inference", ListServed, (Served,),
        summary="What one process has at hand: which models, in the engine or on disk, and how often asked.",
    ),
    Channel(
        "inferCancel", f"{generation.CANCEL}.{{request}}", "inference", Cancel,
        summary="Stop a request that is being answered.",
    ),
    Channel(
        "speechTts", speech.TTS, "speech", Speak, (SpokenPart, Spoken),
        summary="Say a text aloud; the sound comes by reference, an empty message ends the replies.",
    ),
    Channel(
        "speechVoices", speech.VOICES, "speech", ListVoices, (Voices,),
        summary="Who can speak, and which languages.",
    ),
    Channel(
        "speechStt", speech.STT, "speech", Transcribe, (Partial, Transcript),
        summary="Write down what is said in a recording; an empty message ends the replies.",
    ),
    Channel(
        "speechCancel", f"{speech.CANCEL}.{{request}}", "speech", speech.Cancel,
        summary="Stop a request that is being worked on.",
    ),
    Channel(
        "kvJobs", f"changed.{JOBS}.{{guild}}.{{job}}", "trainer", JobRecord,
        summary="The truth about a job, republished from the KV bucket `jobs` whenever it changes.",
    ),
    Channel(
        "kvDatasets", f"changed.{DATASETS}.{{guild}}.{{name}}", "trainer", DatasetRecord,
        summary="The versions of a dataset, republished from the KV bucket `datasets`.",
    ),
    Channel(
        "kvModels", f"changed.{MODELS}.{{guild}}.{{name}}", "trainer", ModelRecord,
        summary="The versions and aliases of a model, republished from the KV bucket `models`.",
    ),
    Channel(
        "kvConsent", f"changed.{CONSENT}.{{guild}}.{{person}}", "trainer", ConsentRecord,
        summary="What a person wants, republished from the KV bucket `consent`.",
    ),
    Channel(
        "kvLeases", f"changed.{LEASES}.{{name}}", "trainer", Lease,
        summary="Whose turn it is on a shared GPU, republished from the KV bucket `leases`.",
    ),
    Channel(
        "kvFeedback", f"changed.{FEEDBACK}.{{guild}}.{{person}}.{{id}}", "gateway", TestRecord,
        summary="Where a model was wrong, republished from the KV bucket `feedback`.",
    ),
    Channel(
        "kvReplies", f"changed.{REPLIES}.{{guild}}.{{person}}.{{message}}", "gateway", ReplyRecord,
        summary="What was answered, with its prompt, republished from the KV bucket `replies`.",
    ),
    Channel(
        "kvOpinions", f"changed.{OPINIONS}.{{guild}}.{{person}}.{{message}}.{{by}}", "gateway", Opinion,
        summary="How somebody found an answer, republished from the KV bucket `opinions`.",
    ),
    Channel(
        "kvCards", f"changed.{CARDS}.{{guild}}.{{job}}", "gateway", JobCard,
        summary="Where a training is shown on Discord, republished from the KV bucket `cards`.",
    ),
    Channel(
        "kvUnfinished", f"changed.{UNFINISHED}.{{guild}}.{{asked}}", "gateway", Unfinished,
        summary="An answer that is being written on Discord, republished from the KV bucket `unfinished`.",
    ),
    Channel(
        "kvIdentify", f"changed.{IDENTIFY}.{{lane}}", "gateway", Identifying,
        summary="Who logs in to Discord just now, republished from the KV bucket `identify`.",
    ),
    Channel(
        "kvQuotas", f"changed.{QUOTAS}.{{guild}}.{{person}}.{{what}}", "gateway", Used,
        summary="What a person has had of what is counted, republished from the KV bucket `quotas`.",
    ),
    Channel(
        "kvSettings", f"changed.{SETTINGS}.{{guild}}", "gateway", GuildSettings,
        summary="What a guild has chosen, republished from the KV bucket `settings`.",
    ),
    Channel(
        "kvMining", f"changed.{SETTINGS}.{{guild}}.mining.{{name}}", "gateway", Mined,
        summary="What was read from a guild's channels, republished from the KV bucket `settings`.",
    ),
)  # fmt: skip
