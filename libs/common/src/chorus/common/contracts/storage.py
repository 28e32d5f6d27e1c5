"""Bytes by reference: what is too big for a message lies in S3 and is named by bucket, key and hash."""

from pydantic import NonNegativeInt

from chorus.common.contracts.names import Sha256
from chorus.common.contracts.wire import Part

DATASETS, MODELS, CHECKPOINTS, FILES = "datasets", "models", "checkpoints", "files"
BUCKETS = (DATASETS, MODELS, CHECKPOINTS, FILES)


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
