"""TLS towards NATS: whom we believe, and that nothing is said in plain text where TLS was asked for.

nats-py says what it has to say in plain text to any server that does not ask for TLS itself, even where the
address starts with `tls://`. Whoever stands between could be that server.
"""

import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nats.errors import Error as NatsError

from chorus.common.errors import Misconfigured

WRONG_HOST = (62, 64)  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH

# From the start, or `//`, to the last `@` before the next address.
USERINFO = re.compile(r"(?:^|(?<=://))(?:(?!://).)*@", re.DOTALL)


class PlainTextRefused(NatsError):
    """The server did not offer TLS, which we insist on."""

    def __str__(self) -> str:
        return "it speaks plain text"


def trusted(urls: Sequence[str], ca_file: Path | None) -> ssl.SSLContext | None:
    """How to check a server's certificate and name; None where plain text will do.

    Either a `ca_file` or an address with `tls://` asks for TLS. With a `ca_file` only who it holds may sign,
    else whom this machine trusts anyway. Raises `Misconfigured` when the file cannot be used.
    """
    if ca_file is None and not any(url.strip().startswith("tls://") for url in urls):
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise Misconfigured(f"CHORUS_NATS_CA: {ca_file} holds no certificate in PEM form.") from None
    except OSError as error:
        raise Misconfigured(f"CHORUS_NATS_CA: {ca_file} cannot be read ({error.strerror}).") from None


def insist_on_tls(info: dict[str, Any]) -> None:
    """Raise `PlainTextRefused` for a server whose greeting does not ask for TLS."""
    if not info.get("tls_required"):
        raise PlainTextRefused


def explained(url: str, error: Exception | None) -> Misconfigured | None:
    """What somebody has to mend, when that is why a server was not believed."""
    match error:
        case PlainTextRefused():
            why = (
                "speaks plain text, but CHORUS_NATS_CA or the address asks for TLS. "
                "Give it a certificate (`chorus keys`)"
            )
        case ssl.SSLCertVerificationError(verify_code=code) if code in WRONG_HOST:
            why = (
                f"has a certificate for other names ({error.verify_message.rstrip('.')}). "
                "Make one for this address: `chorus keys FOLDER --hosts … --renew`"
            )
        case ssl.SSLCertVerificationError():
            why = (
                f"has a certificate that is not believed ({error.verify_message}). "
                "Set CHORUS_NATS_CA to the certificate of the CA that signed it"
            )
        case _:
            return None
    return Misconfigured(f"The NATS server at {without_password(url)} {why}.")


def without_password(url: str) -> str:
    """Addresses, parted by commas, as they may be shown: without whose they are used as, and the password."""
    return USERINFO.sub("", url)
