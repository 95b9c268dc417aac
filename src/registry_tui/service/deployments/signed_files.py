"""The proof with which starting replicas check a version's files: its signature and the trusted keys."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from registry_tui.contracts import signatures
from registry_tui.contracts.archive_check import MANIFEST, ArchiveDamaged, sums
from registry_tui.contracts.signatures import SignatureProblem
from registry_tui.platform.secrets import write_private
from registry_tui.service.core.context import Service
from registry_tui.service.deployments import model_files
from registry_tui.service.errors import PartUnavailable
from registry_tui.service.signing import archives as signing
from registry_tui.service.signing import keys
from registry_tui.service.signing.archives import Proof, Version
from registry_tui.service.stores import archives


@dataclass(frozen=True)
class Checked:
    """Paths for a replica's spec; empty for a version that was never signed."""

    signature: str = ""
    trusted_keys: str = ""
    #: The version that the signature has to be about; empty for another signer's.
    version_id: str = ""


def place(service: Service, version: Version) -> Checked:
    """Puts the signature of a version, checked now, where its replicas read it, with the keys of the trust store.

    Raises WrongState when the archive is not as it was signed; other ServiceErrors.
    """
    target = model_files.signature_file(service, version.version_id)
    try:
        proof = signing.proof(service, version, archives.read_manifest(version.archive))
    except PartUnavailable:
        # Files fetched before can serve without the store, and are checked by the signature kept from then.
        if not model_files.folder_of(service, version.model_id, version.version_id).exists():
            raise
        if not signing.is_signed(service, version.version_id):
            return Checked()
        proof = _kept(target)
        if proof is None:
            raise
    if proof is None:
        return Checked()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(target, proof.content.decode())
    trusted = keys.publish(service, version.place.environment_id)
    _drop_changed(model_files.folder_of(service, version.model_id, version.version_id), trusted, proof)
    return Checked(str(target), str(trusted), proof.version_id)


def _kept(target: Path) -> Proof | None:
    try:
        content = target.read_bytes()
        # Only the registry's own key names a version.
        return Proof(content, signatures.claimed_version(content))
    except (OSError, SignatureProblem):
        return None


def _drop_changed(folder: Path, trusted: Path, proof: Proof) -> None:
    """Removes a local copy whose manifest is not the one that was signed, so that it is fetched again."""
    if not (folder / MANIFEST).exists():
        return
    try:
        known = json.loads(trusted.read_text(encoding="utf-8"))
        signatures.check_files(signatures.verify(proof.content, known), sums(folder))
    except (SignatureProblem, ArchiveDamaged):
        shutil.rmtree(folder, ignore_errors=True)
