"""Bytes by reference: what is too big for a message lies in S3 and is named by bucket, key and hash."""

from uuid import uuid4

from pydantic import NonNegativeInt

from chorus.common.contracts.names import Sha256
from chorus.common.contracts.wire import Part

DATASETS, MODELS, CHECKPOINTS, FILES = "datasets", "models", "checkpoints", "files"
BUCKETS = (DATASETS, MODELS, CHECKPOINTS, FILES)

ONCE = "once"
"""Folder in the bucket `files`: `<guild>/once/…`. What lies there is handed over once."""


def once(guild: str) -> str:
    """A new key for what is handed over once: whoever needs it last deletes it, the keeper after an hour.

    It is nobody else's: of two who have the same said, neither deletes what the other has yet to fetch.
    """
    return f"{guild}/{ONCE}/{uuid4().hex}"


class ObjectRef(Part):
    """One immutable object. Its key starts with the guild; its bytes hash to `sha256`."""

    bucket: str
    key: str
    size: NonNegativeInt
    sha256: Sha256

    def belongs_to(self, guild: str, bucket: str) -> bool:
        """Whether it is one of this guild's own, in this bucket; a key that climbs is nobody's."""
        steps = self.key.split("/")
        return self.bucket == bucket and steps[0] == guild and len(steps) > 1 and ".." not in steps
