"""Signing the archives of versions, and checking their signatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry_tui.contracts import signatures
from registry_tui.contracts.signatures import BUNDLE, OTHERS, SignatureProblem, UnknownKey
from registry_tui.schemas.models import Manifest
from registry_tui.schemas.signatures import CheckedSignature, SignatureKind, SignatureMark
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import VersionSignatureRow, now
from registry_tui.service.errors import InvalidInput, Missing, WrongState
from registry_tui.service.registries.place import RegistryPlace
from registry_tui.service.signing import keys
from registry_tui.service.stores import archives, bucket_files
from registry_tui.service.stores.bucket_files import Folder

#: IDs in one query.
_AT_ONCE = 500


@dataclass(frozen=True)
class Version:
    """The archive of a version that is signed or checked."""

    place: RegistryPlace
    model_id: str
    version_id: str
    archive: Folder


def version_at(service: Service, place: RegistryPlace, model_id: str, version_id: str) -> Version:
    """A version of a registry with its archive. Raises WrongState, PartUnavailable."""
    return Version(place, model_id, version_id, place.archive(service, model_id, version_id))


def sign(service: Service, version: Version, creator: str) -> SignatureMark:
    """Signs the manifest's content with the environment's key, replacing its earlier signature. Reads no model file.

    Raises ServiceError.
    """
    manifest = archives.read_manifest(version.archive)
    key, private = keys.signing_key(service, version.place.environment_id, creator)
    content = signatures.sign(private, f"{manifest.model_name}-{manifest.version}", sums(manifest), version.version_id)
    bucket_files.write_whole(version.archive, BUNDLE, content, "application/json")
    return _note(service, version, BUNDLE, SignatureKind.REGISTRY, key.fingerprint, key.name, creator)


def add(service: Service, version: Version, content: bytes, creator: str) -> SignatureMark:
    """Keeps a signature that a trusted key made of the version as it is. Raises InvalidInput, other ServiceErrors."""
    with service.database.reading() as session:
        trusted = keys.trust_store(session, version.place.environment_id)
    try:
        signed = signatures.verify(content, {each.fingerprint: each.public_key for each in trusted.values()})
        signatures.check_files(signed, sums(archives.read_manifest(version.archive)))
    except UnknownKey as problem:
        raise InvalidInput(
            f"The signature does not count: {problem}",
            action="Have an EnvironmentAdmin trust its key: `registry-tui signing keys add ENVIRONMENT NAME KEY.pem`",
        ) from problem
    except SignatureProblem as problem:
        raise InvalidInput(f"The signature does not count: {problem}", action=_SIGN_AGAIN) from problem
    return keep(service, version, content, trusted[signed.fingerprint].name, creator)


def keep(service: Service, version: Version, content: bytes, name: str, creator: str) -> SignatureMark:
    """Adds a signature of somebody else to the version's own. `name`: of its key, for people.

    Raises WrongState for one that is not about these files, other ServiceErrors. Whether its key is trusted is
    determined at each check.
    """
    try:
        bundle = signatures.read(content)
    except SignatureProblem as problem:
        raise WrongState(f"The signature cannot be kept: {problem}", action=_SIGN_AGAIN) from problem
    if not _is_name(bundle.fingerprint):
        raise WrongState("The signature cannot be kept: it does not say which key made it", action=_SIGN_AGAIN)
    file = f"{OTHERS}/{bundle.fingerprint}.sig"
    bucket_files.write_whole(version.archive, file, content, "application/json")
    return _note(service, version, file, SignatureKind.TEAM, bundle.fingerprint, name, creator)


def marks(session: Session, version_ids: Iterable[str]) -> dict[str, list[SignatureMark]]:
    """The signatures that versions have, by the version's ID, the registry's first. Not checked."""
    wanted, found = list(version_ids), dict[str, list[SignatureMark]]()
    for start in range(0, len(wanted), _AT_ONCE):
        query = select(VersionSignatureRow).where(VersionSignatureRow.version_id.in_(wanted[start : start + _AT_ONCE]))
        for row in session.scalars(query.order_by(VersionSignatureRow.kind, VersionSignatureRow.signed_at)):
            found.setdefault(row.version_id, []).append(_mark(row))
    return found


def all_of(service: Service, version: Version) -> list[SignatureMark]:
    """The signatures that a version has, the registry's first. Not checked."""
    with service.database.reading() as session:
        return marks(session, [version.version_id]).get(version.version_id, [])


def checked(service: Service, version: Version) -> list[CheckedSignature]:
    """Every signature of a version, checked against its manifest and the environment's trust store.

    Raises ServiceError where the archive cannot be read.
    """
    rows, trusted = _known(service, version)
    if not rows:
        return []
    files = sums(archives.read_manifest(version.archive))
    return [
        CheckedSignature(
            # With the trust store's current name of the key: rules refer to it by that.
            **_named(_mark(row), trusted).model_dump(),
            **_looked_at(version, row, trusted, files).said(),
        )
        for row in rows
    ]


def damage(service: Service, version: Version) -> str:
    """The problems of a version's signatures; empty if they are valid, or only their keys are no longer trusted.

    Raises ServiceError where the archive cannot be read.
    """
    wrong = [each for each in checked(service, version) if each.problem and each.key_trusted]
    return "; ".join(f"the signature of {each.key_name} does not hold: {each.problem}" for each in wrong)


