"""The trust store of an environment, for people: its keys, and their changes."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from registry_tui.contracts import signatures
from registry_tui.contracts.permissions import Action
from registry_tui.contracts.signatures import SignatureProblem
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.signatures import SigningKey, SigningKeyAdd
from registry_tui.service.core import events, idempotency, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.resolve import resolve_environment
from registry_tui.service.database.tables import EnvironmentRow, SigningKeyRow
from registry_tui.service.errors import AlreadyThere, InvalidInput, Missing, PartUnavailable, WrongState
from registry_tui.service.signing import keys

#: Keys of one environment: each check of a signature knows all of them.
MAX_KEYS = 200


def list_keys(
    service: Service,
    principal: Principal,
    environment: str,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[SigningKey]:
    """The keys that an environment trusts, the oldest first. Raises Missing, InvalidInput for a wrong token."""
    with service.database.reading() as session:
        here = _environment(session, principal, environment)
        found = paging.keyset_page(
            session,
            select(SigningKeyRow).where(SigningKeyRow.environment_id == here.id),
            [paging.Key(SigningKeyRow.created_at), paging.Key(SigningKeyRow.id)],
            scope=f"signing-keys:{here.id}",
            page_size=page_size,
            page_token=page_token,
        )
        return found.to_page(lambda row: _schema(here, row))


def add_key(service: Service, principal: Principal, environment: str, request: SigningKeyAdd) -> SigningKey:
    """Adds a key of somebody else to the trusted ones. Raises Missing, NotPermitted, InvalidInput, AlreadyThere."""
    with service.database.reading() as session:
        here = _environment(session, principal, environment)
    with events.recording(service, principal, "signing-key.add", Resource("environment", here.id, here.name)) as event:
        _require(service, principal, here.id)
        try:
            public_key = signatures.clean_public_key(request.public_key)
        except SignatureProblem as problem:
            raise InvalidInput(
                f"The key cannot be trusted: {problem}",
                action="Give the public half, as `openssl ec -in key.pem -pubout` writes it",
                errors=[FieldProblem(field="public_key", message=str(problem))],
            ) from problem
        fingerprint = signatures.fingerprint_of(public_key)
        event.detail = f"{request.name} ({signatures.short(fingerprint)})"
        with service.database.session() as session:
            query = select(SigningKeyRow).where(SigningKeyRow.environment_id == here.id)
            present = list(session.scalars(query))
            for each in present:
                if request.name == each.name or fingerprint == each.fingerprint:
                    raise AlreadyThere(
                        f"Environment {here.name} trusts the key {each.name} ({signatures.short(each.fingerprint)}) "
                        "already",
                        action="Choose another name" if fingerprint != each.fingerprint else None,
                    )
            if len(present) >= MAX_KEYS:
                raise WrongState(f"Environment {here.name} trusts {MAX_KEYS} keys already", action="Remove old ones")
            row = SigningKeyRow(
                environment_id=here.id,
                name=request.name,
                fingerprint=fingerprint,
                public_key=public_key,
                creator=principal.name,
            )
            session.add(row)
            session.flush()
            made = _schema(here, row)
        _publish(service, here)
        return made


def remove_key(service: Service, principal: Principal, environment: str, key: str) -> None:
    """Removes trust in a key, by name or fingerprint: its signatures no longer count as trusted ones.

    Raises Missing, NotPermitted, WrongState for the key that signs now.
    """
    with service.database.reading() as session:
        here = _environment(session, principal, environment)
    with events.recording(
        service, principal, "signing-key.remove", Resource("environment", here.id, here.name)
    ) as event:
        _require(service, principal, here.id)
        with service.database.session() as session:
            row = _row(session, here, key)
            if row.active:
                raise WrongState(
                    f"The key {row.name} signs new versions in {here.name}",
                    action=f"Make another one first: `registry-tui signing keys rotate {here.name}`",
                )
            event.detail = f"{row.name} ({signatures.short(row.fingerprint)})"
            idempotency.takes(session, row.id)
            session.delete(row)
        _publish(service, here)


def find_key(service: Service, principal: Principal, environment: str, key: str) -> SigningKey:
    """A key that an environment trusts, by name or fingerprint. Raises Missing."""
    with service.database.reading() as session:
        here = _environment(session, principal, environment)
        return _schema(here, _row(session, here, key))


def rotate_key(service: Service, principal: Principal, environment: str) -> SigningKey:
    """Makes a new key, which signs from now on; the previous one stays trusted. Raises Missing, NotPermitted."""
    with service.database.reading() as session:
        here = _environment(session, principal, environment)
    with events.recording(
        service, principal, "signing-key.rotate", Resource("environment", here.id, here.name)
    ) as event:
        _require(service, principal, here.id)
        with service.database.session() as session:
            query = select(SigningKeyRow.id).where(SigningKeyRow.environment_id == here.id)
            if len(session.scalars(query).all()) >= MAX_KEYS:
                raise WrongState(f"Environment {here.name} trusts {MAX_KEYS} keys already", action="Remove old ones")
            row = keys.new_key(service, session, here.id, principal.name)
            event.detail = f"{row.name} ({signatures.short(row.fingerprint)})"
            made = _schema(here, row)
        _publish(service, here)
        return made


# -- underneath ------------------------------------------------------------------------------------------


def _environment(session: Session, principal: Principal, environment: str) -> EnvironmentRow:
    seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
    return resolve_environment(session, environment, seen)


def _row(session: Session, here: EnvironmentRow, key: str) -> SigningKeyRow:
    query = select(SigningKeyRow).where(
        SigningKeyRow.environment_id == here.id, or_(SigningKeyRow.name == key, SigningKeyRow.fingerprint == key)
    )
    row = session.scalars(query.limit(1)).first()
    if row is None:
        raise Missing(
            f"Environment {here.name} trusts no key {key!r}",
            action=f"See `registry-tui signing keys list {here.name}`",
        )
    return row


def _require(service: Service, principal: Principal, environment_id: str) -> None:
    with service.database.reading() as session:
        here = session.get(EnvironmentRow, environment_id)
        if here is None:
            raise Missing("The environment was deleted meanwhile")
        permissions.require_in(session, principal, Action.SIGNING_CHANGE, here)


def _publish(service: Service, environment: EnvironmentRow) -> None:
    """Replicas use the new trust store at their next start."""
    try:
        keys.publish(service, environment.id)
    except OSError as error:
        raise PartUnavailable(
            f"The trust store of {environment.name} was changed, but cannot be written for replicas: {error.strerror}",
            action="Free space on the disk, then `registry-tui restart service`",
        ) from error


def _schema(environment: EnvironmentRow, row: SigningKeyRow) -> SigningKey:
    return SigningKey(
        environment_id=environment.id,
        environment_name=environment.name,
        name=row.name,
        fingerprint=row.fingerprint,
        public_key=row.public_key,
        own=row.private_key is not None,
        active=bool(row.active),
        creator=row.creator,
        created_at=row.created_at,
    )
