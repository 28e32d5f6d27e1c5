"""What the curation process is given, and what it tells: JSON lines on its standard output."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, TypeAdapter

from chorus.common.contracts.datasets import Building, BuildOptions, Card, Piece
from chorus.common.contracts.wire import Part


class OrderedFile(Part):
    """A file on this machine's disk, by the name that people know."""

    name: str
    path: str


class BuildOrder(Part):
    """Build a dataset, from files or from the records of an earlier build."""

    kind: Literal["build"] = "build"
    base: str
    """Name of the base model whose tokenizer counts, as `base_model.find` takes it."""
    files: list[OrderedFile] = Field(default=[])
    records: str | None = None
    """File of the records of an earlier build, instead of `files`."""
    format: str = ""
    """What that build's card said of its files."""
    out: str
    """Empty folder for records.jsonl, examples.jsonl and people.json."""
    options: BuildOptions
    label: bool
    contributor: str
    opted_out: list[str] = Field(default=[])
    """Ids of people whose words are left out, and names for sources without ids."""
    out_names: list[str] = Field(default=[])
    only: list[str] | None = None
    """Ids of the only people whose words are taken."""
    memory: PositiveInt
    """Bytes that the process may use."""


class PreviewOrder(Part):
    """Show examples as a model will see them."""

    kind: Literal["preview"] = "preview"
    base: str
    examples: str
    """File of `Example` lines."""
    count: PositiveInt
    memory: PositiveInt


Order = BuildOrder | PreviewOrder
ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="kind")])


class Built(Part):
    """The dataset lies in the order's folder."""

    type: Literal["built"] = "built"
    card: Card
    options: BuildOptions
    """With which it was built: a source may name some itself."""


class Shown(Part):
    """The samples, each in pieces that are learned or not."""

    type: Literal["shown"] = "shown"
    samples: list[list[Piece]]


class Failed(Part):
    """It cannot be done, and trying again would not help."""

    type: Literal["failed"] = "failed"
    code: str
    message: str
    param: str | None = None


Report = Building | Built | Shown | Failed
REPORT: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="type")])
