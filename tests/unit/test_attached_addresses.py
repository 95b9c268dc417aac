"""Requests to an attached server, and reading its responses: versions, prefixes, doors, proxies, certificates."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest

from registry_tui.contracts.tls_addresses import has_tls
from registry_tui.platform.server_certificate import make
from registry_tui.schemas.sign_in import IssuerSettings
from registry_tui.service.access.issuer_answers import IssuerUnavailable, fetch
from registry_tui.service.adapters.attached_mlflow import (
    AttachedMlflow,
    CredentialsRefused,
    ServerAddress,
    ServerFault,
    abilities_of,
    check_address,
    check_server,
)
from registry_tui.service.adapters.http_reasons import reason_of
from registry_tui.service.adapters.mlflow_answers import NotMlflow
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted, PartUnavailable, ServiceError, WrongState
from support.little_mlflow import LOGGED, SEARCH, Answer, serving
from support.platforms import PATIENCE


@pytest.mark.parametrize(
    ("answers", "version"),
    [
        ({"/version": (200, "2.22.1")}, "2.22.1"),
        ({"/version": (200, "3.17.0rc0\n")}, "3.17.0rc0"),
        # No address reports the version: a call of MLflow 3 shows it.
        ({LOGGED: (400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "experiment_ids"})}, "3.0"),
        ({}, ""),
        ({"/version": (200, "<html>welcome</html>")}, ""),
        ({"/version": (302, "https://login.example.com")}, ""),
    ],
)
def test_the_version_is_found_or_left_open(answers: dict[str, Answer], version: str) -> None:
    with serving({SEARCH: (200, {}), **answers}) as server:
        address, found = check_server(ServerAddress(server.url))
        assert (found, address.api) == (version, "api")
        assert abilities_of(found).logged_models is (found.startswith("3"))


def test_a_server_before_2_9_is_too_old() -> None:
    answers: dict[str, Answer] = {SEARCH: (200, {}), "/version": (200, "2.8.1")}
    with serving(answers) as server, pytest.raises(WrongState, match="too old to be attached"):
        check_server(ServerAddress(server.url))


def test_the_prefix_of_mlflow_2_has_the_calls_of_its_pages() -> None:
    answers: dict[str, Answer] = {"/ml/ajax-api/2.0/mlflow/experiments/search": (200, {}), "/version": (200, "2.22.1")}
    with serving(answers) as server:
        address, version = check_server(ServerAddress(f"{server.url}/ml"))
        assert (address.api, version) == ("ajax-api", "2.22.1")
        with closing(AttachedMlflow(address)) as client:
            assert client.call("POST", "experiments/search", json={}) == {}


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((401, "who are you?"), CredentialsRefused, "does not accept"),
        ((403, "<html>a door before it</html>"), NotPermitted, "does not permit"),
        ((403, {"error_code": "PERMISSION_DENIED", "message": "not yours"}), NotPermitted, "not yours"),
        ((404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no run x"}), Missing, "no run x"),
        ((404, "<html>nothing here</html>"), NotMlflow, "no MLflow server"),
        ((200, "<html>welcome</html>"), NotMlflow, "no MLflow server"),
        ((200, [1, 2]), NotMlflow, "no MLflow server"),
        ((302, "http://127.0.0.1:9/login"), NotMlflow, "another address"),
        ((500, {"error_code": "INTERNAL_ERROR", "message": "oops"}), ServerFault, "oops"),
        ((502, "<html>bad gateway</html>"), PartUnavailable, "502"),
    ],
)
def test_every_refusal_is_reported_as_what_it_is(answer: Answer, kind: type[ServiceError], words: str) -> None:
    with serving({SEARCH: answer}) as server, closing(AttachedMlflow(ServerAddress(server.url))) as client:
        with pytest.raises(ServiceError, match=words) as raised:
            client.call("POST", "experiments/search", json={})
        assert type(raised.value) is kind
        # No text of a page reaches people.
        assert "html" not in raised.value.detail


def test_a_server_that_hangs_is_given_up_and_keeps_only_so_many_callers_waiting() -> None:
    arrived, answered = threading.Semaphore(0), threading.Event()

    class Slow(dict[str, Answer]):
        def get(self, path: str, default: Answer) -> Answer:  # type: ignore[override]
            arrived.release()
            answered.wait(PATIENCE)
            return default

    with serving(Slow()) as server, ExitStack() as stack:
        stack.callback(answered.set)
        impatient = stack.enter_context(closing(AttachedMlflow(ServerAddress(server.url), httpx.Timeout(60, read=0.2))))
        with pytest.raises(PartUnavailable, match=r"has not answered within 0\.2 seconds"):
            impatient.call("POST", "experiments/search", json={})
        assert arrived.acquire(timeout=PATIENCE)
        client = stack.enter_context(closing(AttachedMlflow(ServerAddress(server.url), httpx.Timeout(None, pool=0.2))))
        waiting = [threading.Thread(target=_refused, args=(client,)) for _ in range(12)]
        for thread in waiting:
            thread.start()
        for _ in waiting:
            assert arrived.acquire(timeout=PATIENCE)
        # All its connections are in use, and nobody else waits for long.
        with pytest.raises(PartUnavailable, match="is slow, and as many requests"):
            client.call("POST", "experiments/search", json={})
        answered.set()
        for thread in waiting:
            thread.join()


def _refused(client: AttachedMlflow) -> None:
    with suppress(ServiceError):
        client.call("POST", "experiments/search", json={})


def test_a_user_signs_in_with_a_password_and_nobody_else_with_a_token() -> None:
    sent: dict[str, Callable[[str], ServerAddress]] = {
        "Basic YW5uOnB3": lambda url: ServerAddress(url, "ann", "pw"),
        "Bearer t0ken": lambda url: ServerAddress(url, secret="t0ken"),
    }
    for expected, address in sent.items():
        with serving({SEARCH: (200, {}), "/version": (200, "3.0.0")}) as server:
            check_server(address(server.url))
            assert {authorization for _, authorization in server.seen} == {expected}


def test_requests_go_through_the_proxy_that_was_given_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    target = "http://mlflow.invalid/ml"
    answers: dict[str, Answer] = {f"{target}{SEARCH}": (200, {}), f"{target}/version": (200, "3.0.0")}
    with serving(answers) as proxy:
        assert check_server(ServerAddress(target, proxy=proxy.url))[1] == "3.0.0"
    with serving({SEARCH: (200, {})}) as server:
        check_server(ServerAddress(server.url))


@pytest.fixture
def untrusted(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """The TLS context of a server with a certificate of its own, and that certificate."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made, private = make(["127.0.0.1"])
    certificate.write_text(made)
    key.write_text(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, made


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "Https", "hTTPs"])
def test_certificates_are_checked_however_the_address_is_spelled(
    untrusted: tuple[ssl.SSLContext, str], scheme: str
) -> None:
    with serving({SEARCH: (200, {}), "/version": (200, "3.0.0")}, untrusted[0]) as server:
        url = server.url.replace("https", scheme)
        with pytest.raises(PartUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            check_server(ServerAddress(url, secret="t0ken"))
        with pytest.raises(IssuerUnavailable, match="not signed by anybody"):
            fetch(url, "", IssuerSettings)
        assert server.seen == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example", True),
        ("HTTPS://a.example", True),
        ("http://a.example", False),
        ("HTTP://a.example", False),
        ("http:evil", False),
        ("", True),
        ("https://[broken", True),
        ("httpx://a.example", True),
    ],
)
def test_an_address_has_tls_unless_its_scheme_says_otherwise(url: str, expected: bool) -> None:
    assert has_tls(url) is expected


