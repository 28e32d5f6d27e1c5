"""What a reader is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chorus.common.contracts.datasets import BuildOptions
from chorus.trainer.curation.notes import Part
from chorus.trainer.curation.records import Dropped, Record
from chorus.trainer.curation.source import Source


@dataclass(frozen=True)
class Reader:
    """A format by name, how it is told by its start, and how it is read."""

    name: str
    """As people know it: `DiscordChatExporter JSON`."""
    fits: Callable[[str], bool]
    """Whether a file that starts like this (64 KiB of text, no byte-order mark) is of this format."""
    read: Callable[[Source, BuildOptions], Iterator[Record]]
    """Exactly one record for each entry. Raises `InvalidInput` for a file that is not what it looks like."""
    part: Callable[[str], Part | None] | None = None
    """Of what kind of channel a file that starts like this is an export, where the format tells."""


def cut_off(source: Source) -> Dropped:
    """The entry in which a file ends too early, or what would have come after the last one."""
    return Dropped(
        "cut off", mend=f"{source.name} ends too early: what was whole is read. Export it again for the rest."
    )
