"""Doubles of the commands' ports, for tests of the commands alone. They keep what they were asked."""

from collections.abc import AsyncIterator

from chorus.common.contracts.datasets import Dataset, Turn
from chorus.common.contracts.generation import Delta, End, Usage
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.names import job_id
from chorus.common.contracts.training import Hyperparameters, JobRecord, JobResult, JobState, TrainJob
from chorus.common.errors import NotFound
from chorus.gateway.commands.context import Chorus, Context, Session, Trust
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.replies import Problem, Progress, Reply
from tests.unit.gateway.fake_data import AT, FakeDatasets, FakeGuilds, FakeObjects, FakePrivacy
from tests.unit.gateway.histories import FakeHarvests

AT_HOME = Trust(via="console")
RESULT = JobResult(
    model="main@1", in_use=True, loss_before=5, loss_after=0.1, held_out=False, steps=9, seconds=3
)


async def told(reply: Reply) -> str:
    """All that is said of a reply that takes a while, to its end; its last line is how it ended."""
    assert isinstance(reply, Progress), reply
    lines = [reply.opening] if reply.opening else []
    async for moment in reply.moments:
        lines += [moment.note] if moment.note else []
        if isinstance(moment.outcome, Problem):
            lines.append(f"✗ {moment.outcome.message} [{moment.outcome.code}]")
        elif moment.outcome:
            lines.append(moment.outcome.text)
    return "\n".join(lines)


class FakeFiles:
    def __init__(self) -> None:
        self.files = {name: Upload(name, b"[]") for name in ("data.json", "more.json")}
        self.with_the_command: list[str] = []

    def attached(self) -> list[str]:
        return self.with_the_command

    async def read(self, name: str) -> Upload:
        if name not in self.files:
            raise NotFound(f"There is no file {name}.", code="file_not_found")
        return self.files[name]


class FakeJobs:
    def __init__(self) -> None:
        self.records: dict[str, JobRecord] = {}

    async def submit(
        self, dataset: Dataset, model: str, wishes: Hyperparameters, *, submitted_by: str, key: str
    ) -> JobRecord:
        job = TrainJob(
            job=job_id(dataset.guild, key),
            guild=dataset.guild,
            model=model,
            dataset=dataset.id,
            examples=dataset.examples,
            hyperparameters=wishes,
            submitted_by=submitted_by,
            submitted_at=AT,
        )
        return self.records.setdefault(job.job, JobRecord(state=JobState.QUEUED, job=job, updated_at=AT))

    async def get(self, guild: str, job: str) -> JobRecord:
        if job not in self.records:
            raise NotFound(f"There is no job {job}.", code="unknown_job")
        return self.records[job]

    async def recent(self, guild: str) -> list[JobRecord]:
        return list(self.records.values())

    async def cancel(self, guild: str, job: str) -> JobRecord:
        record = await self.get(guild, job)
        self.records[job] = record.model_copy(update={"state": JobState.CANCELLED})
        return self.records[job]

    async def follow(self, guild: str, job: str) -> AsyncIterator[JobRecord]:
        record = await self.get(guild, job)
        yield record
        yield record.model_copy(update={"state": JobState.SUCCEEDED, "result": RESULT})


class FakeModels:
    def __init__(self) -> None:
        self.chosen: str | None = None
        self.records: list[ModelRecord] = []

    async def all(self, guild: str) -> list[ModelRecord]:
        return self.records

    async def voice(self, guild: str) -> str | None:
        return self.chosen

    async def use(self, guild: str, name: str, selector: str) -> str:
        self.chosen = name
        return f"{name}@{selector}"

    async def use_base(self, guild: str) -> None:
        self.chosen = None


class FakeAnswers:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, list[Turn]]] = []

    async def ask(self, guild: str, model: str | None, messages: list[Turn]) -> AsyncIterator[Delta | End]:
        self.asked.append((guild, model, messages))
        for i, text in enumerate(("Hel", "lo.")):
            yield Delta(i=i, text=text)
        usage = Usage(prompt_tokens=9, completion_tokens=2)
        yield End(model="starter", finish_reason="stop", usage=usage)


class FakeSpeech:
    def __init__(self) -> None:
        self.spoken: list[tuple[str, str, str | None]] = []
        self.heard: list[tuple[str, Upload]] = []

    async def speak(self, guild: str, text: str, language: str | None) -> tuple[bytes, float]:
        self.spoken.append((guild, text, language))
        return text.encode(), 1.5

    async def transcribe(self, guild: str, upload: Upload) -> str:
        self.heard.append((guild, upload))
        return "words"


class World:
    """Everything a command may meet, and a context to meet it in."""

    def __init__(self) -> None:
        self.files, self.datasets, self.jobs = FakeFiles(), FakeDatasets(), FakeJobs()
        self.models, self.answers, self.session = FakeModels(), FakeAnswers(), Session()
        self.speech, self.privacy, self.guilds = FakeSpeech(), FakePrivacy(), FakeGuilds()
        self.objects, self.harvests = FakeObjects(), FakeHarvests()
        self.forgotten_conversations = 0

    @property
    def chorus(self) -> Chorus:
        return Chorus(
            datasets=self.datasets,
            jobs=self.jobs,
            models=self.models,
            answers=self.answers,
            speech=self.speech,
            privacy=self.privacy,
            guilds=self.guilds,
            objects=self.objects,
            harvests=self.harvests,
        )

    def forget_conversations(self) -> None:
        self.forgotten_conversations += 1

    def context(
        self,
        key: str = "message-1",
        *,
        admin: bool = True,
        guild: str = "local",
        trust: Trust = AT_HOME,
        names: tuple[str, ...] = (),
    ) -> Context:
        return Context(
            self.chorus,
            guild=guild,
            user="42",
            session=self.session,
            forget_conversations=self.forget_conversations,
            files=self.files,
            key=key,
            admin=admin,
            trust=trust,
            names=names,
        )
