"""How often the issuer is polled about a device code for a person who is not signed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry_tui.schemas.sign_in import DeviceCode, DeviceCodeProof, DeviceWait
from registry_tui.service.access import device_codes
from registry_tui.service.access.device_codes import Questions
from registry_tui.service.access.id_tokens import SignInRefused
from registry_tui.service.access.issuer_answers import RefusedByIssuer
from registry_tui.service.core.context import Service
from support.bare import bare_service

CODE = DeviceCode(device_code="c" * 40, user_code="A", verification_uri="https://issuer/", expires_in=600, interval=4)
PROOF = DeviceCodeProof(device_code=CODE.device_code)


class Issuer:
    """An issuer that gives this code, and the answers about it that a test wants."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    def device_code(self) -> DeviceCode:
        return CODE

    def tokens(self, device_code: str) -> DeviceWait:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return DeviceWait.PENDING


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with bare_service(tmp_path) as made:
        yield made


@pytest.fixture
def clock(service: Service, monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(service.kept.of(Questions), "_clock", made)
    return made


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Issuer:
    made: Any = Issuer()
    monkeypatch.setattr(device_codes, "_client", lambda _service: made)
    found: Issuer = made
    return found


def test_a_code_is_asked_about_no_more_often_than_the_issuer_wants(
    service: Service, clock: Clock, issuer: Issuer
) -> None:
    device_codes.new_code(service)
    for _ in range(50):
        assert device_codes.sign_in(service, PROOF, "r").waiting is DeviceWait.PENDING
    assert issuer.asked == 1
    clock.now += CODE.interval
    device_codes.sign_in(service, PROOF, "r")
    assert issuer.asked == 2


def test_a_code_that_another_process_began_is_asked_about_seldom(
    service: Service, clock: Clock, issuer: Issuer
) -> None:
    for _ in range(50):
        device_codes.sign_in(service, PROOF, "r")
    assert issuer.asked == 1


def test_a_code_that_the_issuer_refuses_is_refused_each_time(service: Service, clock: Clock, issuer: Issuer) -> None:
    """Refusals are counted by the listener, which slows down guessing callers."""
    issuer.error = RefusedByIssuer("token", 400, "expired_token")
    for _ in range(3):
        with pytest.raises(SignInRefused, match="expired"):
            device_codes.sign_in(service, PROOF, "r")
    assert issuer.asked == 3
