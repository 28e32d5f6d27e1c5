"""Datasets: what people hand over, as examples that a trainer can learn from.

    data.v1.import    Import → Building*, Imported         files that were uploaded → a new version
    data.v1.build     Rebuild → Building*, Imported        what a version was read from, built another way
    data.v1.list      ListDatasets → Datasets              all names of a guild with all versions
    data.v1.preview   Preview → Previewed                  a few examples, as a model will see them
    data.v1.select    Select → Selected                    what a bare `!train` uses; with a snapshot
    data.v1.archive   Archive → Archived                   a version as a ZIP
    data.v1.delete    DeleteDataset → Deleted              a name with all its versions
    data.v1.cancel.<request>                               stop an import or a build
    KV datasets       <guild>.<name>  →  DatasetRecord     all versions of one name
    S3 datasets       <guild>/<name>/<place>/…             records.jsonl, examples.jsonl, people.json

A version is immutable. Its `records` are what was read, its `examples` what is learned: JSON lines, one
`Example` a line, in the order of time. Who spoke is in `people`: consent and deletion follow it.
"""

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
)

from chorus.common.contracts.names import Guild, Name
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import Part, Request, StrictPart, Time, Wire

IMPORT = "data.v1.import"
BUILD = "data.v1.build"
LIST = "data.v1.list"
PREVIEW = "data.v1.preview"
SELECT = "data.v1.select"
ARCHIVE = "data.v1.archive"
DELETE = "data.v1.delete"
CANCEL = "data.v1.cancel"

VERSIONS_KEPT = 64
LONGEST_FILENAME = 255  # characters
"""Of one name. The oldest one goes when there is one more: its bytes are deleted, its models stay."""

FORGOTTEN = "words in it were deleted on request"
"""Why a version was withdrawn that models must not go on answering from."""

Role = Literal["system", "user", "assistant"]
Split = Literal["train", "validation"]
Way = Literal["uploaded", "submitted", "mined"]
"""How words come to be learned from."""


class Turn(Part):
    """One message of a conversation. `name` tells several users apart."""

    role: Role
    content: str
    name: str | None = None


class Example(Part):
    """One conversation to learn from; every assistant turn that answers somebody is learned.

    A lone assistant turn is plain text, learned as it stands.
    """

    messages: list[Turn]
    label: bool = True
    """Whether these replies are wanted; those that are not are kept for preference training."""
    contributors: list[str]
    """Ids of the people whose words these are: deletion and consent follow them."""
    source: str
    split: Split = "train"
    situational: bool = False
    """Whether a reply hangs on a day, an hour or a place that nothing before it speaks of."""


class Source(Part):
    """An uploaded file, as the person called it."""

    file: ObjectRef
    filename: str = Field(min_length=1, max_length=LONGEST_FILENAME)


class Basis(Part):
    """By what right the words are learned from; `contracts.consent` says what the modes mean."""

    way: Way = "uploaded"
    mode: Literal["off", "submitted", "permitted"] = "submitted"
    reference: str | None = Field(default=None, max_length=200)
    """Of Discord's permission, where the mode is `permitted`."""


