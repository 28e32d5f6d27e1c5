"""Doubles of the commands' ports, for tests of the commands alone. They keep what they were asked."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

from chorus.common.base_model import STARTER
from chorus.common.contracts.datasets import Dataset, Turn
from chorus.common.contracts.feedback import TestRecord as Kept
from chorus.common.contracts.generation import Delta, End, ReplyScore, Served, Usage, Waiting
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.merging import Merging
from chorus.common.contracts.models import ModelRecord, ModelVersion, parse_model
from chorus.common.contracts.names import job_id
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.training import (
    Checked,
    JobEvent,
    JobRecord,
    JobResult,
    JobState,
    Learned,
    Parent,
    TrainJob,
)
from chorus.common.errors import ChorusError, Conflict, InvalidInput, NotFound, Unavailable
from chorus.gateway.commands.context import Chorus, Context, Session, Trust
from chorus.gateway.commands.ports import Heard, ModelFiles, Question, Upload
from chorus.gateway.commands.replies import Problem, Progress, Reply
from chorus.gateway.commands.reviewed import Reviewed
from chorus.gateway.commands.searching import Searches
from tests.unit.gateway.fake_cards import FakeCards, FakeUnfinished
from tests.unit.gateway.fake_data import AT, FakeDatasets, FakeGuilds, FakeObjects, FakePrivacy
from tests.unit.gateway.fake_people import FakePeople, FakeQuotas
from tests.unit.gateway.fake_replies import FakeReplies
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


A_FILE = ObjectRef(bucket="files", key="local/x", size=1, sha256="0" * 64)


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
    """Jobs that wait, until a test says otherwise."""

    def __init__(self) -> None:
        self.records: dict[str, JobRecord] = {}
        self.events: list[JobEvent] = []
        self.course: list[Mapping[str, object] | JobEvent] = [{"state": JobState.SUCCEEDED, "result": RESULT}]
        """What becomes of a job that is followed."""
        self.checked = Checked()

    async def submit(
        self,
        data: Sequence[Dataset],
        model: str,
        wishes: Hyperparameters,
        *,
        base: str | None = None,
        parent: Parent | None = None,
        submitted_by: str,
        key: str,
    ) -> JobRecord:
        if problems := self.checked.problems:
            raise InvalidInput("\n".join(p.message for p in problems), code=problems[0].code)
        job = TrainJob(
            job=job_id(data[0].guild, key),
            guild=data[0].guild,
            model=model,
            data=[Learned(dataset=one.id, examples=one.examples, imitates=one.imitates) for one in data],
            base=base,
            parent=parent,
            hyperparameters=wishes,
            submitted_by=submitted_by,
            submitted_at=AT,
        )
        record = JobRecord(state=JobState.QUEUED, job=job, estimate=self.checked.estimate, updated_at=AT)
        return self.records.setdefault(job.job, record)

    async def get(self, guild: str, job: str) -> JobRecord:
        if job not in self.records:
            raise NotFound(f"There is no job {job}.", code="unknown_job")
        return self.records[job]

    async def recent(self, guild: str) -> list[JobRecord]:
        return list(self.records.values())

    async def cancel(self, guild: str, job: str) -> JobRecord:
        return await self._set(guild, job, JobState.CANCELLED)

    async def pause(self, guild: str, job: str) -> JobRecord:
        if (await self.get(guild, job)).state is JobState.PAUSED:
            raise Conflict(f"Job {job} is paused already.", code="already_paused")
        return await self._set(guild, job, JobState.PAUSED)

    async def resume(self, guild: str, job: str) -> JobRecord:
        if (await self.get(guild, job)).state is not JobState.PAUSED:
            raise Conflict(f"Job {job} is not paused.", code="not_paused")
        return await self._set(guild, job, JobState.QUEUED)

    async def decline(self, guild: str, job: str, person: str) -> JobRecord:
        record = await self.get(guild, job)
        if record.result is None:
            raise Conflict(f"Job {job} has made no model.", code="no_model")
        self.records[job] = record.model_copy(update={"declined_by": person})
        return self.records[job]

    async def _set(self, guild: str, job: str, state: JobState) -> JobRecord:
        self.records[job] = (await self.get(guild, job)).model_copy(update={"state": state})
        return self.records[job]

    async def follow(self, guild: str, job: str) -> AsyncGenerator[JobRecord | JobEvent]:
        record = await self.get(guild, job)
        yield record
        for news in self.course:
            if isinstance(news, JobEvent):
                yield news
                continue
            record = record.model_copy(update=news)
            self.records[job] = record
            yield record

    async def logs(self, guild: str, job: str) -> list[JobEvent]:
        await self.get(guild, job)
        return self.events


class FakeModels:
    def __init__(self) -> None:
        self.chosen: str | None = None
        self.forced = False
        self.records: list[ModelRecord] = []

    async def all(self, guild: str) -> list[ModelRecord]:
        return self.records

    async def voice(self, guild: str) -> str | None:
        return self.chosen

    async def find(self, guild: str, model: str) -> ModelVersion:
        name, selector = parse_model(model)
        found = next((r.find(selector) for r in self.records if r.name == name), None)
        if found is None:
            raise NotFound(f"There is no model {model}.", code="unknown_model")
        return found

    async def imitates(self, guild: str, model: str) -> bool:
        name, selector = parse_model(model)
        return any(record.imitates(selector) for record in self.records if record.name == name)

    async def use(self, guild: str, name: str, selector: str, *, force: bool = False) -> str:
        self.chosen, self.forced = name, force
        return f"{name}@{selector}"

    async def use_base(self, guild: str) -> None:
        self.chosen = None

    async def rollback(self, guild: str, name: str) -> tuple[str, str]:
        return f"{name}@2", f"{name}@1"

    async def files(self, guild: str, model: str) -> ModelFiles:
        return ModelFiles(model, {"adapter_config.json": A_FILE, "README.md": A_FILE})

    async def merge(self, guild: str, model: str) -> AsyncIterator[Merging | ModelFiles]:
        yield Merging(stage="merging into starter")
        yield ModelFiles(model, {"model.safetensors": A_FILE})


class FakeAnswers:
    """Models that say `Hello.`, unless a test says otherwise."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, list[Turn]]] = []
        self.questions: list[Question] = []
        self.says: dict[str | None, str | ChorusError] = {}
        """By the model that is asked."""
        self.cut_off = False
        self.base = STARTER
        self.at_hand: Served | ChorusError = Unavailable("Nobody is there.", code="no_responders")

    async def ask(self, guild: str, question: Question) -> AsyncIterator[Waiting | Delta | End]:
        self.asked.append((guild, question.model, question.messages))
        self.questions.append(question)
        said = self.says.get(question.model, "Hello.")
        if isinstance(said, ChorusError):
            raise said
        for choice in range(question.sampling.n):
            for i, text in enumerate((said[:3], said[3:])):
                yield Delta(i=2 * choice + i, text=text, choice=choice)
        usage = Usage(prompt_tokens=9, completion_tokens=2)
        finish = "length" if self.cut_off else "stop"
        yield End(model=question.model or self.base, finish_reason=finish, usage=usage)

    async def score(
        self, guild: str, model: str | None, messages: list[Turn], replies: Sequence[str]
    ) -> list[ReplyScore]:
        return [ReplyScore(logprob=-float(len(reply)), tokens=1) for reply in replies]

    async def served(self, guild: str) -> Served:
        if isinstance(self.at_hand, ChorusError):
            raise self.at_hand
        return self.at_hand


