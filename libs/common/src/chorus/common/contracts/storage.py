"""Bytes by reference: what is too big for a message lies in S3 and is named by bucket, key and hash."""

from pydantic import NonNegativeInt

from chorus.common.contracts.names import Sha256
from chorus.common.contracts.wire import Part

DATASETS, MODELS, FILES = "datasets", "models", "files"
BUCKETS = (DATASETS, MODELS, FILES)


class ObjectRef(Part):
    """One immutable object. Its key starts with the guild; its bytes hash to `sha256`."""

    bucket: str
    key: str
    size: NonNegativeInt
    sha256: Sha256
