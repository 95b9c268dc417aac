"""ID tokens that the issuer did not give, gave to others, or gave long ago: none of them signs anybody in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from pydantic import ValidationError
from sqlalchemy import delete

from registry_tui.schemas.people import GroupChange, UserChange, UserState
from registry_tui.schemas.sign_in import IdToken, IssuerSettings
from registry_tui.service.access import groups, id_tokens, issuers, people, signing_in, tokens
from registry_tui.service.access.id_tokens import LEEWAY, MOST_FETCHES, YOUNG, IssuerKeys, claims_of
from registry_tui.service.access.issuer_answers import IssuerUnavailable
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.core.kept import Kept, Locks
from registry_tui.service.database.tables import (
    EventRow,
    GroupRow,
    InstallationRow,
    UserRow,
    UserSubjectRow,
    UserTokenRow,
)
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted, ServiceError, UserSuspended
from support.bare import bare_service
from support.issuer import CLIENT, Provider, Serving, serving


@pytest.fixture(scope="module")
def running() -> Iterator[Serving]:
    with serving() as found:
        found.provider.people |= {
            "ada": {"preferred_username": "ada", "name": "Ada Lovelace", "email": "ada@lab.example"},
            "bob": {"preferred_username": "bob"},
        }
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
    """A service that knows ada, no issuer and nobody's keys."""
    with lasting.database.session() as session:
        for table in (UserTokenRow, GroupRow, EventRow, UserRow):
            session.execute(delete(table))
        session.execute(delete(InstallationRow).where(InstallationRow.key == "sign_in_issuer"))
    identity.ensure_user(lasting, "ada")
    return replace(lasting, kept=Kept())


@pytest.fixture
def settings(provider: Provider, service: Service) -> IssuerSettings:
    return put(service, IssuerSettings(url=provider.url, client_id=CLIENT))


def put(service: Service, settings: IssuerSettings) -> IssuerSettings:
    """Settings that nobody tried."""
    with service.database.session() as session:
        session.merge(InstallationRow(key="sign_in_issuer", value=settings.model_dump_json()))
    return settings


def sign_in(service: Service, id_token: str) -> str:
    return signing_in.sign_in(service, IdToken(id_token=id_token), "request").token


def refusal(service: Service, id_token: str) -> str:
    """Why an ID token is refused. The event has the same reason, without the token, and nothing was made."""
    before = counted(service)
    with pytest.raises(ServiceError) as caught:
        sign_in(service, id_token)
    assert caught.value.status == 403 and caught.value.action
    event = events(service)[-1]
    assert (event.action, event.outcome, event.actor) == ("user.sign-in", "denied", identity.NOBODY)
    assert event.detail == caught.value.detail
    assert id_token.rpartition(".")[2][:20] not in event.detail or not id_token.rpartition(".")[2]
    assert counted(service) == before
    return caught.value.detail


def counted(service: Service) -> list[int]:
    owner = identity.owner_principal(service)
    users = people.list_users(service, owner).items
    return [len(users), *(len(tokens.list_tokens(service, owner, each.name).items) for each in users)]


def events(service: Service) -> list[EventRow]:
    with service.database.reading() as session:
        return list(session.query(EventRow).order_by(EventRow.id))


def encoded(value: Mapping[str, Any] | bytes) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# -- accepted tokens ---------------------------------------------------------------------------------------


def test_a_good_id_token_gives_one_token_of_the_person_that_works(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    given = provider.id_token("ada")
    made = signing_in.sign_in(service, IdToken(id_token=given), "request")
    assert tokens.principal_of(service, made.token, "r").name == "ada"
    life = made.user_token.expires_at - made.user_token.created_at
    assert life.total_seconds() == settings.token_hours * 3600
    assert [(each.actor, each.action, each.outcome) for each in events(service)][-1] == (
        "ada",
        "user.sign-in",
        "succeeded",
    )
    assert "used before" in refusal(service, given)
    # Another spelling of the signature is the same ID token: 256 bytes of base64 leave four bits open.
    respelt = given[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[given[-1]]
    assert refusal(service, respelt)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True), "PS256"),
        (ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True), "ES256"),
        (OKPKey.generate_key("Ed25519", {"use": "sig"}, auto_kid=True), "Ed25519"),
        (OKPKey.generate_key("Ed25519", {"use": "sig"}, auto_kid=True), "EdDSA"),
    ],
)
def test_keys_of_other_kinds_sign_people_in(
    service: Service, settings: IssuerSettings, provider: Provider, key: Any, algorithm: str
) -> None:
    provider.keys.append(key)
    try:
        assert sign_in(service, provider.id_token("ada", key=key, header={"alg": algorithm, "kid": key.kid}))
    finally:
        provider.keys.remove(key)