class FakeFeedback:
    def __init__(self) -> None:
        self.records: dict[str, Kept] = {}

    async def keep(self, record: Kept) -> None:
        self.records[record.key] = record

    async def tests(self, guild: str, person: str | None) -> list[Kept]:
        found = [one for one in self.records.values() if one.guild == guild and person in (None, one.person)]
        return found[::-1]


class FakeSpeech:
    def __init__(self) -> None:
        self.spoken: list[tuple[str, str, str | None]] = []
        self.wished: list[str | None] = []
        self.heard: list[tuple[str, Upload | str]] = []
        self.listened_for: list[str | None] = []
        self.kept: list[tuple[str, Upload]] = []
        self.cut: list[bool] = []
        self.deaf: ChorusError | None = None
        self.mute: ChorusError | None = None
        self.listening = asyncio.Event()
        """Cleared, a recording is heard to its middle."""
        self.listening.set()

    async def speak(
        self, guild: str, text: str, language: str | None, voice: str | None, *, cut: bool = False
    ) -> tuple[bytes, float]:
        if self.mute:
            raise self.mute
        self.cut.append(cut)
        self.wished.append(voice)
        self.spoken.append((guild, text, language))
        return text.encode(), 1.5

    async def speaking(
        self, guild: str, text: str, language: str | None, voice: str | None
    ) -> AsyncGenerator[bytes]:
        for sentence in text.splitlines():
            sound, _ = await self.speak(guild, sentence, language, voice)
            yield sound

    async def voices(self) -> list[str]:
        return ["espeak", "flite/rms", "flite/slt"]

    async def hear(
        self, guild: str, recording: Upload | str, language: str | None = None
    ) -> AsyncGenerator[Heard]:
        self.listened_for.append(language)
        if self.deaf:
            raise self.deaf
        self.heard.append((guild, recording))
        yield Heard("wor", "fake", "")
        await self.listening.wait()
        yield Heard("words", "fake", "en-us")

    async def keep(self, guild: str, person: str, recording: Upload) -> None:
        self.kept.append((person, recording))


class World:
    """Everything a command may meet, and a context to meet it in."""

    def __init__(self) -> None:
        self.files, self.datasets, self.jobs = FakeFiles(), FakeDatasets(), FakeJobs()
        self.models, self.answers, self.session = FakeModels(), FakeAnswers(), Session()
        self.speech, self.privacy, self.guilds = FakeSpeech(), FakePrivacy(), FakeGuilds()
        self.objects, self.harvests, self.feedback = FakeObjects(), FakeHarvests(), FakeFeedback()
        self.quotas, self.people = FakeQuotas(), FakePeople()
        self.cards = FakeCards()
        self.unfinished = FakeUnfinished()
        self.replies, self.reviewed, self.searches = FakeReplies(), Reviewed(), Searches()
        self.forgotten_conversations = 0

    @property
    def chorus(self) -> Chorus:
        return Chorus(
            datasets=self.datasets,
            jobs=self.jobs,
            cards=self.cards,
            unfinished=self.unfinished,
            models=self.models,
            answers=self.answers,
            speech=self.speech,
            privacy=self.privacy,
            guilds=self.guilds,
            objects=self.objects,
            harvests=self.harvests,
            feedback=self.feedback,
            replies=self.replies,
            reviewed=self.reviewed,
            searches=self.searches,
            quotas=self.quotas,
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
        user: str = "42",
        channel: str | None = None,
        reply_to: str | None = None,
        roles: tuple[str, ...] = (),
    ) -> Context:
        return Context(
            self.chorus,
            guild=guild,
            user=user,
            session=self.session,
            forget_conversations=self.forget_conversations,
            files=self.files,
            key=key,
            admin=admin,
            trust=trust,
            names=names,
            channel=channel,
            room=channel,
            reply_to=reply_to,
            roles=roles,
            people=self.people if guild.isdigit() else None,
        )
