"""Signatures of versions, and the keys that sign them or are trusted."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema

#: Characters of the largest accepted signature.
MAX_SIGNATURE = 48 << 20


class SignatureKind(StrEnum):
    """The origin of a signature."""

    #: The environment's own key, when the version was registered, or later on request.
    REGISTRY = "registry"
    #: Another person's key, in addition.
    TEAM = "team"


class SignatureMark(Schema):
    """A signature of a version as stored; `get_signatures` verifies it."""

    kind: SignatureKind
    #: The SHA-256 of the public key's PEM.
    fingerprint: str
    key_name: str
    #: The person who registered the version, or added the signature.
    creator: str
    signed_at: datetime


class CheckedSignature(SignatureMark):
    """A signature, checked against the archive's manifest and the environment's trust store."""

    #: Why it does not count; empty for a valid one of a trusted key.
    problem: str = ""
    #: Whether its key is in the trust store.
    key_trusted: bool = True


class VersionSignatures(Schema):
    """All signatures of a version."""

    version_id: str
    signatures: list[CheckedSignature]

    @property
    def valid(self) -> list[CheckedSignature]:
        """Those that count."""
        return [each for each in self.signatures if not each.problem]


class SignVersion(RequestSchema):
    """Signs a version with the environment's key, or adds a signature that somebody else made."""

    #: A sigstore bundle, as `model_signing sign key` writes it; None: the environment's key signs.
    signature: str | None = Field(default=None, max_length=MAX_SIGNATURE)


class SigningKey(Schema):
    """A key of an environment's trust store."""

    environment_id: str
    environment_name: str
    name: str
    #: The SHA-256 of the public key's PEM, which signatures name it by.
    fingerprint: str
    #: PEM.
    public_key: str
    #: Whether it is a key of the registry, whose private half is kept here, encrypted.
    own: bool
    #: Whether new versions are signed with it.
    active: bool
    creator: str
    created_at: datetime


class SigningKeyAdd(RequestSchema):
    """Trusts another signer's key."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    #: PEM, of an elliptic curve: P-256, P-384 or P-521.
    public_key: str = Field(max_length=10_000)
