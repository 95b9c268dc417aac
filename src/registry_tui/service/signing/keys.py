"""The keys of environments: one signs new versions, and all of them are trusted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry_tui.contracts import signatures
from registry_tui.platform.secrets import write_private
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import SigningKeyRow
from registry_tui.service.errors import WrongState

#: The names of the registry's own keys, with a number.
_OWN_NAME = "registry-{}"


@dataclass(frozen=True)
class Trusted:
    """A key whose signatures count in an environment."""

    name: str
    fingerprint: str
    public_key: str


def trust_store(session: Session, environment_id: str) -> Mapping[str, Trusted]:
    """The keys that an environment trusts, by fingerprint."""
    query = select(SigningKeyRow).where(SigningKeyRow.environment_id == environment_id)
    return {row.fingerprint: Trusted(row.name, row.fingerprint, row.public_key) for row in session.scalars(query)}


def signing_key(service: Service, environment_id: str, creator: str) -> tuple[Trusted, str]:
    """The key that signs in an environment, made with its first use, and its private half as PEM.

    Raises WrongState when the private half cannot be read.
    """
    with service.database.reading() as session:
        row = _active(session, environment_id)
    if row is None:
        with service.database.session() as session:
            # Sessions that write wait for each other: nobody makes another one meanwhile.
            row = _active(session, environment_id) or new_key(service, session, environment_id, creator)
    try:
        private = _fernet(service).decrypt((row.private_key or "").encode()).decode()
    except InvalidToken as error:
        raise WrongState(
            f"The private half of the key {row.name} cannot be read: it was encrypted with the secrets of another "
            "installation",
            action="Make another key: `registry-tui signing keys rotate ENVIRONMENT`",
        ) from error
    return Trusted(row.name, row.fingerprint, row.public_key), private


def new_key(service: Service, session: Session, environment_id: str, creator: str) -> SigningKeyRow:
    """A new key, which signs from now on. Earlier ones stay trusted."""
    query = select(SigningKeyRow).where(SigningKeyRow.environment_id == environment_id)
    present = list(session.scalars(query))
    for row in present:
        row.active = False
    names = {row.name for row in present}
    numbers = [int(found[1]) for name in names if (found := re.fullmatch(_OWN_NAME.format("([0-9]{1,9})"), name))]
    private = signatures.new_private_key()
    public = signatures.public_key_of(private)
    row = SigningKeyRow(
        environment_id=environment_id,
        name=_OWN_NAME.format(max(numbers, default=0) + 1),
        fingerprint=signatures.fingerprint_of(public),
        public_key=public,
        private_key=_fernet(service).encrypt(private.encode()).decode(),
        active=True,
        creator=creator,
    )
    session.add(row)
    session.flush()
    return row


def publish(service: Service, environment_id: str) -> Path:
    """Writes the public keys that an environment trusts where replicas read them at each start. Raises OSError."""
    target = service.home.serving / "trusted-keys" / f"{environment_id}.json"
    # Of two changes at once, the last one writes last.
    with service.locks.of(f"trusted keys {environment_id}"):
        with service.database.reading() as session:
            known = {each.fingerprint: each.public_key for each in trust_store(session, environment_id).values()}
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(target, json.dumps(known, indent=1, sort_keys=True))
    return target


def publish_all(service: Service) -> None:
    """The same for every environment whose versions were deployed: a kill may have come before. Raises OSError."""
    for file in (service.home.serving / "trusted-keys").glob("*.json"):
        publish(service, file.stem)


def _active(session: Session, environment_id: str) -> SigningKeyRow | None:
    query = select(SigningKeyRow).where(SigningKeyRow.environment_id == environment_id, SigningKeyRow.active)
    return session.scalars(query.limit(1)).first()


def _fernet(service: Service) -> Fernet:
    seed = service.secrets.signing_seed.encode()
    return Fernet(base64.urlsafe_b64encode(hmac.new(seed, b"signing keys", hashlib.sha256).digest()))
