"""What commands need of the world. `backends` meet it over the bus; nothing here knows how."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from chorus.common.contracts.consent import ConsentRecord, Exported, Forgotten
from chorus.common.contracts.datasets import (
    Archived,
    Basis,
    Building,
    BuildOptions,
    Dataset,
    Deleted,
    Previewed,
    Selected,
    Source,
    Turn,
)
from chorus.common.contracts.datasets import Datasets as Listing
from chorus.common.contracts.feedback import Opinion, ReplyRecord, TestRecord
from chorus.common.contracts.generation import Delta, End, ReplyScore, Sampling, Served, Waiting
from chorus.common.contracts.guild import Counted, GuildSettings, Notice
from chorus.common.contracts.merging import Merging
from chorus.common.contracts.models import ModelRecord, ModelVersion
from chorus.common.contracts.quotas import Used
from chorus.common.contracts.storage import ObjectRef


@dataclass(frozen=True)
class Upload:
    """A file that a person handed over: its bytes, or where it lies on this machine's disk."""

    name: str
    data: bytes | Path

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data) if isinstance(self.data, bytes) else self.data.stat().st_size

    async def read(self) -> bytes:
        """All of it, where it is known to be small."""
        return self.data if isinstance(self.data, bytes) else await asyncio.to_thread(self.data.read_bytes)


class Files(Protocol):
    """Where `file=` finds a file: on one's own disk in the console, attached to the message in Discord."""

    async def read(self, name: str) -> Upload:
        """The file. Raises `InvalidInput` or `TooLarge` in words for people."""
        ...

    def attached(self) -> list[str]:
        """Names of the files that came with the command itself; in the console none ever does."""
        ...


class Download(Protocol):
    """A file that a person gets. It is fetched only when it is known where it goes."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    async def read(self) -> bytes:
        """All of it, where it is known to be small."""
        ...

    async def save(self, path: Path) -> None:
        """Write it to this machine's disk, whatever its size."""
        ...

    def link(self, filename: str) -> str | None:
        """An address where it can be fetched for a while; None where the operator has set up none."""
        ...


class Objects(Protocol):
    """What is stored, by reference."""

    def download(self, ref: ObjectRef) -> Download:
        """This object, to be handed out."""
        ...


@dataclass(frozen=True)
class NewDataset:
    """What is to become a dataset: files of a person, or files that were uploaded before."""

    name: str
    files: Sequence[Upload | Source]
    positive: bool
    contributor: str
    basis: Basis
    options: BuildOptions
    after: int | None = None
    """The newest version that the files go on from, 0 for none; None is whichever there is."""


class Datasets(Protocol):
    """Data that people hand over. A dataset is named `name`, its newest version, or `name@3`."""

    def add(self, guild: str, new: NewDataset) -> AsyncIterator[Building | Dataset]:
        """Make a version of it: how far that is, at last the version.

        Raises what is wrong with it, and `Conflict` where there is another newest version than `new.after`.
        """
        ...

    def rebuild(self, guild: str, dataset: str, options: BuildOptions) -> AsyncIterator[Building | Dataset]:
        """Build it anew with other options, told as `add` tells it."""
        ...

    async def list(self, guild: str) -> Listing:
        """All of the guild's but those that were withdrawn, and which of them is selected."""
        ...

    async def preview(self, guild: str, dataset: str, count: int) -> Previewed:
        """A few of its examples, as a model will see them."""
        ...

    async def select(self, guild: str, dataset: str, *, positive: bool) -> Selected:
        """Make it what a bare `!train` uses."""
        ...

    async def archive(self, guild: str, dataset: str) -> Archived:
        """Pack it into a ZIP."""
        ...

    async def delete(self, guild: str, name: str) -> Deleted:
        """Delete all versions of a name."""
        ...