def test_a_certificate_of_ones_own_is_trusted_where_it_was_given(untrusted: tuple[ssl.SSLContext, str]) -> None:
    context, certificate = untrusted
    with serving({SEARCH: (200, {}), "/version": (200, "3.0.0")}, context) as server:
        with pytest.raises(PartUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            check_server(ServerAddress(server.url))
        assert check_server(ServerAddress(server.url, certificate=certificate))[1] == "3.0.0"


@pytest.mark.parametrize(
    "secret", ["SECRET123 ", "SECRET123\n", "SECRET 123", "SECRET123\r\nX-Other: 1", "SECRET123\x00", "SECRET123€"]
)
def test_a_token_that_no_header_can_hold_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(InvalidInput, match="secret: is a token") as raised:
        check_address(ServerAddress("https://mlflow.example.com", secret=secret))
    assert "SECRET" not in f"{raised.value.detail}{raised.value.action}{raised.value.errors}"


@pytest.mark.parametrize(("user", "password"), [("ann:x", "pw"), ("ann\n", "pw"), ("ann", "SECRET\n"), ("a", "S\x7f")])
def test_a_user_and_a_password_that_would_arrive_as_others_are_refused(user: str, password: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_address(ServerAddress("https://mlflow.example.com", user, password))
    assert "SECRET" not in f"{raised.value.detail}{raised.value.errors}"


def test_credentials_of_every_usual_kind_are_taken() -> None:
    for user, secret in (("ann", "p w:ö€"), ("änn@example.com", "pw"), (None, "a.b-c_d~e+f/g=="), (None, None)):
        check_address(ServerAddress("https://mlflow.example.com", user, secret))


def test_an_error_never_shows_what_was_to_be_sent() -> None:
    # HTTPX's error quotes a header that cannot be sent.
    with serving({SEARCH: (200, {})}) as server:
        headers = {"Authorization": "Bearer SECRET123 "}
        with pytest.raises(httpx.LocalProtocolError, match="SECRET123") as quoted, httpx.Client() as client:
            client.get(server.url, headers=headers)
        assert reason_of(quoted.value) == "the request cannot be sent over HTTP"
        with (
            closing(AttachedMlflow(ServerAddress(server.url, secret="SECRET123 "))) as asked,
            pytest.raises(PartUnavailable) as raised,
        ):
            asked.call("POST", "experiments/search", json={})
        assert "SECRET" not in raised.value.detail


def test_why_a_server_does_not_answer_is_told_without_numbers_of_errors() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with httpx.Client() as client, pytest.raises(httpx.ConnectError) as refused:
            client.get(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert reason_of(refused.value) == "connection refused"
    assert reason_of(httpx.ReadTimeout("")) == "no answer in time"
