"""The parts of a backup. Its manifest is written last: pieces without one are incomplete; the next backup reuses
them.
"""

from __future__ import annotations

import gzip
import hmac
import zlib
from datetime import datetime

from pydantic import Field, ValidationError, field_validator

from registry_tui.contracts import file_paths
from registry_tui.contracts.counts import counted
from registry_tui.schemas.base import Schema
from registry_tui.service.backup.sealing import DamagedBackup, Derivation, Sealer, WrongPassphrase
from registry_tui.service.backup.snapshots import CannotBackUp
from registry_tui.wording.mistakes import mistakes

FORMAT = 1
#: Bytes of a manifest, unpacked: about three million objects.
_MOST = 1 << 30
_DIGEST = r"^[0-9a-f]{64}$"

#: Databases, and the files of a home that a backup holds, all sealed; `tls/` with everything below it.
DATABASES = ("service.db", "workflows.db", "mlflow.db", "auth.db")
FILES = ("secrets.json", "secrets-rotation.json", "config.toml", "terminal.json", "demo.json")
_TLS = "tls/"


class Sealed(Schema):
    """A file that is packed, encrypted, and stored by the digest of the result."""

    name: str
    sha256: str = Field(pattern=_DIGEST)
    #: Bytes as they are kept.
    size: int = Field(ge=0)

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        below = name.removeprefix(_TLS)
        sound = "/" not in below and file_paths.problem(below) is None
        if name not in (*DATABASES, *FILES) and not (name.startswith(_TLS) and sound):
            raise ValueError(f"a backup holds no file {name!r}")
        return name


class Kept(Schema):
    """An object of the platform's own store, and the digest of its content; `etag` and `modified` are the store's."""

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    key: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern=_DIGEST)
    etag: str
    modified: datetime

    @field_validator("key")
    @classmethod
    def _stays_below(cls, key: str) -> str:
        if problem := file_paths.problem(key, decode=False):
            raise ValueError(f"the path {key!r} {problem}")
        return key


class Manifest(Schema):
    """One backup of one platform."""

    format: int
    id: str = Field(pattern=r"^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$")
    made_at: datetime
    #: The platform: its installation's account ID. The home and the machine are for people.
    platform: str
    home: str
    host: str
    #: The versions of registry-tui and of its database.
    version: str
    revision: str
    derivation: Derivation
    #: Identifies the passphrase.
    check: str = Field(pattern=_DIGEST)
    sealed: list[Sealed]
    objects: list[Kept]
    #: Environments with a store of their own, with its address: its objects are not in the backup.
    elsewhere: dict[str, str] = {}

    @property
    def bytes(self) -> int:
        return sum(each.size for each in self.sealed) + sum(each.size for each in self.objects)


def written(manifest: Manifest, sealer: Sealer) -> bytes:
    """A manifest in its stored form: signed, so that changes are detected, and packed. Raises CannotBackUp."""
    text = manifest.model_dump_json().encode()
    whole = b"%s\n%s" % (sealer.signature("manifest", text).encode(), text)
    if len(whole) > _MOST:
        raise CannotBackUp(
            f"A backup cannot hold {counted(len(manifest.objects), 'object')}: no restoration could read their list",
            action="Delete archives, runs or projects that nobody needs",
        )
    return gzip.compress(whole, mtime=0)


def read(packed: bytes, key: str) -> Manifest:
    """A manifest, without a check of its signature. Raises DamagedBackup."""
    return _read(packed, key)[0]


def proven(packed: bytes, key: str, passphrase: str) -> tuple[Manifest, Sealer]:
    """A manifest, with its signature by the passphrase checked. Raises DamagedBackup, WrongPassphrase."""
    manifest, signature, text = _read(packed, key)
    sealer = Sealer(passphrase, manifest.derivation)
    if not hmac.compare_digest(sealer.check(), manifest.check):
        raise WrongPassphrase(f"This is not the passphrase of the backup {manifest.id}", action="Try another one")
    if not hmac.compare_digest(sealer.signature("manifest", text), signature):
        raise DamagedBackup(f"{key} was changed after the backup was made", action="Use another backup")
    return manifest, sealer


def _read(packed: bytes, key: str) -> tuple[Manifest, str, bytes]:
    try:
        unpacking = zlib.decompressobj(wbits=31)
        # One more: only behind the last one is it known to be the last.
        whole = unpacking.decompress(packed, _MOST + 1)
        if not unpacking.eof:
            raise ValueError("it is cut off, or too long")
        signature, _, text = whole.partition(b"\n")
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise DamagedBackup(
            f"{key} is not a manifest: {'; '.join(mistakes(error)[:3])}", action="Use another backup"
        ) from error
    except (ValueError, zlib.error) as error:
        raise DamagedBackup(f"{key} is not a manifest: {error}", action="Use another backup") from error
    if manifest.format != FORMAT:
        raise DamagedBackup(
            f"{key} has the format {manifest.format}, which this version does not know",
            action="Use the version that made it, or a newer one",
        )
    return manifest, signature.decode("ascii", "replace"), text
