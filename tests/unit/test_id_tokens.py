"""ID tokens that the issuer did not give, gave to others, or gave long ago: none of them signs anybody in."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from registry_tui.schemas.sign_in import IdToken, IssuerSettings
from registry_tui.service.access import id_tokens, signing_in, tokens
from registry_tui.service.access.id_tokens import LEEWAY, MOST_FETCHES, YOUNG, IssuerKeys, claims_of
from registry_tui.service.access.issuer_answers import IssuerUnavailable
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.core.kept import Kept, Locks
from support.bare import bare_service
from support.bare_sign_ins import emptied, encoded, events, issuing, put, refusal, sign_in
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
