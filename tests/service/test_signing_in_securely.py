"""Signing in at a provider that wants a client secret, and at one behind an authority of its own, over real TLS."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from sqlalchemy import delete, select

from registry_tui.cli import session
from registry_tui.contracts.issuers import BY_CODE, BY_ID_TOKEN, NEW_CODE, WAYS
from registry_tui.schemas.sign_in import IssuerChange
from registry_tui.service.access import issuers, tokens
from registry_tui.service.access.issuer_answers import IssuerUnavailable
from registry_tui.service.core import identity
from registry_tui.service.database.tables import EventRow, InstallationRow
from registry_tui.service.errors import InvalidInput
from registry_tui.service.listening import failures
from registry_tui.service.listening.failures import MOST_BEGUN
from support.authorities import Authority, authority
from support.device_sign_ins import administer, kept, login
from support.issuer import CLIENT, Provider, Serving, serving
from support.lone_doors import LoneDoor, lone_door, really
from support.platforms import PATIENCE, unique, wait_for
from support.team import Machine


@dataclass(frozen=True)
class Private:
    """A provider with TLS, and the authority that signs its certificates, which nobody trusts yet."""

    running: Serving
    signer: Authority
    folder: Path

    @property
    def provider(self) -> Provider:
        return self.running.provider

    @property
    def authority_file(self) -> str:
        file = self.folder / "authority.pem"
        file.write_text(self.signer.pem)
        return str(file)

    def wants(self, secret: str | None = None) -> str:
        """Has the provider want this secret of the client, or a new one."""
        self.provider.secret = secret or f"{secrets.token_urlsafe(16)} +:/%&"
        return self.provider.secret

    def set(self, door: LoneDoor, **fields: Any) -> None:
        """Lets people of a service sign in here, as its administrator would. Raises ServiceError."""
        settings = {"url": self.provider.url, "client_id": CLIENT, "authority": self.signer.pem, **fields}
        issuers.set_issuer(door.service, identity.owner_principal(door.service), IssuerChange(**settings))


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Private]:
    folder, signer = tmp_path_factory.mktemp("issuer"), authority()
    with serving(signer.sign(folder, ["127.0.0.1"])) as running:
        yield Private(running, signer, folder)


@pytest.fixture(scope="module")
def open_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneDoor]:
    with lone_door(tmp_path_factory.mktemp("d")) as found:
        found.parts["service"].handler = really(found.service)
        yield found


@pytest.fixture
def door(open_door: LoneDoor, private: Private) -> Iterator[LoneDoor]:
    """A listener before a real service that knows no issuer; the provider has a public client, and is as it should."""
    yield open_door
    with open_door.service.database.session() as opened:
        opened.execute(delete(InstallationRow).where(InstallationRow.key.like("sign_in_issuer%")))
    private.provider.secret, private.provider.methods = None, ("client_secret_basic",)
    private.provider.only_tokens_need_it = False


@pytest.fixture
def person(open_door: LoneDoor, private: Private) -> str:
    name = unique("p")
    private.provider.people[name] = {"preferred_username": name}
    identity.ensure_user(open_door.service, name)
    return name


def rows(door: LoneDoor) -> dict[str, str]:
    with door.service.database.reading() as opened:
        return {each.key: each.value for each in opened.scalars(select(InstallationRow))}


# -- a client with a secret ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("methods", "only_tokens"),
    [
        (("client_secret_basic", "client_secret_post"), False),
        (("client_secret_post",), False),
        (("client_secret_post",), True),
    ],
)
def test_a_person_signs_in_where_only_the_service_knows_the_clients_secret(
    door: LoneDoor,
    private: Private,
    person: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    methods: tuple[str, ...],
    only_tokens: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    provider, secret, file = private.provider, private.wants(), tmp_path / "client.secret"
    provider.methods, provider.only_tokens_need_it = methods, only_tokens
    file.write_text(f"{secret}\n")
    options = ["--issuer", provider.url, "--client-id", CLIENT, "--authority", private.authority_file]
    shown = administer(door, "set", *options, "--client-secret-file", str(file)).stdout
    (tmp_path / "m").mkdir()
    machine = Machine(tmp_path / "m")
    with login(machine, door.url, "--name", "lab") as waiting:
        provider.answer(waiting.address(), person)
        status, printed = waiting.ended()
    assert status == 0, printed
    assert f"as {person}" in printed and f"(client {CLIENT} at {provider.url})" in printed
    assert tokens.principal_of(door.service, kept(machine)["lab"]["token"], "r").name == person
    with httpx.Client(base_url=door.url, timeout=PATIENCE) as nobody:
        ways = nobody.get(WAYS)
        settings = nobody.get(f"{WAYS}/issuer", headers={"Authorization": f"Bearer {owner_token(door)}"})
    assert ways.json()["issuer"]["confidential"] and settings.json()["confidential"]
    # One place has it.
    assert [key for key, value in rows(door).items() if secret in value] == ["sign_in_issuer_secret"]
    with door.service.database.reading() as opened:
        details = list(opened.scalars(select(EventRow.detail)))
    files = [each.read_bytes() for each in machine.folder.rglob("*") if each.is_file()]
    assert files and not [each for each in files if secret.encode() in each]
    everything = "\n".join([shown, printed, ways.text, settings.text, caplog.text, *details])
    assert "known to the service alone" in shown
    assert secret not in everything and provider.given[-1] not in everything


def owner_token(door: LoneDoor) -> str:
    return door.token(identity.owner_name(door.service))


@pytest.mark.parametrize("only_tokens", [False, True])
def test_a_provider_that_wants_a_secret_refuses_settings_without_it_or_with_another(
    door: LoneDoor, private: Private, only_tokens: bool
) -> None:
    private.wants()
    private.provider.only_tokens_need_it = only_tokens
    for secret, words in ((None, "--client-secret-file"), ("another", "Compare")):
        with pytest.raises(InvalidInput, match="invalid_client") as caught:
            private.set(door, client_secret=secret)
        assert words in str(caught.value.action) and "another" not in caught.value.detail
    assert issuers.settings_of(door.service) is None and not issuers.client_secret_of(door.service)


def test_the_secret_stays_for_the_same_client_and_goes_with_it(
    door: LoneDoor, private: Private, tmp_path: Path
) -> None:
    secret = private.wants()
    private.set(door, client_secret=secret)
    private.set(door, token_hours=2)
    assert issuers.client_secret_of(door.service) == secret
    # The provider gave the client another one.
    secret = private.wants()
    private.set(door, client_secret=secret)
    assert issuers.client_secret_of(door.service) == secret
    # Another client does not get it.
    with pytest.raises(InvalidInput, match="client_id: "):
        private.set(door, client_id="other")
    assert issuers.client_secret_of(door.service) == secret
    private.provider.secret = None
    options = ["--issuer", private.provider.url, "--client-id", CLIENT, "--authority", private.authority_file]
    shown = administer(door, "set", *options, "--public")
    assert "none: a public client" in shown.stdout
    assert not issuers.client_secret_of(door.service)
    private.set(door, client_secret=private.wants())
    issuers.delete_issuer(door.service, identity.owner_principal(door.service))
    assert "sign_in_issuer_secret" not in rows(door)


def test_a_secret_is_read_from_a_file_that_holds_one(tmp_path: Path) -> None:
    file = tmp_path / "client.secret"
    file.write_text("a b\r\n")
    assert session.secret_from(str(file), "--x") == "a b"
    file.write_text("\n")
    for wrong in (file, tmp_path / "none"):
        with pytest.raises(typer.BadParameter):
            session.secret_from(str(wrong), "--x")


def test_a_sign_in_through_the_service_ends_as_the_person_says(
    door: LoneDoor, private: Private, person: str, tmp_path: Path
) -> None:
    provider = private.provider
    private.set(door, client_secret=private.wants())
    with login(Machine(tmp_path), door.url) as waiting:
        provider.answer(waiting.address(), person, allow=False)
        status, printed = waiting.ended()
    assert status == 1 and "denied" in printed and "what to do" in printed
    stranger = unique("u")
    provider.people[stranger] = {"preferred_username": stranger}
    with login(Machine(tmp_path), door.url) as waiting:
        provider.answer(waiting.address(), stranger)
        status, printed = waiting.ended()
    assert status == 1 and f"There is no user '{stranger}'" in printed
    provider.secret = "changed there"
    with login(Machine(tmp_path), door.url) as waiting:
        status, printed = waiting.ended()
    assert status == 1 and "gives this service no device code" in printed and "administrator" in printed
    assert not kept(Machine(tmp_path))


def test_a_provider_that_goes_away_is_asked_again_through_the_service(
    door: LoneDoor, private: Private, person: str, tmp_path: Path
) -> None:
    private.set(door, client_secret=private.wants())
    with login(Machine(tmp_path), door.url) as waiting:
        address = waiting.address()
        private.running.stop()
        try:
            wait_for(lambda: "trying again" in "".join(waiting.printed), what="the program to notice")
        finally:
            private.running.start()
        private.provider.answer(address, person)
        status, printed = waiting.ended()
    assert status == 0, printed


def test_strangers_begin_few_sign_ins_and_guess_no_codes(
    door: LoneDoor, private: Private, monkeypatch: pytest.MonkeyPatch
) -> None:
    private.provider.interval = 0
    monkeypatch.setattr(failures, "WINDOW", 3600.0)  # a slow machine takes longer than a minute for all of them
    try:
        with _client(door, "127.0.8.1") as nobody:
            assert nobody.post(NEW_CODE).status_code == 404, "there is no issuer"
            private.set(door)
            assert nobody.post(NEW_CODE).status_code == 404, "people's programs ask a public client's codes themselves"
        private.set(door, client_secret=private.wants())
        with _client(door, "127.0.8.2") as nobody:
            answers = [nobody.post(NEW_CODE) for _ in range(MOST_BEGUN + 2)]
            statuses = [each.status_code for each in answers]
            assert statuses == [201] * MOST_BEGUN + [429] * 2
            assert int(answers[-1].headers["Retry-After"]) > 0 and "Wait" in answers[-1].json()["action"]
            # Sign-ins that wait for their person continue.
            waiting = nobody.post(BY_CODE, json={"device_code": answers[0].json()["device_code"]})
            assert waiting.status_code == 200 and waiting.json()["signed_in"] is None
            guess = nobody.post(BY_CODE, json={"device_code": "x" * 43})
            assert guess.status_code == 403 and guess.json()["code"] == "sign-in-refused"
            assert nobody.post(BY_CODE, json={"device_code": "a b"}).status_code == 422
            foreign = nobody.post(NEW_CODE, headers={"Origin": "https://evil.example"})
            assert foreign.status_code == 403 and foreign.json()["code"] == "foreign-page"
            others = [("GET", NEW_CODE), ("PUT", BY_CODE), ("POST", f"{NEW_CODE}/"), ("GET", f"{BY_ID_TOKEN}")]
            assert {nobody.request(*each).status_code for each in others} == {401}
    finally:
        private.provider.interval = 1


def _client(door: LoneDoor, address: str) -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=door.url, transport=transport, timeout=PATIENCE)


# -- an authority of its own ---------------------------------------------------------------------------------


def test_a_person_signs_in_at_a_provider_whose_authority_the_administrator_names(
    door: LoneDoor, private: Private, person: str, tmp_path: Path
) -> None:
    own = ["--issuer", private.provider.url, "--client-id", CLIENT]
    refused = administer(door, "set", *own, check=False)
    assert refused.returncode == 1 and "--authority FILE" in refused.stderr
    assert "was not signed by anybody whom this machine trusts" in refused.stderr
    with pytest.raises(IssuerUnavailable, match="was not signed by the authority that was given"):
        private.set(door, authority=authority("another").pem)
    assert issuers.settings_of(door.service) is None
    private.set(door)
    with login(Machine(tmp_path), door.url, "--name", "lab") as waiting:
        address = waiting.address()
        assert address.startswith("https://")
        private.provider.answer(address, person)
        status, printed = waiting.ended()
    assert status == 0, printed
    assert kept(Machine(tmp_path))["lab"]["user"] == person


@pytest.mark.parametrize("fault", ["expired", "other names", "other authority"])
def test_a_provider_whose_certificate_is_wrong_is_not_asked_for_anything_and_says_why(
    door: LoneDoor, private: Private, person: str, tmp_path: Path, fault: str
) -> None:
    private.set(door)
    before = rows(door)
    signer = authority("tests") if fault == "other authority" else private.signer
    names = ["login.example.com"] if fault == "other names" else ["127.0.0.1"]
    ends = timedelta(days=-1 if fault == "expired" else 1)
    words = {
        "expired": "has expired by this machine's clock",
        "other names": "is for other names than 127.0.0.1",
        "other authority": "was not signed by the authority that was given",
    }[fault]
    asked = len(private.provider.codes)
    good = private.signer.sign(private.folder, ["127.0.0.1"])
    contents = [each.read_bytes() for each in good]
    private.running.show(signer.sign(tmp_path, names, ends=ends))
    try:
        # The program on the other machine, the administrator's try, and the service that fetches keys.
        with login(Machine(tmp_path), door.url) as waiting:
            status, printed = waiting.ended()
        with pytest.raises(IssuerUnavailable) as caught:
            private.set(door, token_hours=3)
        with _client(door, f"127.0.8.{10 + len(fault)}") as nobody:
            answer = nobody.post(BY_ID_TOKEN, json={"id_token": private.provider.id_token(person)})
    finally:
        for file, content in zip(good, contents, strict=True):
            file.write_bytes(content)
        private.running.show(good)
    assert status == 1 and words in printed and "what to do" in printed and "Traceback" not in printed
    assert words in caught.value.detail and caught.value.action
    assert answer.status_code == 503 and words in answer.json()["detail"]
    assert len(private.provider.codes) == asked and rows(door) == before
