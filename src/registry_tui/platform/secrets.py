"""The installation's random passwords and keys, made once, kept in one file that only the owner can read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from registry_tui.platform.errors import Damaged
from registry_tui.platform.paths import Home


def _token() -> str:
    return secrets.token_urlsafe(32)


def _access_key() -> str:
    return secrets.token_hex(10).upper()


@dataclass(frozen=True, repr=False)
class AccessKey:
    """A user's key on the object store."""

    access_key_id: str = field(default_factory=_access_key)
    secret_access_key: str = field(default_factory=_token)


@dataclass(frozen=True, repr=False)
class Secrets:
    """Everything secret that the parts share. Never printed: it has no repr."""

    #: Object store administrator: only the service uses it (buckets, IAM).
    object_store_admin: AccessKey = field(default_factory=AccessKey)
    #: What MLflow's server reads and writes run artifacts with.
    object_store_mlflow: AccessKey = field(default_factory=AccessKey)
    #: SeaweedFS signing keys: master write and read, filer write and read.
    jwt_signing: str = field(default_factory=_token)
    jwt_signing_read: str = field(default_factory=_token)
    jwt_filer_signing: str = field(default_factory=_token)
    jwt_filer_signing_read: str = field(default_factory=_token)
    #: MLflow's administrator, which is the service.
    mlflow_admin_user: str = "registry-tui"
    mlflow_admin_password: str = field(default_factory=_token)
    mlflow_flask_secret: str = field(default_factory=_token)
    #: Derives each person's MLflow password (HMAC-SHA256 of the user name), so that none is stored twice.
    user_password_seed: str = field(default_factory=_token)
    #: Encrypts what MLflow keeps encrypted in its database.
    mlflow_crypto_passphrase: str = field(default_factory=_token)


_ACCESS_KEYS = ("object_store_admin", "object_store_mlflow")


def write_private(path: Path, text: str) -> None:
    """Replaces a file, mode 0600, so that a power cut leaves the old one or the new one. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load_secrets(home: Home) -> Secrets:
    """This installation's secrets; makes those that it does not have yet. Raises OSError, Damaged."""
    path = home.secrets_file
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raw = {}
    except ValueError as error:
        raise _damaged(path) from error
    try:
        keys = {name: AccessKey(**raw[name]) for name in _ACCESS_KEYS if name in raw}
        found = Secrets(**{**raw, **keys})
    except TypeError as error:
        raise _damaged(path) from error
    if (complete := asdict(found)) != raw:
        write_private(path, json.dumps(complete, indent=1))
    return found


def _damaged(path: Path) -> Damaged:
    return Damaged(
        f"{path} is damaged", action="Put it back from a backup: without these keys the stored data cannot be reached"
    )


def mlflow_password(secrets_: Secrets, user: str) -> str:
    """The MLflow password of a person: HMAC-SHA256 (RFC 2104) of the name under this installation's seed."""
    digest = hmac.new(secrets_.user_password_seed.encode(), user.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
