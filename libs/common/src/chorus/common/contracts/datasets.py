"""Datasets: what people hand over, as examples that a trainer can learn from.

    data.v1.import   ImportFile → Imported | error
    KV datasets      <guild>.<name>  →  DatasetRecord, all versions of one name

A dataset version is immutable: its examples lie in S3 as JSON lines, one `Example` a line.
"""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from chorus.common.contracts.names import Guild, Name
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import Part, Request, Time, Wire

IMPORT = "data.v1.import"

Role = Literal["system", "user", "assistant"]


class Turn(Part):
    """One message of a conversation. `name` tells several users apart."""

    role: Role
    content: str
    name: str | None = None


class Example(Part):
    """One conversation to learn from, ending with the reply to learn.

    `label` says whether the reply is wanted. `contributors` are the people whose words these are:
    deletion and consent follow them. A lone assistant turn is plain text, learned as it stands.
    """

    messages: list[Turn]
    label: bool = True
    contributors: list[str]
    source: str


class ImportFile(Request):
    """Turn an uploaded file into a dataset version. Answered with `Imported`, or with what is wrong."""

    guild: Guild
    name: Name
    file: ObjectRef
    filename: str = Field(max_length=255)
    label: bool = True
    contributor: str = Field(min_length=1, max_length=64)


class Dataset(Part):
    """One immutable version, with its card: every record read was kept or dropped, by reason."""

    guild: Guild
    name: Name
    version: PositiveInt
    examples: ObjectRef
    format: str
    read: NonNegativeInt
    kept: PositiveInt
    dropped: dict[str, int] = Field(default={})
    positive: NonNegativeInt
    contributors: list[str]
    warnings: list[str] = Field(default=[])
    created_at: Time

    @property
    def id(self) -> str:
        """As people and manifests name it: `name@version`."""
        return f"{self.name}@{self.version}"


class Imported(Wire):
    """The dataset version that now holds the file. The same bytes again give the same version."""

    dataset: Dataset


class DatasetRecord(Wire):
    """All versions of one name, oldest first."""

    versions: list[Dataset]
