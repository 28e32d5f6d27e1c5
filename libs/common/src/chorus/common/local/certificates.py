"""A certificate authority of one's own, and a certificate of NATS's servers that it has signed.

Who has certificates already puts them there as `ca.crt`, `nats.crt` and `nats.key`: what is there is kept.
`ca.key` is needed only to sign again, and is best kept elsewhere.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chorus.common.errors import Misconfigured
from chorus.common.local.keys import write_secret

HOSTS = ("nats", "localhost", "127.0.0.1")
HOST = re.compile(
    r"(?=.{1,253}$)(?:\*\.)?(?:(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\.)*(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII
)
"""A name in DNS; with `*.` before it, of every host below."""
CA_LASTS = timedelta(days=3650)
SERVER_LASTS = timedelta(days=730)
CLOCKS_DIFFER = timedelta(hours=1)  # a certificate of this minute is not yet valid where a clock is slow

Key = ec.EllipticCurvePrivateKey


def server_certificate(folder: Path, hosts: Sequence[str] | None, *, renew: bool = False) -> x509.Certificate:
    """The certificate of NATS's servers in `folder`, made where it is missing, or anew with `renew`.

    One for all servers: `hosts` are the names and addresses by which clients and other servers call them.
    Without `hosts`, they are those of the certificate that is there, else `HOSTS`.
    Raises `Misconfigured` when what is there cannot be used, or is for other hosts.
    """
    path, key_path = folder / "nats.crt", folder / "nats.key"
    old = _read_certificate(path) if _both(path, key_path) else None
    if old and not renew:
        if missing := set(hosts or ()) - set(hosts_of(old)):
            raise Misconfigured(
                f"{path} is for {', '.join(hosts_of(old))}, and not for {', '.join(sorted(missing))}. "
                "--renew makes a new one."
            )
        return old
    authority, authority_key = _authority(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed(authority, authority_key, key, hosts or (hosts_of(old) if old else HOSTS))
    _write_key(key_path, key)
    _write_certificate(path, certificate)
    return certificate


def hosts_of(certificate: x509.Certificate) -> list[str]:
    """The names and addresses that a certificate is for."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name) for kind in (x509.DNSName, x509.IPAddress) for name in names.get_values_for_type(kind)]


def read_hosts(text: str) -> list[str]:
    """Names and addresses, with commas between them. Raises `Misconfigured` for what is neither."""
    hosts = [host.strip() for host in text.split(",")]
    for host in hosts:
        if not HOST.fullmatch(host) and not _is_address(host):
            raise Misconfigured(
                f"--hosts: {host!r} is no host's name and no address. Write them without port, and "
                "international names as xn--…: nats.example.org,10.0.0.7."
            )
    return hosts


def lasting(certificate: x509.Certificate) -> str:
    """How long a certificate is good, or since when it is not."""
    until = certificate.not_valid_after_utc
    if until <= datetime.now(UTC):
        return f"expired on {until:%Y-%m-%d}: --renew makes a new one"
    return f"good until {until:%Y-%m-%d}"


def _authority(folder: Path) -> tuple[x509.Certificate, Key]:
    """The authority in `folder`, made where there is none."""
    path, key_path = folder / "ca.crt", folder / "ca.key"
    if _both(path, key_path):
        return _read_certificate(path), _read_key(key_path)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Chorus CA")])
    certificate = (
        _begun(name, name, key.public_key(), CA_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_path, key)
    _write_certificate(path, certificate)
    return certificate, key


def _signed(
    authority: x509.Certificate, authority_key: Key, key: Key, hosts: Iterable[str]
) -> x509.Certificate:
    """For both ends: servers of a cluster are clients of each other."""
    both_ends = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nats")])
    return (
        _begun(name, authority.subject, key.public_key(), SERVER_LASTS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both_ends), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(signer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lasts: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(host)) if _is_address(host) else x509.DNSName(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _both(path: Path, key_path: Path) -> bool:
    """Whether both are there. One alone is a mistake that must not be written over."""
    if path.exists() != key_path.exists():
        there, missing = (path, key_path) if path.exists() else (key_path, path)
        raise Misconfigured(f"{there} is there, but {missing.name} is not: put it there, or move both away.")
    return path.exists()


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise Misconfigured(f"{path} is no certificate in PEM form.") from None


def _read_key(path: Path) -> Key:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        raise Misconfigured(f"{path} is no private key in PEM form without a password.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Misconfigured(f"{path} is of another kind than ours, on an elliptic curve: sign elsewhere.")
    return key


def _write_key(path: Path, key: Key) -> None:
    write_secret(
        path,
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
