"""Certificates with which the object store's own servers authenticate each other, and nobody else (mutual TLS).

Settings: `weed scaffold -config=security`.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from registry_tui.platform.ports import LOOPBACK
from registry_tui.platform.secrets import write_private

#: Made again at each start, long before this.
_LIFETIME = timedelta(days=3650)


def write_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Makes a new authority with one certificate, for servers and clients alike, and discards the authority's key.

    Returns the paths of the authority's certificate, the certificate and its key. Raises OSError.
    """
    # cryptography: only the object store makes certificates.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("registry-tui authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + _LIFETIME)
        )

    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = (
        builder("registry-tui authority", authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    alternatives = [x509.IPAddress(ipaddress.ip_address(LOOPBACK)), x509.DNSName("localhost")]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        builder("object-store", key)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths = folder / "authority.pem", folder / "object-store.pem", folder / "object-store-key.pem"
    contents = authority.public_bytes(pem), certificate.public_bytes(pem), private
    for path, content in zip(paths, contents, strict=True):
        write_private(path, content.decode())
    return paths