def test_a_header_with_the_certificates_of_its_key_signs_people_in(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    assert sign_in(service, provider.id_token("ada", header={"x5c": ["A" * 2000, "B" * 2000]}))


def test_the_issuer_changes_its_key_and_the_next_sign_in_is_good(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    sign_in(service, provider.id_token("ada"))
    old = provider.keys[0]
    provider.rotate()
    assert sign_in(service, provider.id_token("ada", nonce="new"))
    # The key before is not the issuer's any more.
    assert "key that the issuer does not show" in refusal(
        service, provider.id_token("ada", key=old, header={"kid": old.kid})
    )


# -- tokens that are not the issuer's ----------------------------------------------------------------------


def test_other_keys_and_no_signature_are_refused(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    foreign = RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)
    public = provider.keys[0].as_pem(private=False)
    claims, kid = provider.claims("ada"), provider.keys[0].kid

    def head(**more: Any) -> str:
        return encoded({"alg": "RS256", "kid": kid, **more})

    bob = encoded({**claims, "preferred_username": "bob"})
    good = provider.id_token("ada")
    named, said, signature = good.split(".")

    def secret(algorithm: str, key: bytes, **more: Any) -> str:
        """Signed with a secret: the public key, which everybody knows."""
        signed = f"{head(alg=algorithm, **more)}.{encoded(claims)}"
        return f"{signed}.{encoded(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"

    attacks = {
        "another key under the issuer's name": provider.id_token("ada", key=foreign),
        "no algorithm": f"{head(alg='none')}.{encoded(claims)}.",
        "no algorithm, spelt otherwise": f"{head(alg='None')}.{encoded(claims)}.",
        "an algorithm that is not text": f"{head(alg=None)}.{encoded(claims)}.{signature}",
        "the public key as a secret": secret("HS256", public),
        "the public key's JWK as a secret": secret("HS256", json.dumps(provider.keys[0].as_dict(False)).encode()),
        "its own key beside it": secret("HS256", b"x", jwk={"kty": "oct", "k": encoded(b"x")}),
        "other claims under a good signature": f"{named}.{bob}.{signature}",
        "a good signature cut short": good[:-10],
        "no signature": f"{named}.{said}.",
        "an extension that has to be understood": f"{head(crit=['exp'], exp=1)}.{said}.{signature}",
        "a payload beside the token": f"{head(b64=False, crit=['b64'])}.{said}.{signature}",
        "a head that is not JSON": f"{encoded(b'{')}.{said}.{signature}",
        "a head that is a list": f"{encoded(b'[]')}.{said}.{signature}",
        "a head of many levels": f"{encoded(b'[' * 9000)}.{said}.{signature}",
        "a key's name that is not text": f"{head(kid=1)}.{said}.{signature}",
        "two parts": f"{named}.{said}",
        "five parts, as if it were encrypted": f"{named}.{said}.{said}.{said}.{signature}",
        "one word": "x",
    }
    for name, token in attacks.items():
        assert "signature of the issuer's" in refusal(service, token), name


def test_what_an_issuer_has_to_change_is_named(service: Service, settings: IssuerSettings, provider: Provider) -> None:
    _, said, signature = provider.id_token("ada").split(".")

    def refused(**more: Any) -> str:
        return refusal(service, f"{encoded({'kid': provider.keys[0].kid, **more})}.{said}.{signature}")

    for algorithm in ("ES256K", "HS256", "none"):
        assert f"signed with '{algorithm}', which is not taken here; those are RS256," in refused(alg=algorithm)
    assert f"signed with {'x' * 40!r}," in refused(alg="x" * 1000)
    assert "its header has more than 8,192 characters" in refused(alg="RS256", x5c=["A" * 9000])


def test_a_key_for_encryption_or_a_secret_among_the_issuers_keys_signs_nothing(
    service: Service, settings: IssuerSettings, running: Serving, provider: Provider
) -> None:
    encryption = RSAKey.generate_key(2048, {"use": "enc", "kid": "enc"})
    shared = OctKey.generate_key(256, {"kid": "shared", "use": "sig"})
    provider.keys[:0] = [encryption, shared]  # type: ignore[list-item]
    claims = {**provider.claims("ada"), "preferred_username": "ada"}
    signing = RSAKey.import_key({**encryption.as_dict(private=True), "use": "sig"})
    made = [
        jwt.encode({"alg": "RS256", "kid": "enc"}, claims, signing),
        jwt.encode({"alg": "HS256", "kid": "shared"}, claims, shared),
    ]
    try:
        for each in made:
            words = refusal(service, each)
            assert "does not show" in words or "signature of the issuer's" in words
    finally:
        del provider.keys[:2]


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"iss": "https://evil.example"}, "is not one of"),
        ({"aud": "another-program"}, "for another audience"),
        ({"aud": ["another-program", "third"]}, "for another audience"),
        ({"aud": [CLIENT, "another-program"]}, "several audiences"),
        ({"aud": [CLIENT, "another-program"], "azp": "another-program"}, "given to another program"),
        ({"azp": "another-program"}, "given to another program"),
        ({"exp": int(time.time()) - LEEWAY - 100}, "has expired"),
        ({"iat": int(time.time()) - YOUNG - LEEWAY - 100}, "more than 10 minutes ago"),
        ({"iat": int(time.time()) + 100_000}, "not valid yet"),
        ({"nbf": int(time.time()) + 100_000}, "not valid yet"),
        ({"exp": "tomorrow"}, "not of their kind"),
        ({"exp": float("nan")}, "not of their kind"),
        ({"iat": True}, "not of their kind"),
        ({"iss": None}, "lacks claims"),
        ({"aud": None}, "lacks claims"),
        ({"exp": None}, "lacks claims"),
        ({"iat": None}, "lacks claims"),
        ({"sub": None}, "lacks claims"),
        ({"aud": []}, "another audience"),
        ({"aud": {"a": CLIENT}}, "another audience"),
        ({"preferred_username": None}, "no claim 'preferred_username'"),
        ({"preferred_username": ""}, "no claim 'preferred_username'"),
        ({"preferred_username": ["ada"]}, "no claim 'preferred_username'"),
        ({"preferred_username": "ADA"}, "no user 'ADA'"),
        ({"preferred_username": "ada\n"}, "There is no user"),
        ({"preferred_username": "carol"}, "There is no user 'carol'"),
    ],
)
def test_claims_that_are_wrong_sign_nobody_in(
    service: Service, settings: IssuerSettings, provider: Provider, claims: dict[str, Any], words: str
) -> None:
    assert words in refusal(service, provider.id_token("ada", **claims))


