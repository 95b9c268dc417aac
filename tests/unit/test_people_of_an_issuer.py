"""The people of an issuer: which user each becomes, with which groups, also after their names change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from registry_tui.schemas.people import GroupChange, UserChange, UserState
from registry_tui.schemas.sign_in import IssuerSettings
from registry_tui.service.access import groups, people
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import UserRow, UserSubjectRow
from registry_tui.service.errors import UserSuspended
from support.bare import bare_service
from support.bare_sign_ins import emptied, events, issuing, put, refusal, sign_in
from support.issuer import CLIENT, Provider, Serving


@pytest.fixture(scope="module")
def running() -> Iterator[Serving]:
    with issuing() as found:
        yield found


@pytest.fixture
def provider(running: Serving) -> Provider:
    return running.provider


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with bare_service(tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
def service(lasting: Service) -> Service:
    return emptied(lasting)


@pytest.fixture
def settings(provider: Provider, service: Service) -> IssuerSettings:
    return put(service, IssuerSettings(url=provider.url, client_id=CLIENT))


def test_people_who_are_not_known_become_users_only_when_the_administrator_said_so(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    owner = identity.owner_principal(service)
    assert "no user 'bob'" in refusal(service, provider.id_token("bob"))
    put(service, settings.model_copy(update={"create_users": True}))
    sign_in(service, provider.id_token("bob", name="Bob\x07", email="bob@lab.example"))
    made = people.get_user(service, owner, "bob")
    assert (made.full_name, made.email) == ("", "bob@lab.example")
    # Known users keep the administrator's settings.
    sign_in(service, provider.id_token("ada"))
    assert people.get_user(service, owner, "ada").full_name == ""
    for name in ("../x", "a b", "-x", "x" * 65, "(not signed in)"):
        assert "cannot be a user's name" in refusal(service, provider.id_token("bob", preferred_username=name))


def test_nobody_becomes_the_administrator_by_a_name_at_the_issuer(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    put(service, settings.model_copy(update={"create_users": True}))
    owner = identity.owner_name(service)
    assert "administrator" in refusal(service, provider.id_token("ada", preferred_username=owner))


def test_a_name_that_somebody_else_got_at_the_issuer_is_refused_until_an_administrator_lets_go(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    put(service, settings.model_copy(update={"create_users": True}))
    owner = identity.owner_principal(service)
    sign_in(service, provider.id_token("ada"))
    sign_in(service, provider.id_token("ada", nonce="2"))
    assert "somebody else" in refusal(service, provider.id_token("ada", sub="another"))
    people.change_user(service, owner, "ada", UserChange(forget_sign_in=True))
    assert "next person who signs in" in events(service)[-1].detail
    sign_in(service, provider.id_token("ada", sub="another", nonce="2"))
    assert "somebody else" in refusal(service, provider.id_token("ada", nonce="3"))
    # A user who was deleted and made again belongs to nobody.
    with service.database.session() as session:
        identity.forget_user(session, "ada")
    sign_in(service, provider.id_token("ada", nonce="4"))


def test_a_person_whom_the_issuer_calls_otherwise_does_not_become_another_user(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    put(service, settings.model_copy(update={"create_users": True}))
    sign_in(service, provider.id_token("ada"))
    renamed: dict[str, Any] = {"preferred_username": "countess"}
    assert "signed in here as ada" in refusal(service, provider.id_token("ada", **renamed))
    people.change_user(service, identity.owner_principal(service), "ada", UserChange(forget_sign_in=True))
    sign_in(service, provider.id_token("ada", **renamed, nonce="2"))


def test_another_issuer_binds_the_people_anew(service: Service, settings: IssuerSettings, provider: Provider) -> None:
    sign_in(service, provider.id_token("ada"))
    with service.database.session() as session:
        session.get_one(UserSubjectRow, "ada").issuer = "https://before.example"
    sign_in(service, provider.id_token("ada", sub="another"))
    assert "somebody else" in refusal(service, provider.id_token("ada", nonce="2"))


@pytest.mark.parametrize("subject", ["", 7, ["id-of-ada"]])
def test_a_subject_that_names_nobody_is_refused(
    service: Service, settings: IssuerSettings, provider: Provider, subject: Any
) -> None:
    assert refusal(service, provider.id_token("ada", sub=subject))


def test_a_suspended_person_is_refused(service: Service, settings: IssuerSettings, provider: Provider) -> None:
    with service.database.session() as session:
        session.get_one(UserRow, "ada").state = UserState.SUSPENDED.value
    with pytest.raises(UserSuspended):
        sign_in(service, provider.id_token("ada"))
    assert "suspended" in refusal(service, provider.id_token("ada", nonce="2"))


def test_an_email_counts_only_when_the_issuer_checked_it(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    put(service, settings.model_copy(update={"user_claim": "email"}))
    identity.ensure_user(service, "ada@lab.example")
    for checked in (None, False, "true", 1):
        assert "has not checked" in refusal(service, provider.id_token("ada", email_verified=checked))
    assert sign_in(service, provider.id_token("ada", email_verified=True))


def test_the_groups_of_the_issuer_are_those_of_the_person_from_the_sign_in_on(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    owner = identity.owner_principal(service)
    for name in ("lab", "ops", "local"):
        groups.put_group(service, owner, name, GroupChange())
    groups.add_member(service, owner, "local", "ada")
    sign_in(service, provider.id_token("ada", groups=["lab"]))
    assert people.get_user(service, owner, "ada").groups == ["local"], "no claim was named"
    put(service, settings.model_copy(update={"groups_claim": "groups"}))
    sign_in(service, provider.id_token("ada", groups=["/lab", "ops", "elsewhere"], nonce="1"))
    assert people.get_user(service, owner, "ada").groups == ["lab", "ops"]
    sign_in(service, provider.id_token("ada", groups="ops", nonce="2"))
    assert people.get_user(service, owner, "ada").groups == ["ops"]
    for wrong in ({"groups": [1]}, {"groups": {"lab": True}}, {"_claim_names": {"groups": "src1"}}):
        assert "does not list" in refusal(service, provider.id_token("ada", **wrong))
    assert people.get_user(service, owner, "ada").groups == ["ops"]
    assert "does not list" in refusal(service, provider.id_token("ada", nonce="3")), "a scope that was forgotten"
    assert people.get_user(service, owner, "ada").groups == ["ops"]
    sign_in(service, provider.id_token("ada", groups=[], nonce="4"))
    assert people.get_user(service, owner, "ada").groups == []


def test_groups_that_a_sign_in_gives_and_takes_are_events(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    owner = identity.owner_principal(service)
    for name in ("lab", "ops"):
        groups.put_group(service, owner, name, GroupChange())
    groups.add_member(service, owner, "ops", "ada")
    put(service, settings.model_copy(update={"groups_claim": "groups"}))
    sign_in(service, provider.id_token("ada", groups=["lab"]))
    sign_in(service, provider.id_token("ada", groups=["lab"], nonce="2"))
    found = [
        (each.action, each.resource_name)
        for each in events(service)
        if each.actor == "ada" and each.action.startswith("group.") and each.detail.startswith("ada, as http")
    ]
    assert found == [("group.add-member", "lab"), ("group.remove-member", "ops")]


def test_a_user_whom_a_sign_in_makes_is_an_event(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    put(service, settings.model_copy(update={"create_users": True}))
    for nonce in ("1", "2"):
        sign_in(service, provider.id_token("bob", nonce=nonce))
    made = [each for each in events(service) if each.action == "user.create"]
    assert [(each.actor, each.resource_name, each.outcome) for each in made] == [(identity.NOBODY, "bob", "succeeded")]
    assert provider.url in made[0].detail
