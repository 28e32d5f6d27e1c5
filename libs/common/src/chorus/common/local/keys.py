"""Secrets of one machine's stack, made once and kept in the data folder, readable by its owner alone."""

import json
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nkeys

from chorus.common.contracts.permissions import SYSTEM_USERS, USERS
from chorus.common.contracts.policies import STORE_USERS, iam_policy
from chorus.common.errors import Misconfigured

IDENTITIES = "seaweedfs.json"
SECRET_FILES = ("*.nk", "*.s3", "*.key", IDENTITIES)


@dataclass(frozen=True)
class NatsUser:
    """A NATS user: the seed proves who one is, the public key goes into the server's configuration."""

    name: str
    seed_file: Path
    public_key: str


@dataclass(frozen=True)
class StoreUser:
    """A user of the object store, whose access key is its name."""

    name: str
    secret_key: str


def nats_users(folder: Path) -> list[NatsUser]:
    """The users of `contracts.permissions`, each with its seed file in `folder`."""
    users = []
    for name in (*USERS, *SYSTEM_USERS):
        path = folder / f"{name}.nk"
        if not path.exists():
            write_secret(path, nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER))
        try:
            pair = nkeys.from_seed(bytearray(path.read_bytes().strip()))
        except Exception:  # nkeys raises whatever its decoding meets
            raise _damaged(path) from None
        users.append(NatsUser(name, path, bytes(pair.public_key).decode()))
    return users


def store_users(folder: Path) -> list[StoreUser]:
    """The users of `contracts.policies`, each with its secret in `folder`, made on first use."""
    return [StoreUser(name, store_secret(folder, name)) for name in STORE_USERS]


def store_secret(folder: Path, name: str) -> str:
    """The secret key of one user of the object store."""
    path = folder / f"{name}.s3"
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(30).encode())
    secret = path.read_text("ascii", "replace").strip()
    if not re.fullmatch(r"[\w-]{20,}", secret, re.ASCII):
        raise _damaged(path)
    return secret


def store_identities(folder: Path) -> Path:
    """The file that tells the S3 server of SeaweedFS who they are and what each may do; written anew."""
    users = store_users(folder)
    identities = [
        {
            "name": user.name,
            "credentials": [{"accessKey": user.name, "secretKey": user.secret_key}],
            "policyNames": [user.name],
        }
        for user in users
    ]
    policies = [
        {"name": user.name, "content": json.dumps(iam_policy(STORE_USERS[user.name]))} for user in users
    ]
    path = folder / IDENTITIES
    write_secret(path, json.dumps({"identities": identities, "policies": policies}, indent=2).encode())
    return path


def _damaged(path: Path) -> Misconfigured:
    return Misconfigured(
        f"{path} is damaged. Put it back if there is a copy; else delete it: the next `chorus up` or "
        "`chorus keys` on this folder makes a new one."
    )


def write_secret(path: Path, data: bytes) -> None:
    """Write a whole file that only its owner may read, or none."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # no link is followed
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def secret_files(folder: Path) -> list[Path]:
    """What in a folder of keys is for its owner alone: all but certificates and public keys."""
    return sorted(path for pattern in SECRET_FILES for path in folder.glob(pattern))
