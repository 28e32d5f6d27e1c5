"""Who and what may be called what. A name can never be a path, a subject or another guild's."""

import base64
import hashlib
import re
import unicodedata
from typing import Annotated

from pydantic import StringConstraints

NAME = r"[a-z0-9][a-z0-9-]{0,62}"
JOB_ID = r"[a-z2-7]{10}"
GUILD = r"local|dm-[0-9]{1,20}|[0-9]{1,20}"

Name = Annotated[str, StringConstraints(pattern=rf"^(?:{NAME})$")]
"""Of a dataset, a model or a file: lower-case letters, digits and hyphens, at most 63."""

Guild = Annotated[str, StringConstraints(pattern=rf"^(?:{GUILD})$")]
"""A tenant: a Discord guild id, `local` for console and command line, or `dm-<user id>`."""

JobId = Annotated[str, StringConstraints(pattern=rf"^{JOB_ID}$")]
"""Ten letters that can be read aloud and typed."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

LOCAL = "local"
DIRECT = "dm-"  # how the guild of one person's direct messages begins


def is_server(guild: str) -> bool:
    """Whether a guild is a server, where others read."""
    return guild.isdigit()


def person_of(guild: str) -> str | None:
    """Id of the person whose direct messages a guild is; None of any other."""
    return guild.removeprefix(DIRECT) if guild.startswith(DIRECT) else None


def job_id(guild: str, idempotency_key: str) -> str:
    """The id of the job that this key asks for: the same key always means the same job."""
    digest = hashlib.sha256(f"{guild}\n{idempotency_key}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[:10]


def slug(text: str) -> str:
    """The nearest valid name to what a person wrote: `Harbour Café.json` becomes `harbour-cafe-json`.

    Text with nothing usable in it (only emoji, say) gets a name from its hash.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63].rstrip("-")
    return name or hashlib.sha256(text.encode()).hexdigest()[:12]