def read(service: Service, version: Version, fingerprint: str) -> bytes:
    """A signature as it was stored. Raises Missing, other ServiceErrors."""
    rows, _ = _known(service, version)
    for row in rows:
        if row.fingerprint == fingerprint or (len(fingerprint) >= 8 and row.fingerprint.startswith(fingerprint)):
            return _content(version, row.file)
    raise Missing(
        f"The version has no signature of a key {fingerprint!r}", action="See `registry-tui models signature`"
    )


@dataclass(frozen=True)
class Proof:
    """A valid signature of an archive, and the version that it is about; empty for one of somebody else."""

    content: bytes
    version_id: str


def is_signed(service: Service, version_id: str) -> bool:
    """Whether a version has any signature."""
    with service.database.reading() as session:
        return bool(marks(session, [version_id]))


def proof(service: Service, version: Version, manifest: Manifest) -> Proof | None:
    """The valid signature of an archive; None for a version that was never signed.

    Raises WrongState when it should be signed and no signature counts; other ServiceErrors.
    """
    rows, trusted = _known(service, version)
    if not rows:
        return None
    files, problems = sums(manifest), list[str]()
    for row in rows:
        looked = _looked_at(version, row, trusted, files)
        if not looked.problem:
            return Proof(looked.content, version.version_id if row.kind == SignatureKind.REGISTRY.value else "")
        problems.append(f"the signature of {row.key_name}: {looked.problem}")
        if row.kind == SignatureKind.REGISTRY.value:
            break  # writers there must not remove it to make another one count
    raise WrongState(
        f"The archive of {manifest.model_name} v{manifest.version} is not as it was signed: {'; '.join(problems)}",
        action="See `registry-tui models signature` and `registry-tui models verify`. Where the archive is sound and "
        "its key is trusted no more, sign it again: `registry-tui models sign`",
    )


def forget(session: Session, model_id: str, version_id: str | None) -> None:
    """Forgets the signatures of a version, or of a whole model; their files are deleted with the archive."""
    row = VersionSignatureRow
    chosen = row.model_id == model_id if version_id is None else row.version_id == version_id
    session.execute(delete(row).where(chosen))


def sums(manifest: Manifest) -> dict[str, str]:
    """The SHA-256 of every file of an archive, by its path."""
    return {entry.path: entry.sha256 for entry in manifest.files}


# -- underneath ------------------------------------------------------------------------------------------

_SIGN_AGAIN = "Sign the downloaded folder with `model_signing sign key` (model-signing 1.1 or newer)"


def _known(service: Service, version: Version) -> tuple[list[VersionSignatureRow], Mapping[str, keys.Trusted]]:
    query = select(VersionSignatureRow).where(VersionSignatureRow.version_id == version.version_id)
    query = query.order_by(VersionSignatureRow.kind, VersionSignatureRow.signed_at)
    with service.database.reading() as session:
        return list(session.scalars(query)), keys.trust_store(session, version.place.environment_id)


@dataclass(frozen=True)
class _Looked:
    """A checked signature: why it does not count, empty when it does; whether its key is trusted; its content."""

    problem: str
    content: bytes = b""
    key_trusted: bool = True

    def said(self) -> dict[str, Any]:
        return {"problem": self.problem, "key_trusted": self.key_trusted}


def _looked_at(
    version: Version, row: VersionSignatureRow, trusted: Mapping[str, keys.Trusted], files: Mapping[str, str]
) -> _Looked:
    """Raises ServiceError."""
    try:
        content = _content(version, row.file)
    except Missing:
        return _Looked(f"{row.file} is gone")
    try:
        signed = signatures.verify(content, {each.fingerprint: each.public_key for each in trusted.values()})
        signatures.check_files(signed, files)
    except UnknownKey as problem:
        return _Looked(str(problem), content, key_trusted=False)
    except SignatureProblem as problem:
        return _Looked(str(problem), content)
    if row.kind == SignatureKind.REGISTRY.value and signed.version_id != version.version_id:
        return _Looked("it was made for another version", content)
    return _Looked("", content)


def _content(version: Version, file: str) -> bytes:
    content = bucket_files.read_bounded(version.archive, file, signatures.MAX_BYTES)
    return b"" if content is None else content


def _note(
    service: Service, version: Version, file: str, kind: SignatureKind, fingerprint: str, name: str, creator: str
) -> SignatureMark:
    query = select(VersionSignatureRow).where(
        VersionSignatureRow.version_id == version.version_id, VersionSignatureRow.file == file
    )
    with service.database.session() as session:
        row = session.scalars(query).one_or_none()
        if row is None:
            row = VersionSignatureRow(
                version_id=version.version_id,
                registry_id=version.place.id,
                model_id=version.model_id,
                file=file,
                kind=kind.value,
            )
            session.add(row)
        row.fingerprint, row.key_name, row.creator, row.signed_at = fingerprint, name, creator, now()
        session.flush()
        return _mark(row)


def _named(mark: SignatureMark, trusted: Mapping[str, keys.Trusted]) -> SignatureMark:
    known = trusted.get(mark.fingerprint)
    return mark if known is None else mark.model_copy(update={"key_name": known.name})


def _is_name(fingerprint: str) -> bool:
    return len(fingerprint) == 64 and set(fingerprint) <= set("0123456789abcdef")


def _mark(row: VersionSignatureRow) -> SignatureMark:
    return SignatureMark(
        kind=SignatureKind(row.kind),
        fingerprint=row.fingerprint,
        key_name=row.key_name,
        creator=row.creator,
        signed_at=row.signed_at,
    )
