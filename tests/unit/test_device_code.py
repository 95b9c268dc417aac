"""The waiting for a sign-in at an issuer (RFC 8628), with an issuer that this test plays and a clock of its own."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from registry_tui.client.device_code import DeviceSignIn, SignInFailed
from registry_tui.client.errors import ServiceUnavailable
from registry_tui.contracts.issuers import DEVICE_GRANT
from registry_tui.schemas.sign_in import DeviceCode, Issuer

URL = "http://127.0.0.1:9"
ISSUER = Issuer(url=URL, client_id="registry-tui")
CODE = {"device_code": "d", "user_code": "ABCD-EFGH", "verification_uri": f"{URL}/device", "expires_in": 60}


def problem(code: str, status: int = 400) -> httpx.Response:
    return httpx.Response(status, json={"error": code})


GOOD = httpx.Response(200, json={"id_token": "a.b.c", "access_token": "x", "token_type": "Bearer"})
PENDING, SLOWER = problem("authorization_pending"), problem("slow_down")


class Played:
    """An issuer that gives these answers at its token endpoint, the last one for ever; a clock that sleeping moves."""

    def __init__(self, *answers: httpx.Response | Exception, **code: Any) -> None:
        self.answers = list(answers)
        self.code = {**CODE, **code}
        self.configuration: dict[str, Any] = {
            "issuer": URL,
            "jwks_uri": f"{URL}/keys",
            "token_endpoint": f"{URL}/token",
            "device_authorization_endpoint": f"{URL}/code",
        }
        self.url = URL
        self.now = 1000.0
        #: The seconds at which it was asked for the token, from the beginning.
        self.asked: list[float] = []
        self.forms: list[dict[str, str]] = []
        self.notes: list[str] = []

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/openid-configuration"):
            return httpx.Response(200, json=self.configuration)
        self.forms.append(dict(httpx.QueryParams(request.content.decode())))
        if request.url.path == "/code":
            return httpx.Response(200, json=self.code)
        self.asked.append(self.now - 1000)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return httpx.Response(found.status_code, content=found.content)

    def sign_in(self) -> str:
        async def run() -> str:
            transport = httpx.MockTransport(self.answer)
            made = DeviceSignIn(
                ISSUER.model_copy(update={"url": self.url}),
                sleep=self.sleep,
                clock=lambda: self.now,
                transport=transport,
            )
            async with made as device:
                return await device.id_token(await device.begin(), self.notes.append)

        return asyncio.run(run())


def test_the_program_asks_as_often_as_the_issuer_wants_and_gets_the_id_token() -> None:
    issuer = Played(PENDING, PENDING, GOOD, interval=7)
    assert issuer.sign_in() == "a.b.c"
    assert issuer.asked == [7, 14, 21]
    assert issuer.forms[0] == {"client_id": "registry-tui", "scope": "openid profile"}
    assert issuer.forms[1] == {"grant_type": DEVICE_GRANT, "device_code": "d", "client_id": "registry-tui"}


def test_without_a_word_from_the_issuer_questions_are_five_seconds_apart() -> None:
    issuer = Played(PENDING, GOOD)
    issuer.sign_in()
    assert issuer.asked == [5, 10]


def test_an_issuer_that_asks_for_less_is_asked_five_seconds_later_from_then_on() -> None:
    issuer = Played(PENDING, SLOWER, PENDING, SLOWER, GOOD, interval=1)
    issuer.sign_in()
    assert issuer.asked == [1, 2, 8, 14, 25]


def test_an_interval_of_nothing_does_not_make_the_program_ask_without_a_pause() -> None:
    issuer = Played(PENDING, GOOD, interval=0)
    issuer.sign_in()
    assert issuer.asked == [1, 2]


@pytest.mark.parametrize("away", [httpx.ConnectError("refused"), httpx.ReadTimeout("late"), httpx.Response(503)])
def test_an_issuer_that_is_away_for_a_while_is_asked_again_less_and_less_often(
    away: httpx.Response | Exception,
) -> None:
    issuer = Played(PENDING, away, away, GOOD, interval=2)
    assert issuer.sign_in() == "a.b.c"
    assert issuer.asked == [2, 4, 8, 16]
    assert len(issuer.notes) == 1 and "trying again" in issuer.notes[0]


def test_an_issuer_that_stays_away_ends_the_sign_in_when_the_code_ends() -> None:
    issuer = Played(httpx.ConnectError("refused"))
    with pytest.raises(ServiceUnavailable, match="does not answer") as caught:
        issuer.sign_in()
    assert caught.value.action and issuer.now == 1060


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (problem("access_denied"), "denied at the issuer"),
        (problem("access_denied", 403), "denied at the issuer"),
        (problem("expired_token"), "has expired"),
        (PENDING, "has expired"),
        (problem("invalid_grant"), "invalid_grant"),
        (problem("invalid_client", 401), "invalid_client"),
        (problem("x\x1b[31m"), "as an OpenID provider does not"),
        (httpx.Response(200, json={"access_token": "x"}), "without an ID token"),
        (httpx.Response(200, json={"id_token": "a b"}), "as an OpenID provider does not"),
        (httpx.Response(200, content=b"<html>"), "as an OpenID provider does not"),
        (httpx.Response(404, content=b"<html>"), "as an OpenID provider does not"),
        (httpx.Response(302, headers={"Location": "https://evil.example"}), "as an OpenID provider does not"),
    ],
)
def test_every_end_without_a_token_says_why_and_what_to_do(answer: httpx.Response, words: str) -> None:
    with pytest.raises(SignInFailed, match=words) as caught:
        Played(PENDING, answer).sign_in()
    assert caught.value.action


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("issuer", "https://evil.example"),
        ("device_authorization_endpoint", None),
        ("device_authorization_endpoint", "http://login.example.com/code"),
        ("token_endpoint", "http://login.example.com/token"),
        ("token_endpoint", "https://login.example.com/token"),
        ("device_authorization_endpoint", "https://login.example.com/code"),
        ("token_endpoint", "file:///etc/passwd"),
    ],
)
def test_an_issuer_that_names_unsafe_addresses_is_asked_for_nothing(field: str, value: str | None) -> None:
    issuer = Played(GOOD)
    issuer.configuration[field] = value
    with pytest.raises(SignInFailed):
        issuer.sign_in()
    assert not issuer.forms


@pytest.mark.parametrize("field", ["token_endpoint", "device_authorization_endpoint"])
def test_an_issuer_with_tls_names_no_address_without(field: str) -> None:
    issuer = Played(GOOD)
    issuer.configuration = {
        name: value.replace("http://127.0.0.1:9", "https://login.example.com")
        for name, value in issuer.configuration.items()
    }
    issuer.url = "https://login.example.com"
    assert issuer.sign_in() == "a.b.c"
    issuer.forms.clear()
    issuer.configuration[field] = f"{URL}/x"
    with pytest.raises(SignInFailed, match="must begin with https://"):
        issuer.sign_in()
    assert not issuer.forms


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_code", "A\x1b]0;x\x07"),
        ("verification_uri", "https://x\n"),
        ("user_code", ""),
        ("expires_in", 0),
        ("expires_in", "soon"),
        ("device_code", None),
    ],
)
def test_a_code_that_cannot_be_shown_or_used_is_refused(field: str, value: Any) -> None:
    with pytest.raises(SignInFailed, match="as an OpenID provider does not"):
        Played(GOOD, **{field: value}).sign_in()


@pytest.mark.parametrize("url", ["http://login.example.com", "x", "https://a@b.example"])
def test_the_service_cannot_name_an_issuer_that_others_could_play(url: str) -> None:
    with pytest.raises(SignInFailed):
        DeviceSignIn(Issuer(url=url, client_id="x"))


def test_secrets_of_a_sign_in_are_not_part_of_what_is_printed() -> None:
    code = DeviceCode.model_validate_json(json.dumps({**CODE, "device_code": "very-secret"}))
    assert "very-secret" not in repr(code)
