"""A whole model out of an adapter: its base with the adapter merged into the weights.

train.v1.merge               Merge → Merging*, Merged
train.v1.cancel.<request>    stop it
S3 files                     <guild>/merged/<sha256 of the manifest>/…, for a day
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from chorus.common.contracts.names import Guild
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import Part, Request, Wire

MERGE = "train.v1.merge"
CANCEL = "train.v1.cancel"


class Merge(Request):
    """Merge a version, or a checkpoint, into its base."""

    guild: Guild
    model: str = Field(max_length=128)
    """`name`, `name@3`, `name@3-final`."""


class Merging(Part):
    """How far that is, in words; at least every few seconds."""

    type: Literal["merging"] = "merging"
    stage: str


class MergedFile(Part):
    """One file of the whole model."""

    name: str
    file: ObjectRef


class Merged(Wire):
    """The whole model, in safetensors: its files can be fetched for a day."""

    type: Literal["merged"] = "merged"
    model: str
    """`name@3`."""
    files: list[MergedFile]


MergeReply = Annotated[Merging | Merged, Field(discriminator="type")]
MERGE_REPLY: TypeAdapter[Merging | Merged] = TypeAdapter(MergeReply)
