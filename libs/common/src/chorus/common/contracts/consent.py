"""Who may be learned from: what the operator may do, what a guild has confirmed, what each person wants.

    consent.v1.set      SetConsent → ConsentRecord       opt in, opt out
    consent.v1.forget   Forget → Forgotten               delete a person's words, everywhere
    consent.v1.export   ExportPerson → Exported          all that is kept of a person's words, as a ZIP
    KV consent          <guild>.<person>  →  ConsentRecord

What an operator may do with messages that come through Discord's API is a setting of the gateway,
`CHORUS_TRAIN_ON_MESSAGES` (Discord's Developer Policy, rule 21, forbids training on them without
permission):

    off         nothing: only files that were uploaded, the console, the command line
    submitted   also what people hand over on purpose: `!train "…"`, `!correct`, and what a review approves;
                the first time in a guild, somebody who runs it confirms that they may use it, and that is
                recorded (`guild.Notice`)
    permitted   also the history of channels, of people who opted in; with the reference of the permission

A person is a Discord user id, `local`, or, where a source knows only names, a name.
"""

import base64
import hashlib
import re
from typing import Literal

from pydantic import Field, NonNegativeInt

from chorus.common.contracts.names import Guild
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import Request, Time, Wire

SET = "consent.v1.set"
FORGET = "consent.v1.forget"
EXPORT = "consent.v1.export"

Mode = Literal["off", "submitted", "permitted"]

NAMES_KEPT = 64
"""Of one person: those that were given, and accounts that go with their id in the data."""

BY_NAME = "name:"
"""Before the name of an author whose source has no ids."""


class ConsentRecord(Wire):
    """What one person wants, in one guild. The last word counts."""

    guild: Guild
    person: str = Field(min_length=1, max_length=100)
    state: Literal["in", "out"]
    names: list[str] = Field(default=[], max_length=NAMES_KEPT)
    """By which sources without ids are matched, whatever their case."""
    said_by: str
    """Who said so: the person, or whoever runs the guild."""
    at: Time
    forget_since: Time | None = None
    """A deletion was asked for then, and is not done yet."""
    forgotten_at: Time | None = None
    """The last deletion was done then."""


class SetConsent(Request):
    """A person opts in or out. Out: nothing of theirs is in any later build."""

    guild: Guild
    person: str = Field(min_length=1, max_length=100)
    state: Literal["in", "out"]
    names: list[str] = Field(default=[], max_length=16)
    said_by: str


class Forget(Request):
    """Delete a person's words from raw files, datasets and archives; models that learned them go stale.

    From then on they are opted out. Asked for twice, it is done once.
    """

    guild: Guild
    person: str = Field(min_length=1, max_length=100)
    names: list[str] = Field(default=[], max_length=16)
    said_by: str


class Forgotten(Wire):
    """What was done."""

    datasets: list[str]
    """Versions that were withdrawn; each one has a newer one without these words, if any are left."""
    objects: NonNegativeInt
    """Bytes in S3 that were deleted, in objects."""
    feedback: NonNegativeInt = 0
    """Tests, questions with their answers, opinions of them, examples and personas that were deleted."""
    models: list[str]
    """Versions that learned from these words: `name@version`."""
    blocked_at: Time | None = None
    """When those stop answering. A newer version without these words has to be trained by somebody."""


class ExportPerson(Request):
    """Gather all that is kept of a person's words."""

    guild: Guild
    person: str = Field(min_length=1, max_length=100)
    names: list[str] = Field(default=[], max_length=16)


class Exported(Wire):
    """A ZIP in the bucket `files`: messages of each dataset, tests, examples, recordings, what they want."""

    archive: ObjectRef
    messages: NonNegativeInt


def consent_key(guild: str, person: str) -> str:
    """Key of a person's entry: their id, or a hash where it is a name, which could be any text."""
    if is_id(person):
        return f"{guild}.{person}"
    digest = hashlib.sha256(person.removeprefix(BY_NAME).casefold().encode()).digest()
    return f"{guild}.n-{base64.b32encode(digest).decode().lower()[:20]}"


def is_id(person: str) -> bool:
    """Whether this is a person's id, and no name."""
    return re.fullmatch(r"[0-9]{1,20}|local", person) is not None