class BuildOptions(StrictPart):
    """How messages become examples. Each has a default that fits a chat among friends."""

    target: str | None = Field(default=None, max_length=100)
    """Whose replies are learned: an id, or a name as it stands in the export. None: in each conversation
    those of whoever answers most."""
    locale: str | None = Field(default=None, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z]{2,4})?$")
    """Of a TXT export whose dates can be read in two ways: `en-US`, `en-GB`, `de-DE`, …"""
    user: str | None = Field(default=None, max_length=100)
    """Column of a table with what is asked, where it is not called `user`, `input`, `prompt`, …"""
    bot: str | None = Field(default=None, max_length=100)
    """Column of a table with what is answered."""
    real_names: bool = False
    """Whether speakers keep their names; otherwise they are u1, u2, …"""
    gap_minutes: PositiveInt = Field(default=60, le=60 * 24 * 7)
    """Silence after which a new conversation begins."""
    merge_minutes: NonNegativeInt = Field(default=5, le=60 * 24)
    """Messages of one person within this time are one turn."""
    max_tokens: int = Field(default=1024, ge=32, le=32768)
    """Of one example; longer conversations are cut between messages."""
    min_words: NonNegativeInt = Field(default=0, le=100)
    """Shorter messages are left out."""
    bots: bool = False
    """Whether the words of bots are kept."""
    duplicates: Literal["drop", "keep"] = "drop"
    """What becomes of messages that were there before, word for word or nearly so."""
    personal_data: Literal["replace", "keep"] = "replace"
    """E-mail addresses, numbers, tokens and the like become placeholders such as `<email>`."""
    situational: Literal["keep", "drop"] = "keep"
    """What becomes of replies that hang on a day, an hour or a place which nothing before them speaks of."""
    context_length: int | None = Field(default=None, ge=1, le=20)
    """Messages before each reply, in place of whole conversations: mimicbot's way, for little data."""
    context_window: int | None = Field(default=None, ge=1, le=20)
    """With `context_length`: all ordered choices of so many out of the last `context_window`."""

    @model_serializer(mode="wrap")
    def _only_what_was_chosen(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        """What nobody has chosen is left out: a source may know better."""
        return {name: value for name, value in serialize(self).items() if name in self.model_fields_set}


class Import(Request):
    """Turn uploaded files into a dataset version. The same files and options again are the same version."""

    guild: Guild
    name: Name
    files: list[Source] = Field(min_length=1, max_length=100)
    label: bool = True
    contributor: str = Field(min_length=1, max_length=64)
    """Who handed it over: the author of words that name no other."""
    basis: Basis = Basis()
    options: BuildOptions = BuildOptions()
    after: NonNegativeInt | None = None
    """The newest version that the files go on from, 0 for none: with another one there by then, nothing is
    made, so that of two who add to it at once neither loses what they add. None is whichever there is."""


class Rebuild(Request):
    """Build a version anew, with other options. What it was read from is read again."""

    guild: Guild
    dataset: str
    """`name` (its newest version) or `name@3`."""
    options: BuildOptions


class Building(Part):
    """How far a build is, at most once a second."""

    type: Literal["building"] = "building"
    stage: str
    done: NonNegativeInt = 0
    total: NonNegativeInt = 0
    """Bytes or records; 0 where it is not known."""


class Histogram(Part):
    """How many examples have how many tokens: `counts[i]` have at most `edges[i]`, and more than the last."""

    edges: list[int]
    counts: list[int]


class Speaker(Part):
    """One person in the data."""

    name: str
    messages: PositiveInt


class Card(Part):
    """What is in a version. Each record that was read was kept or dropped, by reason."""

    format: str
    read: NonNegativeInt
    kept: NonNegativeInt
    dropped: dict[str, int] = Field(default={})
    examples: PositiveInt
    positive: NonNegativeInt
    validation: NonNegativeInt = 0
    """Examples kept aside: the newest conversations, whole."""
    conversations: NonNegativeInt = 0
    tokens: NonNegativeInt
    """Of all examples, counted with the base model's tokenizer and its template."""
    lengths: Histogram
    speakers: list[Speaker] = Field(default=[])
    """Those who say most, as they are named in the examples."""
    people: NonNegativeInt = 0
    first_at: Time | None = None
    last_at: Time | None = None
    replaced: dict[str, int] = Field(default={})
    """Personal data that became placeholders, by kind."""
    situational: NonNegativeInt = 0
    warnings: list[str] = Field(default=[])


class Dataset(Part):
    """One immutable version."""

    guild: Guild
    name: Name
    version: PositiveInt
    examples: ObjectRef
    records: ObjectRef
    """What was read, before any of it was changed or left out, but for people who opted out."""
    people: ObjectRef
    card: Card
    sources: list[Source]
    options: BuildOptions = BuildOptions()
    label: bool = True
    basis: Basis = Basis()
    contributor: str
    created_at: Time
    withdrawn: str | None = None
    """Why its bytes are gone, if they are, or go now."""
    purged: bool = False
    """Whether all of them are gone; then nothing here speaks of what was in it, either."""

    @property
    def id(self) -> str:
        """As people and manifests name it: `name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def imitates(self) -> bool:
        """Whether the replies in it are those of one person, who was named."""
        return self.options.target is not None

    def objects(self) -> tuple[ObjectRef, ...]:
        """All bytes of its own."""
        return (self.examples, self.records, self.people)


class Imported(Wire):
    """The dataset version that now holds the files."""

    type: Literal["imported"] = "imported"
    dataset: Dataset


BuildReply = Annotated[Building | Imported, Field(discriminator="type")]
BUILD_REPLY: TypeAdapter[Building | Imported] = TypeAdapter(BuildReply)


class DatasetRecord(Wire):
    """All versions of one name, oldest first."""

    versions: list[Dataset]

    def find(self, version: int | None = None) -> Dataset | None:
        """This version, or the newest one that is whole."""
        if version is None:
            return next((v for v in reversed(self.versions) if not v.withdrawn), None)
        return next((v for v in self.versions if v.version == version), None)


class ListDatasets(Request):
    """What datasets are there?"""

    guild: Guild


class Datasets(Wire):
    """All of a guild's that are there, by name; of each name the newest versions first, and at most eight."""

    datasets: list[Dataset]
    selected: str | None = None
    """What a bare `!train` uses: `name@version`."""


class Preview(Request):
    """Show a few examples as a model will see them."""

    guild: Guild
    dataset: str
    count: PositiveInt = Field(default=3, le=20)


class Piece(Part):
    """A run of text, and whether it is learned."""

    text: str
    learned: bool


class Previewed(Wire):
    """Examples from the whole of the data, each rendered with the base model's template, piece by piece."""

    dataset: Dataset
    samples: list[list[Piece]]


class Select(Request):
    """Make a dataset what a bare `!train` uses from now on, and take a snapshot of it."""

    guild: Guild
    dataset: str
    label: bool = True
    """Whether its replies are wanted; if it was built otherwise, it is built anew."""


class Selected(Wire):
    """The version that was chosen, and its archive."""

    dataset: Dataset
    archive: ObjectRef


class Archive(Request):
    """Pack a version into a ZIP: its examples, its card, and how it was made."""

    guild: Guild
    dataset: str


class Archived(Wire):
    """The ZIP, in the bucket `files`."""

    dataset: Dataset
    archive: ObjectRef
    filename: str


class DeleteDataset(Request):
    """Delete a name with all its versions, their archives and the files they came from."""

    guild: Guild
    name: Name


class Deleted(Wire):
    """How much is gone."""

    versions: NonNegativeInt
    objects: NonNegativeInt


def dataset_key(guild: str, name: str) -> str:
    """Key of a dataset's entry."""
    return f"{guild}.{name}"
