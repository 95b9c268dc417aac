"""Whether and how the platform is reached over the network: one address, one certificate, chosen for each start.

Only the standard library is imported, so that the command line and the service share these rules.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from registry_tui.platform.errors import Damaged, PlatformError
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import write_private

#: Addresses that mean every interface of this machine.
EVERYWHERE = ("", "*", "0.0.0.0", "::")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")


class CannotListen(PlatformError):
    """The address or the certificate cannot be used."""


@dataclass(frozen=True)
class Listening:
    """Where to listen, and with which certificate."""

    host: str
    port: int
    #: Files in PEM; both empty: the certificate that the platform makes for itself.
    certificate: str = ""
    key: str = ""
    #: HTTP without TLS, on this machine alone.
    plain_http: bool = False
    #: More names and addresses under which this machine is reached, also in a certificate that is made.
    names: tuple[str, ...] = ()

    @property
    def scheme(self) -> str:
        return "http" if self.plain_http else "https"

    @property
    def address(self) -> str:
        """`HOST:PORT`, with an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """An address to sign in at: where it listens everywhere, by this machine's name."""
        named = replace(self, host=socket.gethostname()) if self.host in EVERYWHERE else self
        return f"{self.scheme}://{named.address}"


def parse(
    address: str,
    *,
    certificate: str = "",
    key: str = "",
    plain_http: bool = False,
    names: Sequence[str] = (),
) -> Listening:
    """The choice that `HOST:PORT` and the options make. Raises CannotListen for one that is not safe or not whole."""
    host, colon, number = address.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not number.isascii() or not number.isdigit() or not 1 <= int(number) <= 65_535:
        raise CannotListen(f"{address!r} is not HOST:PORT", action="Give an address such as 0.0.0.0:8443 or [::1]:8443")
    if host in ("", "*"):
        host = "0.0.0.0"
    if host not in EVERYWHERE and not _is_address(host) and not _NAME.fullmatch(host):
        raise CannotListen(f"{host!r} is not a host's name or address", action="Give an address such as 0.0.0.0:8443")
    for name in names:
        if not _is_address(name) and not _NAME.fullmatch(name):
            raise CannotListen(f"{name!r} is not a host's name or address", action="Give names as people type them")
    if plain_http and not is_loopback(host):
        raise CannotListen(
            f"HTTP without TLS is refused on {host}: other machines could read the tokens",
            action="Leave out --plain-http: without a certificate of yours, one is made",
        )
    if bool(certificate) != bool(key):
        raise CannotListen("A certificate needs its key, and a key its certificate", action="Give both, or neither")
    if plain_http and certificate:
        raise CannotListen("HTTP without TLS uses no certificate", action="Leave out --plain-http or --certificate")
    if names and plain_http:
        raise CannotListen(
            "Names are for addresses that other machines reach, and HTTP without TLS has none",
            action="Leave out --name (the setting `listen_names`)",
        )
    chosen = Listening(host, int(number), _absolute(certificate), _absolute(key), plain_http, tuple(names))
    if certificate:
        server_context(Path(chosen.certificate), Path(chosen.key))
    return chosen


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute()) if path else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether an address leads to this machine only; names are resolved now."""
    if host in EVERYWHERE:
        return False
    if _is_address(host):
        return ipaddress.ip_address(host).is_loopback
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(each).is_loopback for each in found)


def open_socket(chosen: Listening) -> socket.socket:
    """A socket that listens there. Raises CannotListen."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(
            chosen.host, chosen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and chosen.host in EVERYWHERE:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(where)
        listener.listen(512)
    except OSError as error:
        raise CannotListen(
            f"Cannot listen on {chosen.address}: {error.strerror or error}",
            action="Choose another address or port with --listen, or stop the program that has it (`ss -ltnp`)",
        ) from error
    listener.setblocking(False)
    return listener


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and newer with this certificate. Raises CannotListen."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # An empty password: OpenSSL would prompt for that of an encrypted key.
        context.load_cert_chain(certificate, key, password="")
    except FileNotFoundError as error:
        missing = next((path for path in (certificate, key) if not path.exists()), certificate)
        raise CannotListen(f"{missing} does not exist", action="Give files in PEM") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "not readable as PEM"
        raise CannotListen(
            f"The certificate {certificate} with the key {key} cannot be used: {reason}",
            action="Give a certificate (its chain behind it) and its own key, both in PEM, the key without a password",
        ) from error
    return context


def fingerprint_of(der: bytes) -> str:
    """The SHA-256 fingerprint of a certificate, as OpenSSL prints it."""
    digest = hashlib.sha256(der).hexdigest().upper()
    return ":".join(digest[start : start + 2] for start in range(0, len(digest), 2))


def fingerprint(certificate: Path) -> str:
    """The fingerprint of the first certificate of a PEM file. Raises OSError, ValueError."""
    text = certificate.read_text(encoding="ascii")
    start, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    body = text[text.index(start) : text.index(end) + len(end)]
    return fingerprint_of(ssl.PEM_cert_to_DER_cert(body))


def save(home: Home, chosen: Listening | None) -> bool:
    """Saves the choice until `down`; None deletes it. Returns whether it changed. Raises OSError, Damaged."""
    before = load(home)
    if chosen is None:
        home.listening_file.unlink(missing_ok=True)
    else:
        write_private(home.listening_file, json.dumps(asdict(chosen), indent=1))
    return chosen != before


def load(home: Home) -> Listening | None:
    """The choice of this start, or None. Raises Damaged."""
    try:
        raw = json.loads(home.listening_file.read_text(encoding="utf-8"))
        return Listening(**{**raw, "names": tuple(raw["names"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(
            f"{home.listening_file} is damaged", action="Remove it, then run `registry-tui up --listen` again"
        ) from error


def known_names(home: Home, settings: Sequence[str]) -> tuple[str, ...]:
    """Names under which this machine is known besides its own: those of this start's choice, else the settings'."""
    try:
        chosen = load(home)
    except (Damaged, OSError):  # the listener reports it
        chosen = None
    return tuple(settings) if chosen is None else chosen.names
