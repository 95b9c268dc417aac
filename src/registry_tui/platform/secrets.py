"""The installation's random passwords and keys, made once, kept in one file that only the owner can read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

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


@dataclass(repr=False)
class Secrets:
    """Everything secret that the parts share. Never printed: it has no repr.

    A process keeps one, and reads each value where it uses it: a rotation changes them (`become`).
    """

    #: Object store administrator: only the service uses it (buckets, IAM).
    object_store_admin: AccessKey = field(default_factory=AccessKey)
    #: The key with which MLflow's server reads and writes run artifacts.
    object_store_mlflow: AccessKey = field(default_factory=AccessKey)
    #: MLflow's administrator, which is the service.
    mlflow_admin_user: str = "registry-tui"
    mlflow_admin_password: str = field(default_factory=_token)
    mlflow_flask_secret: str = field(default_factory=_token)
    #: Derives each person's MLflow password (HMAC-SHA256 of the user name), so that none is stored twice.
    user_password_seed: str = field(default_factory=_token)
    #: Derives keys for responses to repeated requests; a rotation keeps it, so that repetitions get their responses.
    idempotency_seed: str = field(default_factory=_token)
    #: Encrypts the private keys that sign versions; a rotation keeps it, as each of these keys is replaced separately.
    signing_seed: str = field(default_factory=_token)
    #: Encrypts the values that MLflow encrypts in its database.
    mlflow_crypto_passphrase: str = field(default_factory=_token)

    def become(self, other: Secrets) -> None:
        """Takes over the values of `other`."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))


#: Keys of earlier versions: the object store now makes them at each start.
_GONE = ("jwt_signing", "jwt_signing_read", "jwt_filer_signing", "jwt_filer_signing_read")
#: All secrets by name.
_NAMES = frozenset(each.name for each in fields(Secrets))
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
    if not isinstance(raw, dict):
        raise _damaged(path)
    try:
        keys = {name: AccessKey(**raw[name]) for name in _ACCESS_KEYS if name in raw}
        kept = {name: value for name, value in raw.items() if name not in _GONE}
        found = Secrets(**{**kept, **keys})
    except TypeError as error:
        raise _damaged(path) from error
    if asdict(found) != raw:
        save_secrets(home, found)
    return found


def save_secrets(home: Home, secrets_: Secrets) -> None:
    """Keeps this installation's secrets, mode 0600. Raises OSError."""
    write_private(home.secrets_file, json.dumps(asdict(secrets_), indent=1))


class SecretsFile:
    """The installation's secrets as they are now, for a process that does not change them."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._stamp: tuple[int, int] | None = None
        self._secrets = Secrets()

    def current(self) -> Secrets:
        """Reads the file again when it was replaced. Raises OSError, Damaged."""
        found = self._home.secrets_file.stat()
        if (stamp := (found.st_mtime_ns, found.st_ino)) != self._stamp:
            self._secrets, self._stamp = load_secrets(self._home), stamp
        return self._secrets


class FollowedSecrets(Secrets):
    """The secrets of another process's platform, which may replace them: each value is read as it is then.

    Reading a value raises OSError, Damaged.
    """

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._file = SecretsFile(home)

    def __getattribute__(self, name: str) -> Any:
        if name in _NAMES:
            return getattr(self._file.current(), name)
        return super().__getattribute__(name)


def _damaged(path: Path) -> Damaged:
    return Damaged(
        f"{path} is damaged", action="Put it back from a backup: without these keys the stored data cannot be reached"
    )


def mlflow_password(secrets_: Secrets, user: str) -> str:
    """The MLflow password of a person: HMAC-SHA256 (RFC 2104) of the name under this installation's seed."""
    digest = hmac.new(secrets_.user_password_seed.encode(), user.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