@pytest.mark.parametrize("kind", ["at+jwt", "logout+jwt", "secevent+jwt"])
def test_tokens_of_the_issuer_for_other_purposes_are_refused(
    service: Service, settings: IssuerSettings, provider: Provider, kind: str
) -> None:
    assert "another kind" in refusal(service, provider.id_token("ada", header={"typ": kind}))


def test_clocks_may_differ_by_the_leeway(service: Service, settings: IssuerSettings, provider: Provider) -> None:
    now = int(time.time())
    assert claims_of(service, settings, provider.id_token("ada", exp=now - LEEWAY + 30))["sub"] == "id-of-ada"
    assert claims_of(service, settings, provider.id_token("ada", iat=now + LEEWAY - 30))["sub"] == "id-of-ada"


# -- the person in a token ---------------------------------------------------------------------------------


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
    assert "signs in next" in events(service)[-1].detail
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


def test_a_replayed_id_token_is_refused_after_the_service_was_restarted(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    given = provider.id_token("ada")
    made = signing_in.sign_in(service, IdToken(id_token=given), "request")
    owner = identity.owner_principal(service)
    tokens.revoke_token(service, owner, "ada", made.user_token.id)
    assert "used before" in refusal(replace(service, kept=Kept(), locks=Locks()), given)


# -- the issuer's side -------------------------------------------------------------------------------------


def test_unknown_keys_do_not_make_the_service_ask_the_issuer_without_end(
    service: Service, settings: IssuerSettings, provider: Provider
) -> None:
    foreign = RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)
    before = provider.keys_asked
    for number in range(4 * MOST_FETCHES):
        refusal(service, provider.id_token("ada", key=foreign, header={"kid": f"unknown-{number}"}))
    assert provider.keys_asked - before <= MOST_FETCHES
    assert sign_in(service, provider.id_token("ada"))


def test_an_issuer_that_is_away_is_asked_once_and_the_sign_in_can_be_tried_again(
    service: Service, provider: Provider, running: Serving
) -> None:
    put(service, IssuerSettings(url=provider.url, client_id=CLIENT))
    given = provider.id_token("ada")
    now = 1000.0
    service.kept.of(IssuerKeys).clock = lambda: now
    running.stop()
    try:
        for _ in range(3):
            with pytest.raises(IssuerUnavailable) as caught:
                sign_in(service, given)
            assert "does not answer" in caught.value.detail and caught.value.status == 503
    finally:
        running.start()
    with pytest.raises(IssuerUnavailable):
        sign_in(service, given)
    now += id_tokens.FAILURE_KEPT + 1
    assert sign_in(service, given)
    # Keys that are older than that are fetched again, so that one that was taken away ends.
    now += id_tokens.KEYS_KEPT + 1
    before = provider.keys_asked
    sign_in(service, provider.id_token("ada", nonce="2"))
    assert provider.keys_asked == before + 1


@pytest.mark.parametrize("status", [404, 500, 503, 302])
def test_an_issuer_that_is_out_of_order_is_named_in_words(
    service: Service, settings: IssuerSettings, provider: Provider, status: int
) -> None:
    provider.broken = status
    try:
        with pytest.raises(IssuerUnavailable, match=str(status)):
            sign_in(service, provider.id_token("ada"))
    finally:
        provider.broken = 0


def test_without_an_issuer_nobody_signs_in(service: Service, provider: Provider) -> None:
    with pytest.raises(Missing):
        sign_in(service, provider.id_token("ada"))
    assert issuers.ways(service).issuer is None


# -- its settings ------------------------------------------------------------------------------------------


def change(**fields: Any) -> Any:
    from registry_tui.schemas.sign_in import IssuerChange

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
