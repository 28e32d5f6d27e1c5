"""Secrets of one machine's stack, made once and kept in the data folder, readable by its owner alone."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import nkeys

from chorus.common.contracts.permissions import USERS
from chorus.common.errors import Misconfigured


@dataclass(frozen=True)
class NatsUser:
    """A NATS user: the seed proves who one is, the public key goes into the server's configuration."""

    name: str
    seed_file: Path
    public_key: str


@dataclass(frozen=True)
class S3Credentials:
    """The one S3 identity of this machine."""

    access_key: str
    secret_key: str


def nats_users(folder: Path) -> list[NatsUser]:
    """The users of `contracts.permissions`, each with its seed file in `folder`."""
    users = []
    for name in USERS:
        path = folder / f"{name}.nk"
        if not path.exists():
            _write_secret(path, nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER))
        try:
            pair = nkeys.from_seed(bytearray(path.read_bytes().strip()))
        except Exception:  # nkeys raises whatever its decoding meets
            raise _damaged(path) from None
        users.append(NatsUser(name, path, bytes(pair.public_key).decode()))
    return users


def s3_credentials(folder: Path) -> S3Credentials:
    """The credentials in `folder`, made on first use."""
    path = folder / "s3.json"
    if not path.exists():
        made = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_urlsafe(30)}
        _write_secret(path, json.dumps(made).encode())
    try:
        return S3Credentials(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        raise _damaged(path) from None


def _damaged(path: Path) -> Misconfigured:
    return Misconfigured(f"CHORUS_DATA: {path} is damaged. Delete it; the next start makes a new one.")


def _write_secret(path: Path, data: bytes) -> None:
    """Write a whole file that only its owner may read, or none."""
    partial = path.with_suffix(".new")
    partial.touch(mode=0o600)
    partial.write_bytes(data)
    partial.rename(path)