class Privacy(Protocol):
    """What each person wants, and what is kept of their words. `names` are what sources call them."""

    async def record(self, guild: str, person: str) -> ConsentRecord | None:
        """What the person has said, if anything."""
        ...

    async def opt(
        self, guild: str, person: str, state: Literal["in", "out"], *, names: list[str], said_by: str
    ) -> ConsentRecord:
        """Opt in or out."""
        ...

    async def forget(self, guild: str, person: str, *, names: list[str], said_by: str) -> Forgotten:
        """Delete the person's words everywhere, and opt them out."""
        ...

    async def export(self, guild: str, person: str, *, names: list[str]) -> Exported:
        """Gather all that is kept of the person's words."""
        ...


class Guilds(Protocol):
    """What guilds have chosen."""

    async def settings(self, guild: str) -> GuildSettings:
        """A guild's choices; defaults, where it has made none."""
        ...

    async def record_notice(self, guild: str, notice: Notice) -> None:
        """Keep that somebody has confirmed the notice."""
        ...

    async def set_deadline(self, guild: str, days: int) -> None:
        """Keep how long models go on answering that learned from words which are deleted later."""
        ...

    async def change(self, guild: str, changed: Callable[[GuildSettings], GuildSettings]) -> GuildSettings:
        """Keep the choices as `changed` makes them of those there are, and return them.

        `changed` may run several times, and what it raises is raised. Raises `TooLarge`.
        """
        ...


class Quotas(Protocol):
    """What people have had of what is counted."""

    async def change(self, guild: str, person: str, what: Counted, changed: Callable[[Used], Used]) -> None:
        """Keep what a person has had as `changed` makes it of what there is; what that raises is raised.

        `changed` may run several times.
        """
        ...


class People(Protocol):
    """Who is in the server that was asked in."""

    def roles(self) -> Mapping[str, str]:
        """Names of its roles by their ids, but for the one that everybody has."""
        ...

    async def member(self, person: str) -> str | None:
        """What the person with this id is called in it, if they are a member. Raises `Unavailable`."""
        ...

    async def may_read(self, channel: str) -> bool:
        """Whether whoever asks may read the channel, or the thread, with this id. Raises `Unavailable`."""
        ...


@dataclass(frozen=True)
class ModelFiles:
    """What a model consists of, to be handed out."""

    model: str
    """`name@version`."""
    files: Mapping[str, ObjectRef]
    """By their names in one folder."""


class Models(Protocol):
    """Models that a guild has trained, and which of them answers."""

    async def all(self, guild: str) -> list[ModelRecord]:
        """All of them, by name."""
        ...

    async def voice(self, guild: str) -> str | None:
        """The model that answers; None is the base."""
        ...

    async def use(self, guild: str, name: str, selector: str, *, force: bool = False) -> str:
        """Have a version answer from now on; returns `name@version`.

        Raises `NotFound`, or `InvalidInput` for a whole model, a checkpoint, and, but for `force`, a version
        that answers otherwise than it was taught.
        """
        ...

    async def imitates(self, guild: str, model: str) -> bool:
        """Whether `name`, `name@3` and the like answer as a person would; what is not there does not."""
        ...

    async def use_base(self, guild: str) -> None:
        """Have the base model answer from now on."""
        ...

    async def rollback(self, guild: str, name: str) -> tuple[str, str]:
        """Give a model's place back to the version that had it before; another rollback undoes that.

        Returns which version had it until now, and which one has it now, as `name@version`. Raises
        `NotFound`, also where no version had it before, or where that one does not answer any more.
        """
        ...

    async def find(self, guild: str, model: str) -> ModelVersion:
        """The version, or the checkpoint, that `name`, `name@3` and the like mean. Raises `NotFound`."""
        ...

    async def files(self, guild: str, model: str) -> ModelFiles:
        """What a version, or a checkpoint, consists of. Raises `NotFound`."""
        ...

    def merge(self, guild: str, model: str) -> AsyncIterator[Merging | ModelFiles]:
        """Make a whole model of an adapter: how far that is, at last its files. Raises `NotFound`."""
        ...


