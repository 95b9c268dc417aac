"""Certificates of remote services: the trusted ones, and why a connection failed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpx

from registry_tui.client.errors import CertificateOfAnotherTime, ServiceUnavailable, UntrustedCertificate
from registry_tui.platform.listening import fingerprint_of

#: Seconds for a connection that only checks the certificate.
PATIENCE = 10.0
#: OpenSSL's `X509_V_ERR_…`: not yet valid, expired, for another name, for another address.
_EARLY, _LATE, _OTHER_NAMES = 9, 10, (62, 64)
_NO_TLS = "Check the address; on this machine alone, a service may listen with http://"


def context_of(trusted: str = "") -> ssl.SSLContext:
    """The context for verifying a service's certificate: with the file `trusted`, or this machine's trust store. Raises
    OSError."""
    if not trusted:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        return context
    context = ssl.create_default_context(cafile=trusted)
    # A pinned certificate may have been signed by an authority that is not trusted here.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def certificate_of(url: str) -> bytes:
    """The certificate (DER) that a service presents, unverified. Raises ServiceUnavailable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _handshake(url, context)


def check(url: str, trusted: str = "") -> None:
    """Verifies a service's certificate. Raises UntrustedCertificate, ServiceUnavailable, OSError."""
    _handshake(url, context_of(trusted), pinned=bool(trusted))


class _Shaken(Exception):
    """The handshake is done, and nothing was sent after it."""


def _handshake(url: str, context: ssl.SSLContext, *, pinned: bool = False) -> bytes:
    """Connects as `Transport` does, through the same proxy, and ends before the request."""
    shown: list[bytes] = []

    def followed(event: str, info: dict[str, Any]) -> None:
        # HTTPX's documented extension `trace`, with the events of httpcore.
        if event.endswith(".start_tls.complete"):
            secured = info["return_value"].get_extra_info("ssl_object")
            # By position: it is the interpreter's own object, without names.
            shown.append(secured.getpeercert(True) or b"")
        elif event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            raise _Shaken

    try:
        with httpx.Client(verify=context, timeout=PATIENCE) as client:
            client.get(url, extensions={"trace": followed})
    except _Shaken:
        # The last one: earlier ones may be of a proxy with its own TLS.
        return shown[-1]
    except httpx.ProxyError as error:
        raise ServiceUnavailable(
            f"The proxy of this shell does not lead to {url} ({error})",
            action="Check HTTPS_PROXY, or except the service from it with NO_PROXY",
        ) from error
    except httpx.HTTPError as error:
        raise _unreachable(error, url, pinned=pinned) from error
    raise ServiceUnavailable(f"{url} does not speak TLS", action=_NO_TLS)


def _unreachable(error: httpx.HTTPError, url: str, *, pinned: bool) -> ServiceUnavailable:
    """Why the handshake failed."""
    if (refused := verification_error(error)) is not None:
        return untrusted(refused, url, pinned=pinned)
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return ServiceUnavailable(f"{url} does not speak TLS", action=_NO_TLS)
    reasons = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    reason = "timed out" if isinstance(error, httpx.TimeoutException) else (reasons or [str(error)])[-1]
    return ServiceUnavailable(
        f"{url} does not answer ({reason})",
        action="Check the address, the network, and that the platform listens there: `registry-tui up --listen`",
    )


def untrusted(error: ssl.SSLCertVerificationError, url: str, *, pinned: bool) -> UntrustedCertificate:
    """Why a service's certificate was rejected, in words."""
    host = urlsplit(url).hostname or url
    if (words := _out_of_date(error, url)) is not None:
        return CertificateOfAnotherTime(
            words, action="Set this machine's clock; if it is right, the service needs a new certificate"
        )
    if error.verify_code in _OTHER_NAMES:
        return UntrustedCertificate(
            f"The certificate of {url} is for other names than {host}",
            action="Use a name that it is for, or have one made for this on its machine: `registry-tui up --listen … "
            f"--name {host} --new-certificate`, then sign in again",
        )
    if pinned:
        return UntrustedCertificate(
            f"The certificate of {url} has changed: it is not the one that was trusted at sign-in",
            action="Nothing was sent. Ask the administrator of the service for the new fingerprint, then "
            f"`registry-tui login {url}` again",
        )
    return UntrustedCertificate(
        f"The certificate of {url} was not signed by anybody whom this machine trusts",
        action=f"Compare its fingerprint at sign-in: `registry-tui login {url}`",
    )


def untrusted_issuer(error: ssl.SSLCertVerificationError, url: str, *, authority: bool) -> UntrustedCertificate:
    """Why the certificate of an OpenID provider was rejected, in words. `authority`: whether one was given."""
    host = urlsplit(url).hostname or url
    if (words := _out_of_date(error, url)) is not None:
        return CertificateOfAnotherTime(
            words, action="Set this machine's clock; if it is right, the provider needs a new certificate"
        )
    if error.verify_code in _OTHER_NAMES:
        return UntrustedCertificate(
            f"The certificate of {url} is for other names than {host}",
            action="Name the provider by a name that its certificate is for, or give it a certificate for this one",
        )
    return UntrustedCertificate(
        f"The certificate of {url} was not signed by "
        + ("the authority that was given" if authority else "anybody whom this machine trusts"),
        action="An administrator names the authority that signed it: `registry-tui oidc set … --authority FILE`",
    )


def trusting(authority: str) -> ssl.SSLContext:
    """This machine's trust store, plus the given certificates (PEM). Raises ssl.SSLError, ValueError if they are not
    valid."""
    context = context_of()
    if authority:
        context.load_verify_locations(cadata=authority)
        # The given one may itself be signed by an authority that is not trusted here.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _out_of_date(error: ssl.SSLCertVerificationError, url: str) -> str | None:
    if error.verify_code not in (_EARLY, _LATE):
        return None
    moment = datetime.now(UTC).astimezone()
    word = "is not valid yet" if error.verify_code == _EARLY else "has expired"
    return f"The certificate of {url} {word} by this machine's clock, which shows {moment:%Y-%m-%d %H:%M %Z}"


def verification_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """The rejection of a certificate that caused an error, if it was one."""
    return next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two fingerprints are equal, in any notation."""
    plain = [each.upper().replace(":", "").replace(" ", "").removeprefix("SHA256") for each in (one, other)]
    return plain[0] == plain[1]


def fingerprint(der: bytes) -> str:
    """A certificate's SHA-256 fingerprint."""
    return fingerprint_of(der)
