"""Certificates of services elsewhere: what is trusted, and why a connection was not made."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

import certifi

from registry_tui.client.errors import ServiceUnavailable, UntrustedCertificate
from registry_tui.platform.listening import fingerprint_of

#: Seconds for a connection that only looks at the certificate.
PATIENCE = 10.0
#: OpenSSL's `X509_V_ERR_…`: not yet valid, expired, for another name, for another address.
_EARLY, _LATE, _OTHER_NAMES = 9, 10, (62, 64)


def context_of(trusted: str = "") -> ssl.SSLContext:
    """What to check a service's certificate with: the file `trusted`, or what this machine trusts. Raises OSError."""
    if not trusted:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        return context
    context = ssl.create_default_context(cafile=trusted)
    # A pinned certificate may have been signed by an authority that is not trusted here.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def certificate_of(url: str) -> bytes:
    """The certificate (DER) that a service shows, unchecked. Raises ServiceUnavailable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _handshake(url, context)


def check(url: str, trusted: str = "") -> None:
    """Checks a service's certificate. Raises UntrustedCertificate, ServiceUnavailable, OSError."""
    _handshake(url, context_of(trusted), pinned=bool(trusted))


def _handshake(url: str, context: ssl.SSLContext, *, pinned: bool = False) -> bytes:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), timeout=PATIENCE) as connection,
            context.wrap_socket(connection, server_hostname=host) as secured,
        ):
            return secured.getpeercert(binary_form=True) or b""
    except ssl.SSLCertVerificationError as error:
        raise untrusted(error, url, pinned=pinned) from error
    except ssl.SSLError as error:
        raise ServiceUnavailable(
            f"{url} does not speak TLS",
            action="Check the address; on this machine alone, a service may listen with http://",
        ) from error
    except OSError as error:
        raise ServiceUnavailable(
            f"{url} does not answer ({error.strerror or error})",
            action="Check the address, the network, and that the platform listens there: `registry-tui up --listen`",
        ) from error


def untrusted(error: ssl.SSLCertVerificationError, url: str, *, pinned: bool) -> UntrustedCertificate:
    """Why a certificate was not accepted, in words."""
    host = urlsplit(url).hostname or url
    code = error.verify_code
    if code in (_EARLY, _LATE):
        moment = datetime.now(UTC).astimezone()
        word = "is not valid yet" if code == _EARLY else "has expired"
        return UntrustedCertificate(
            f"The certificate of {url} {word} by this machine's clock, which shows {moment:%Y-%m-%d %H:%M %Z}",
            action="Set this machine's clock; if it is right, the service needs a new certificate",
        )
    if code in _OTHER_NAMES:
        return UntrustedCertificate(
            f"The certificate of {url} is for other names than {host}",
            action="Use a name that it is for, or have one made for this on its machine: `registry-tui up --listen … "
            f"--name {host} --new-certificate`, then sign in again",
        )
    if pinned:
        return UntrustedCertificate(
            f"The certificate of {url} has changed: it is not the one that was trusted at sign-in",
            action="Nothing was sent. Ask whoever runs the service for the new fingerprint, then `registry-tui login "
            f"{url}` again",
        )
    return UntrustedCertificate(
        f"The certificate of {url} was not signed by anybody whom this machine trusts",
        action=f"Compare its fingerprint at sign-in: `registry-tui login {url}`",
    )


def verification_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """The refusal of a certificate behind an error, if it was one."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two fingerprints are the same, however they are written."""
    plain = [each.upper().replace(":", "").replace(" ", "").removeprefix("SHA256") for each in (one, other)]
    return plain[0] == plain[1]


def fingerprint(der: bytes) -> str:
    """A certificate's SHA-256 fingerprint."""
    return fingerprint_of(der)
