"""Signing in at the issuer: its ID token names a person, and that person gets a token of this service."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry_tui.contracts.api_keys import TOKEN_PREFIX, new_key
from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.people import NewUserToken, UserChange, UserState
from registry_tui.schemas.sign_in import IdToken, IssuerSettings
from registry_tui.service.access import issuers, tokens
from registry_tui.service.access.id_tokens import SignInRefused, claims_of
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import (
    GroupMemberRow,
    GroupRow,
    UserRow,
    UserSubjectRow,
    UserTokenRow,
    now,
)
from registry_tui.service.errors import InvalidInput, Missing

#: Of events about sign-ins.
ACTION = "user.sign-in"


@dataclass(frozen=True)
class _Person:
    """Somebody as the issuer knows them."""

    name: str
    #: The issuer never gives it to anybody else, unlike a name.
    subject: str
    full_name: str
    email: str
    #: None where the issuer does not decide about groups.
    groups: frozenset[str] | None


def sign_in(service: Service, request: IdToken, request_id: str) -> NewUserToken:
    """A token for the person named by a new ID token of the issuer; each ID token gives one.

    Raises Missing, SignInRefused, UserSuspended, IssuerUnavailable.
    """
    nobody = Principal(identity.NOBODY, "", request_id)
    with events.refusals(service, nobody, ACTION, Resource("user", "", ""), also_at_the_door=True):
        settings = issuers.settings_of(service)
        if settings is None:
            raise Missing("People sign in here with tokens only: there is no issuer", action="Ask for a token")
        person = _person(settings, claims_of(service, settings, request.id_token))
    named = Resource("user", person.name, person.name)
    with events.refusals(service, nobody, ACTION, named, also_at_the_door=True):
        user = _user(service, settings, person, request_id)
        made = _token(service, settings, user, person, request.id_token)
    events.record(
        service,
        user,
        action=ACTION,
        resource=named,
        outcome=EventOutcome.SUCCEEDED,
        detail=f"at {settings.url}",
    )
    return made


def _person(settings: IssuerSettings, claims: Mapping[str, Any]) -> _Person:
    """Raises SignInRefused for claims that name nobody, or that the issuer did not check itself."""
    name = claims.get(settings.user_claim)
    if not isinstance(name, str) or not name:
        raise SignInRefused(
            f"The ID token has no claim {settings.user_claim!r} that names a user",
            action="An administrator names another claim, or asks for more scopes: `registry-tui oidc set`",
        )
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject:
        raise SignInRefused("The ID token has no claim 'sub' that names a person at the issuer")
    if settings.user_claim == "email" and claims.get("email_verified") is not True:
        raise SignInRefused(
            f"The issuer has not checked that {name[:100]!r} is this person's e-mail",
            action="Confirm the e-mail at the issuer, then sign in again",
        )
    texts = {each: value if isinstance(value := claims.get(each), str) else "" for each in ("name", "email")}
    return _Person(name, subject, texts["name"], texts["email"], _groups(settings, claims))


def _groups(settings: IssuerSettings, claims: Mapping[str, Any]) -> frozenset[str] | None:
    """Raises SignInRefused."""
    claim = settings.groups_claim
    if not claim:
        return None
    found = claims.get(claim)
    named = [found] if isinstance(found, str) else found
    elsewhere = claims.get("_claim_names")
    if (isinstance(elsewhere, dict) and claim in elsewhere) or not (
        isinstance(named, list) and all(isinstance(each, str) for each in named)
    ):
        # Issuers leave out a long list, and name an endpoint for it instead. A claim that is missing altogether (for
        # example without the scope) must not remove anybody from their groups.
        raise SignInRefused(
            f"The ID token's claim {claim!r} does not list the person's groups",
            action="Have the issuer list the groups that matter here, and an empty list for somebody in none of them",
        )
    # As in tools that keep groups as paths.
    return frozenset(each.removeprefix("/") for each in named)


def _user(service: Service, settings: IssuerSettings, person: _Person, request_id: str) -> Principal:
    """The user of a sign-in; made if the administrator allows that. Raises SignInRefused, UserSuspended."""
    if person.name == identity.owner_name(service):
        raise SignInRefused(
            f"{person.name} is the administrator of this installation, and signs in with a token only",
            action="Make one on the service's machine: `registry-tui tokens create NAME`",
        )
    with service.database.reading() as session:
        row = session.get(UserRow, person.name)
    if row is None:
        _require_new(service, settings, person)
    with service.database.reading() as session:
        _require_same_person(session, settings, person)
    if row is None:
        named, nobody = Resource("user", person.name, person.name), Principal(identity.NOBODY, "", request_id)
        with events.recording(service, nobody, "user.create", named) as event:
            event.detail = f"signs in at {settings.url}"
            row = identity.ensure_user(service, person.name)
        _describe(service, person)
    return identity.principal_of_row(service, row, request_id)


def _require_new(service: Service, settings: IssuerSettings, person: _Person) -> None:
    """Raises SignInRefused where the person may not, or cannot, become a user."""
    if not settings.create_users:
        raise SignInRefused(
            f"There is no user {person.name[:100]!r} in this installation",
            action=f"An administrator adds users: `registry-tui users create {person.name[:100]}`",
        )
    try:
        identity.check_user_name(service, person.name)
    except InvalidInput as error:
        raise SignInRefused(
            f"{person.name[:100]!r} cannot be a user's name here",
            action="An administrator names another claim: `registry-tui oidc set --user-claim`",
        ) from error


def _require_same_person(session: Session, settings: IssuerSettings, person: _Person) -> None:
    """Raises SignInRefused where somebody else signed in with the name, or this person with another one.

    An issuer may reuse names (OpenID Connect Core, 5.7). Another issuer, set by an administrator, starts from scratch.
    """
    known = session.get(UserSubjectRow, person.name)
    if known is not None and known.issuer == settings.url and known.subject != person.subject:
        raise SignInRefused(
            f"At the issuer, {person.name} is now somebody else than the person who signed in here with that name",
            action="An administrator deletes the user, or lets the new person be the user: "
            f"`registry-tui users forget-sign-in {person.name}`",
        )
    query = select(UserSubjectRow).where(
        UserSubjectRow.issuer == settings.url,
        UserSubjectRow.subject == person.subject,
        UserSubjectRow.user != person.name,
    )
    other = session.scalars(query).first()
    if other is not None:
        raise SignInRefused(
            f"The person whom the issuer now calls {person.name[:100]!r} signed in here as {other.user}",
            action=f"An administrator deletes that user, or runs `registry-tui users forget-sign-in {other.user}`",
        )


def _describe(service: Service, person: _Person) -> None:
    """Gives a new user the full name and the e-mail that the issuer knows, if they can be one here."""
    with service.database.session() as session:
        row = session.get_one(UserRow, person.name)
        for field, value in (("full_name", person.full_name), ("email", person.email)):
            try:
                UserChange.model_validate({field: value})
            except ValidationError:
                continue
            setattr(row, field, value)


def _token(
    service: Service, settings: IssuerSettings, principal: Principal, person: _Person, id_token: str
) -> NewUserToken:
    """Writes the person's groups and the token. Raises SignInRefused for an ID token that was used before."""
    # The ID is a hash of the signed part: an ID token gives one token, also across a restart. The signature itself has
    # several valid encodings.
    signed = id_token.rpartition(".")[0]
    id_ = hashlib.sha256(f"sign-in\0{signed}".encode()).hexdigest()[:12]
    _, fresh, sha256 = new_key(TOKEN_PREFIX)
    secret = fresh.split("_", 2)[2]
    moment = now()
    row = UserTokenRow(
        id=id_,
        name=f"signed in at {urlsplit(settings.url).hostname}"[:100],
        sha256=sha256,
        user=person.name,
        created_at=moment,
        expires_at=moment + timedelta(hours=settings.token_hours),
    )
    with service.locks.of("sign-in"), service.database.session() as session:
        if session.get(UserTokenRow, id_) is not None:
            raise SignInRefused("The ID token was used before", action="Sign in again: `registry-tui login URL --oidc`")
        # Suspended a moment ago: the token would be refused too, but the event must record it.
        user = session.get(UserRow, person.name)
        if user is None or user.state == UserState.SUSPENDED.value:
            raise SignInRefused(f"The user {person.name} was suspended or deleted in this moment")
        _require_same_person(session, settings, person)
        session.merge(UserSubjectRow(user=person.name, issuer=settings.url, subject=person.subject))
        if person.groups is not None:
            come, gone = _set_groups(session, person.name, person.groups)
            for action, groups in (("group.add-member", come), ("group.remove-member", gone)):
                session.add_all(
                    events.event_row(
                        principal,
                        action=action,
                        resource=Resource("group", each, each),
                        outcome=EventOutcome.SUCCEEDED,
                        detail=f"{person.name}, as {settings.url} says",
                    )
                    for each in sorted(groups)
                )
        session.add(row)
    return NewUserToken(user_token=tokens.to_schema(row), token=f"{TOKEN_PREFIX}_{id_}_{secret}")


def _set_groups(session: Session, user: str, named: frozenset[str]) -> tuple[set[str], set[str]]:
    """Puts a user into those groups of the registry that the issuer names, and into no others.

    Returns the groups that the user is in now and was not before, and those that the user was in.
    """
    known = set(session.scalars(select(GroupRow.name).where(GroupRow.name.in_(named))))
    before = set(session.scalars(select(GroupMemberRow.group).where(GroupMemberRow.user == user)))
    if gone := before - known:
        session.execute(delete(GroupMemberRow).where(GroupMemberRow.user == user, GroupMemberRow.group.in_(gone)))
    session.add_all(GroupMemberRow(group=each, user=user) for each in known - before)
    return known - before, gone
