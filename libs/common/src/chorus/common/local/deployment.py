"""`chorus keys FOLDER`: all locks of a deployment of one's own, made once.

    gateway.nk trainer.nk … operator.nk monitor.nk   who each NATS user is (its seed)
    nats.env                                         their public keys, for nats-server's environment
    ca.crt ca.key nats.crt nats.key                  TLS of NATS's servers
    gateway.s3 …                                     the secret key of each user of the object store

What is there is kept, so that it may be run again at any time, after an upgrade with a new user say. What is
secret may be read by its owner alone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chorus.common.errors import Misconfigured
from chorus.common.local.certificates import HOSTS, hosts_of, lasting, read_hosts, server_certificate
from chorus.common.local.keys import nats_users, secret_files, store_identities
from chorus.common.local.nats import nkey_variable


def keys_command(words: Sequence[str]) -> list[str]:
    """Do what the command line says; returns what to tell of it. Raises `Misconfigured`."""
    parser = argparse.ArgumentParser(
        prog="chorus keys", description="Make all keys of a deployment; what is there is kept."
    )
    parser.add_argument("folder", type=Path, help="where they lie")
    parser.add_argument(
        "--hosts", help=f"what NATS's servers are called: for their certificate; {','.join(HOSTS)}"
    )
    parser.add_argument("--renew", action="store_true", help="make the certificate of NATS's servers anew")
    given = parser.parse_args(words)
    hosts = None if given.hosts is None else read_hosts(given.hosts)
    return make_keys(given.folder, hosts, renew=given.renew)


def make_keys(folder: Path, hosts: Sequence[str] | None = None, *, renew: bool = False) -> list[str]:
    """Make what is missing in `folder`; returns what to tell of it. Raises `Misconfigured`.

    `hosts` and `renew` are for the certificate of NATS's servers (`certificates.server_certificate`).
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _made(folder, hosts, renew=renew)
    except OSError as error:
        raise Misconfigured(
            f"{folder}: keys cannot be kept there ({error.strerror or error}). Name a folder of yours."
        ) from None


def _made(folder: Path, hosts: Sequence[str] | None, *, renew: bool) -> list[str]:
    users = nats_users(folder)
    public = "".join(f"{nkey_variable(user.name)}={user.public_key}\n" for user in users)
    (folder / "nats.env").write_text(public, "ascii")
    certificate = server_certificate(folder, hosts, renew=renew)
    store_identities(folder)
    for path in secret_files(folder):  # one's own, put there with the rights of any file
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    return [
        f"NATS users    {', '.join(user.name for user in users)}",
        f"certificate   for {', '.join(hosts_of(certificate))}; {lasting(certificate)}",
        f"all of it     {folder}; whoever reads it can do everything. Keep ca.key elsewhere.",
    ]