@dataclass(frozen=True)
class Question:
    """A conversation whose next message is wanted, and from whom. `model` None is the base."""

    model: str | None
    messages: list[Turn]
    examples: list[Turn] = field(default_factory=list)
    sampling: Sampling = field(default_factory=Sampling)
    in_role: bool = False
    """Whether the model speaks as somebody: under a persona, or as a person whom it imitates."""


class Answers(Protocol):
    """Models that answer. `model` is `name`, `name@3` and the like; None is the base."""

    def ask(self, guild: str, question: Question) -> AsyncIterator[Waiting | Delta | End]:
        """The next message, piece by piece; before it, perhaps, why one has to wait."""
        ...

    async def score(
        self, guild: str, model: str | None, messages: list[Turn], replies: Sequence[str]
    ) -> list[ReplyScore]:
        """How likely the model finds each of these replies."""
        ...

    async def served(self, guild: str) -> Served:
        """What inference has at hand of the guild's models. Raises `Unavailable`, `TimedOut`."""
        ...


class Feedback(Protocol):
    """Tests in which models were wrong."""

    async def keep(self, record: TestRecord) -> None:
        """Store it for a while; the same again is stored once."""
        ...

    async def tests(self, guild: str, person: str | None) -> list[TestRecord]:
        """All that are kept, of one person or of everybody, newest first."""
        ...


class Replies(Protocol):
    """What models answered, and how people found it. How long it may be known is for callers to say."""

    async def keep(self, record: ReplyRecord) -> None:
        """Store an answer for a while. Raises `TooLarge`."""
        ...

    async def find(self, guild: str, message: str) -> ReplyRecord | None:
        """The answer that was shown in this message."""
        ...

    async def latest(self, guild: str, person: str, channel: str | None) -> ReplyRecord | None:
        """What was answered last in a channel to what this person asked."""
        ...

    async def judge(self, opinion: Opinion, changed: Callable[[Opinion], Opinion]) -> Opinion:
        """Change what somebody says of an answer, or begin with `opinion`, and return it.

        `changed` may run several times.
        """
        ...

    async def decide(self, opinion: Opinion, state: Literal["approved", "rejected"]) -> bool:
        """Note what a review has decided about an opinion. False where it has changed or gone since."""
        ...

    async def opinions(self, guild: str) -> list[Opinion]:
        """All that are kept, oldest first."""
        ...


@dataclass(frozen=True)
class Heard:
    """The words in a recording."""

    text: str
    engine: str
    """Which one heard them: `sphinx`, `google`, …"""
    language: str
    """That was listened for, or found out; empty until all is heard."""


class Speech(Protocol):
    """A voice, and an ear."""

    async def speak(
        self, guild: str, text: str, language: str | None, voice: str | None = None, *, cut: bool = False
    ) -> tuple[bytes, float]:
        """The text spoken, as OGG Opus, and how many seconds it lasts. Raises what is wrong with it.

        `voice` speaks where it knows the language. Where the text is too long, it is `cut` at the end of a
        sentence, if that is wished for.
        """
        ...

    def speaking(
        self, guild: str, text: str, language: str | None, voice: str | None = None
    ) -> AsyncGenerator[bytes]:
        """The same in parts, each OGG Opus, as soon as they are spoken; at least one. It is always cut."""
        ...

    async def voices(self) -> list[str]:
        """All that can speak, by name: `espeak`, `flite/rms`."""
        ...

    def hear(self, guild: str, recording: Upload | str, language: str | None = None) -> AsyncGenerator[Heard]:
        """The words in a recording: a file, or the address of one that Discord keeps.

        Without a `language` it is found out where that can be done, otherwise it is the operator's.
        It is told as it is heard: the whole text so far, again and again, at last all of it. A file is
        forgotten afterwards. Raises what is wrong with it.
        """
        ...

    async def keep(self, guild: str, person: str, recording: Upload) -> None:
        """Keep a recording as this person's; where they have many, the oldest make room."""
        ...
