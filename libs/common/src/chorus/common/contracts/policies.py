"""Which service may do what in the object store: least privilege, as `permissions` says it for NATS.

Each user has credentials of its own, and a policy in the words of IAM, which SeaweedFS, MinIO and AWS all
read. To read is also to list: S3 says that a key does not exist only to those who may list.
"""

from dataclasses import dataclass
from typing import Any

from chorus.common.contracts.storage import BUCKETS, DATASETS, FILES, MODELS


@dataclass(frozen=True)
class Rights:
    """Buckets, by what one user may do with what lies in them."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()


STORE_USERS = {
    "gateway": Rights(reads=(DATASETS, MODELS, FILES), writes=(FILES,), deletes=(FILES,)),
    "trainer": Rights(reads=BUCKETS, writes=BUCKETS, deletes=BUCKETS),
    "inference": Rights(reads=(MODELS,)),
    "speech": Rights(reads=(FILES,), writes=(FILES,)),
    "provisioner": Rights(reads=BUCKETS, writes=BUCKETS, makes=BUCKETS),  # `chorus restore`
    "operator": Rights(reads=BUCKETS, writes=(FILES,)),  # backups; `chorus doctor` writes an object
}
"""By the names that these users have on NATS, too."""


def iam_policy(rights: Rights) -> dict[str, Any]:
    """The policy that grants these rights and nothing else, ready to be written as JSON."""
    granted = (
        (("s3:GetObject",), rights.reads, "/*"),
        (("s3:ListBucket",), tuple(dict.fromkeys((*rights.reads, *rights.makes))), ""),
        (("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"), rights.writes, "/*"),
        (("s3:DeleteObject",), rights.deletes, "/*"),
        (("s3:CreateBucket",), rights.makes, ""),
    )
    statements = [
        {
            "Effect": "Allow",
            "Action": list(actions),
            "Resource": [f"arn:aws:s3:::{bucket}{inside}" for bucket in buckets],
        }
        for actions, buckets, inside in granted
        if buckets
    ]
    return {"Version": "2012-10-17", "Statement": statements}
