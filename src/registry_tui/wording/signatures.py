"""Words for signatures of versions, and for the keys that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.contracts.counts import counted
from registry_tui.contracts.signatures import short
from registry_tui.wording.words import Cell, both

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion
    from registry_tui.schemas.signatures import CheckedSignature, SigningKey, VersionSignatures


def signed_cell(row: ModelVersion) -> Cell:
    """The keys that signed a version, the registry's first; signatures are not checked for this."""
    if row.status != "READY":
        return Cell("")
    if not row.signatures:
        return Cell("not signed", "warn")
    first, *others = row.signatures
    return Cell(first.key_name + (f" +{len(others)}" if others else ""))


def signature_check(row: CheckedSignature) -> Cell:
    """Whether a signature is valid, and why not."""
    return Cell(f"✗ {row.problem}", "bad") if row.problem else Cell("✓ valid", "good")


def signature_maker(row: CheckedSignature) -> str:
    """The maker of a signature."""
    return "the registry" if row.kind.value == "registry" else "a team"


def signatures_summary(found: VersionSignatures) -> Cell:
    """How many signatures are valid."""
    if not found.signatures:
        return Cell("✗ not signed", "warn")
    valid = len(found.valid)
    if not valid:
        return Cell("✗ no signature counts", "bad")
    return Cell(f"✓ {valid} of {counted(len(found.signatures), 'signature')} valid", "good")


def signature_note(row: CheckedSignature, environment: str) -> str:
    """All details of a signature, in lines."""
    trust = f"in the trust store of {environment}" if row.key_trusted else f"not trusted in {environment}"
    lines = (
        f"{signature_check(row).text}",
        f"signed {both(row.signed_at)}, for {row.creator}",
        f"with the key {row.key_name} of {signature_maker(row)}, {trust}",
    )
    return "\n".join(lines)


def key_signs(row: SigningKey) -> Cell:
    """Whether a key signs new versions now."""
    return Cell("● signs now", "good") if row.active else Cell("trusted", "dim")


def key_note(row: SigningKey) -> str:
    """The use of a public key, in lines."""
    whose = "made by the registry, which keeps the private half encrypted" if row.own else "of somebody else"
    return (
        f"{row.name}: {whose}; fingerprint {short(row.fingerprint)}\n"
        f"model_signing verify key FOLDER --signature FILE --public_key {row.name}.pem --no-ignore-git-paths"
    )
