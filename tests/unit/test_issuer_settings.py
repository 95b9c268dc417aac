"""The issuer's settings: tried before they are set, and changed by administrators only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.jwk import OctKey
from pydantic import ValidationError

from registry_tui.schemas.sign_in import IssuerChange, IssuerSettings
from registry_tui.service.access import issuers
from registry_tui.service.access.issuer_answers import IssuerUnavailable
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted
from support.bare import bare_service
from support.bare_sign_ins import emptied, issuing, put, sign_in
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


def test_without_an_issuer_nobody_signs_in(service: Service, provider: Provider) -> None:
    with pytest.raises(Missing):
        sign_in(service, provider.id_token("ada"))
    assert issuers.ways(service).issuer is None


def change(**fields: Any) -> Any:
    return IssuerChange(**fields)


def test_an_issuer_is_tried_before_it_is_set(service: Service, provider: Provider, running: Serving) -> None:
    owner = identity.owner_principal(service)
    with pytest.raises(InvalidInput, match="invalid_client"):
        issuers.set_issuer(service, owner, change(url=provider.url, client_id="unknown"))
    with pytest.raises(InvalidInput, match="openid"):
        issuers.set_issuer(service, owner, change(url=provider.url, client_id=CLIENT, scopes="profile"))
    with pytest.raises(ValidationError):
        change(url=provider.url, client_id=CLIENT, authority="ü")
    with pytest.raises(InvalidInput, match="PEM"):
        issuers.set_issuer(service, owner, change(url=provider.url, client_id=CLIENT, authority="x"))
    with pytest.raises(IssuerUnavailable, match="another issuer"):
        other = provider.url.replace("127.0.0.1", "localhost")
        issuers.set_issuer(service, owner, change(url=other, client_id=CLIENT))
    running.stop()
    try:
        with pytest.raises(IssuerUnavailable, match="does not answer"):
            issuers.set_issuer(service, owner, change(url=provider.url, client_id=CLIENT))
    finally:
        running.start()
    assert issuers.settings_of(service) is None
    set_ = issuers.set_issuer(service, owner, change(url=f"{provider.url}/", client_id=CLIENT))
    assert set_.url == provider.url, "as it names itself"
    shown = issuers.ways(service).issuer
    assert shown is not None and (shown.url, shown.client_id) == (provider.url, CLIENT)
    issuers.delete_issuer(service, owner)
    assert issuers.ways(service).issuer is None


def test_an_issuer_that_shows_no_keys_does_not_take_the_place_of_one_that_works(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    owner, wanted = identity.owner_principal(service), change(url=provider.url, client_id=CLIENT, token_hours=1)
    provider.keys_status = 404
    try:
        with pytest.raises(IssuerUnavailable, match="404"):
            issuers.set_issuer(service, owner, wanted)
    finally:
        provider.keys_status = 200
    keys, provider.keys[:] = provider.keys[:], [OctKey.generate_key(256, {"use": "sig"})]  # type: ignore[list-item]
    try:
        with pytest.raises(IssuerUnavailable, match="no key") as caught:
            issuers.set_issuer(service, owner, wanted)
    finally:
        provider.keys[:] = keys
    assert caught.value.action
    assert issuers.settings_of(service) == settings
    assert issuers.set_issuer(service, owner, wanted).token_hours == 1


@pytest.mark.parametrize("field", ["jwks_uri", "token_endpoint", "device_authorization_endpoint"])
def test_an_issuer_on_this_machine_names_no_address_that_would_be_checked_otherwise(
    service: Service, provider: Provider, field: str
) -> None:
    provider.described[field] = "https://login.example.com/x"
    try:
        with pytest.raises(IssuerUnavailable, match="must begin with http://") as caught:
            wanted = change(url=provider.url, client_id=CLIENT)
            issuers.set_issuer(service, identity.owner_principal(service), wanted)
    finally:
        provider.described.clear()
    assert caught.value.action


@pytest.mark.parametrize(
    "url",
    ["http://login.example.com", "ftp://x", "https://", "https://a@b", "https://a?b=c", "https://a#b", "https://a:0"],
)
def test_an_issuer_that_others_could_play_is_refused(service: Service, url: str) -> None:
    with pytest.raises(InvalidInput, match="url"):
        issuers.set_issuer(service, identity.owner_principal(service), change(url=url, client_id=CLIENT))


def test_only_an_administrator_sets_shows_and_deletes_the_issuer(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    ada = identity.acting_principal(service, "ada", "request")
    asked = provider.keys_asked
    for call in (
        lambda: issuers.get_issuer(service, ada),
        lambda: issuers.set_issuer(service, ada, change(url=provider.url, client_id=CLIENT)),
        lambda: issuers.delete_issuer(service, ada),
    ):
        with pytest.raises(NotPermitted):
            call()
    assert issuers.settings_of(service) == settings and provider.keys_asked == asked
