"""The platform's default certificate for other machines: made once, then kept."""

from __future__ import annotations

import ipaddress
import shutil
import socket
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from registry_tui.platform.listening import EVERYWHERE, CannotListen, Listening
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import write_private

#: Clients pin it, so it is made again only on request.
LIFETIME = timedelta(days=3650)
#: Clocks of clients may be this much behind.
EARLIER = timedelta(days=2)


def certificate_of(home: Home, chosen: Listening) -> tuple[Path, Path]:
    """The certificate and key to listen with: those that were given, else those of this home.

    Raises CannotListen where this home's is not for every name that was chosen, OSError.
    """
    if chosen.certificate:
        return Path(chosen.certificate), Path(chosen.key)
    certificate, key = _files_of(home)
    if certificate.exists() and key.exists():
        require_names(home, chosen)
    else:
        home.tls.mkdir(mode=0o700, exist_ok=True)
        made, private = make(names_of(chosen))
        # The key first: a certificate without its key is made again.
        write_private(key, private)
        write_private(certificate, made)
    return certificate, key


def require_names(home: Home, chosen: Listening) -> None:
    """Raises CannotListen when this home's certificate, which would be listened with, lacks a name of `chosen`."""
    certificate, key = _files_of(home)
    if chosen.plain_http or chosen.certificate or not certificate.exists() or not key.exists():
        return
    held = _names_in(certificate)
    wanted = (*chosen.names, *(() if chosen.host in EVERYWHERE else (chosen.host,)))
    lacking = [] if held is None else [name for name in wanted if _plain(name) not in held]
    if lacking:
        raise CannotListen(
            f"The certificate of this platform is not for {', '.join(dict.fromkeys(lacking))}",
            action="Have a new one made with --new-certificate (of the setting `listen`: remove the folder "
            f"{home.tls}); everybody then compares its fingerprint and signs in again",
        )


def forget(home: Home) -> None:
    """Takes this home's certificate away, so that the next start makes a new one. Raises OSError."""
    if home.tls.exists():
        shutil.rmtree(home.tls)


def _files_of(home: Home) -> tuple[Path, Path]:
    return home.tls / "certificate.pem", home.tls / "key.pem"


def _names_in(certificate: Path) -> set[str] | None:
    """The names and addresses that a certificate is for; None for a file that holds no certificate."""
    from cryptography import x509

    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    except ValueError:
        return None
    addresses = (str(each) for each in found.get_values_for_type(x509.IPAddress))
    return {_plain(each) for each in (*found.get_values_for_type(x509.DNSName), *addresses)}


def _plain(name: str) -> str:
    """A name or address as all its spellings have it."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()


def names_of(chosen: Listening) -> list[str]:
    """The names and addresses under which this machine may be called."""
    import psutil  # the platform alone has it

    host = () if chosen.host in EVERYWHERE else (chosen.host,)
    own = [
        each.address.partition("%")[0]
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family in (socket.AF_INET, socket.AF_INET6)
    ]
    named = (*chosen.names, *host, socket.gethostname(), socket.getfqdn(), "localhost", "127.0.0.1", "::1", *own)
    return list(dict.fromkeys(name for name in named if name))


def make(names: Iterable[str]) -> tuple[str, str]:
    """A new certificate that signs itself, for these names and addresses, and its key, in PEM."""
    # cryptography: loaded only where a certificate is made.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry-tui")])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        # It signs nothing else: clients that trust it trust this server alone.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()
