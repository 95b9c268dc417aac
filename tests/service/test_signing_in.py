"""Signing in at an OpenID provider: the command line of another machine, the listener, the service, and the provider.

The provider is one of Authlib's; a person's browser is played by the requests that it would send.
"""

from __future__ import annotations

import json
import logging
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pexpect
import pytest
from joserfc.jwk import RSAKey
from sqlalchemy import select

from registry_tui.contracts.issuers import BY_ID_TOKEN, WAYS
from registry_tui.platform import listening
from registry_tui.schemas.people import UserState
from registry_tui.service.access import tokens
from registry_tui.service.core import identity
from registry_tui.service.database.tables import EventRow, UserRow
from registry_tui.service.listening.failures import MOST_BY_ADDRESS
from support.device_sign_ins import administer, kept, login
from support.issuer import CLIENT, Provider, Serving, serving
from support.lone_doors import LoneDoor, lone_door, really
from support.platforms import PATIENCE, unique, wait_for
from support.team import LIGHT, Machine


@pytest.fixture(scope="module")
def running() -> Iterator[Serving]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def provider(running: Serving) -> Provider:
    return running.provider


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, running: Serving) -> Iterator[LoneDoor]:
    """A listener before a real service, where people sign in at the provider."""
    with lone_door(tmp_path_factory.mktemp("d")) as found:
        found.parts["service"].handler = really(found.service)
        administer(found, "set", "--issuer", running.provider.url, "--client-id", CLIENT)
        yield found


def events(door: LoneDoor, action: str) -> list[EventRow]:
    """The events of a kind, oldest first."""
    with door.service.database.reading() as session:
        return list(session.scalars(select(EventRow).where(EventRow.action == action).order_by(EventRow.id)))


@pytest.fixture
def person(door: LoneDoor, provider: Provider) -> str:
    """A user who has an account at the provider."""
    name = unique("p")
    provider.people[name] = {"preferred_username": name}
    identity.ensure_user(door.service, name)
    return name


def sign_ins(door: LoneDoor, name: str) -> list[EventRow]:
    return [each for each in events(door, "user.sign-in") if each.resource_name == name]


# -- the command line ----------------------------------------------------------------------------------------


def test_a_person_signs_in_with_a_code_and_works_with_a_token_of_their_own(
    door: LoneDoor, provider: Provider, person: str, tmp_path: Path
) -> None:
    machine = Machine(tmp_path)
    with login(machine, door.url, "--name", "lab") as waiting:
        provider.answer(waiting.address(), person)
        status, printed = waiting.ended()
    assert status == 0, printed
    assert f"as {person}" in printed and f"{provider.url}/device" in printed
    assert printed.index(f"Signing in to {door.url} (client {CLIENT} at {provider.url})") < printed.index("Open ")
    context = kept(machine)["lab"]
    assert tokens.principal_of(door.service, context["token"], "r").name == person
    assert context["token"] not in printed
    shown = machine.run([sys.executable, "-c", LIGHT, "whoami", "--json"])
    assert json.loads(shown.stdout)["name"] == person
    listed = machine.command("tokens", "list", "--json")
    assert [each["name"] for each in json.loads(listed.stdout)] == ["signed in at 127.0.0.1"]
    assert [each.outcome for each in sign_ins(door, person)] == ["succeeded"]
    # Once more, with another key of the provider's.
    provider.rotate()
    with login(machine, door.url, "--name", "again") as waiting:
        provider.answer(waiting.address(), person)
        assert waiting.ended()[0] == 0
    assert kept(machine)["again"]["token"] != context["token"]


def test_a_sign_in_over_tls_is_bound_to_the_fingerprint_and_leaves_no_secret_in_logs(
    provider: Provider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in ("d", "m"):
        (tmp_path / folder).mkdir()
    caplog.set_level(logging.DEBUG)
    machine, name = Machine(tmp_path / "m"), unique("p")
    provider.people[name] = {"preferred_username": name}
    with lone_door(tmp_path / "d", tls=True) as door:
        door.parts["service"].handler = really(door.service)
        administer(door, "set", "--issuer", provider.url, "--client-id", CLIENT, "--create-users")
        url = door.url.replace("http:", "https:")
        asked = len(door.parts["service"].asked)
        with login(machine, url, "--fingerprint", "AA:BB") as waiting:
            status, printed = waiting.ended()
        assert status == 1 and "another fingerprint" in printed
        assert len(door.parts["service"].asked) == asked, "nothing was asked, and no code was shown"
        shown = listening.fingerprint(door.service.home.tls / "certificate.pem")
        with login(machine, url, "--fingerprint", shown, "--name", "lab") as waiting:
            provider.answer(waiting.address(), name)
            status, printed = waiting.ended()
        assert status == 0, printed
        context = kept(machine)["lab"]
        whoami = machine.run([sys.executable, "-c", LIGHT, "whoami", "--json"])
        assert json.loads(whoami.stdout)["name"] == name and context["trusted"]
        with door.service.database.reading() as session:
            details = list(session.scalars(select(EventRow.detail)))
    written = "".join([caplog.text, *details])
    assert "/api/v1/sign-in/id-token" in written
    for secret in (context["token"], provider.given[-1], provider.given[-1].rpartition(".")[2]):
        assert secret not in written and secret not in printed


def test_a_sign_in_that_is_denied_keeps_nothing(
    door: LoneDoor, provider: Provider, person: str, tmp_path: Path
) -> None:
    machine = Machine(tmp_path)
    with login(machine, door.url) as waiting:
        provider.answer(waiting.address(), person, allow=False)
        status, printed = waiting.ended()
    assert status == 1 and "denied" in printed and "what to do" in printed
    assert not kept(machine) and not sign_ins(door, person)


def test_a_code_that_nobody_types_in_time_ends_the_sign_in(door: LoneDoor, provider: Provider, tmp_path: Path) -> None:
    provider.expires_in = 2
    try:
        with login(Machine(tmp_path), door.url) as waiting:
            status, printed = waiting.ended()
    finally:
        provider.expires_in = 600
    assert status == 1 and "code has expired" in printed
    assert not kept(Machine(tmp_path))


def test_ctrl_c_leaves_the_waiting(door: LoneDoor, provider: Provider, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    with login(machine, door.url) as waiting:
        waiting.address()
        waiting.process.send_signal(signal.SIGINT)
        status, printed = waiting.ended()
    assert status == 130 and "Traceback" not in printed
    assert not kept(machine)


@pytest.mark.parametrize("who", ["unknown", "suspended", "administrator"])
def test_the_service_refuses_people_whom_only_the_provider_lets_in(
    door: LoneDoor, provider: Provider, person: str, tmp_path: Path, who: str
) -> None:
    name = {"unknown": unique("u"), "suspended": person, "administrator": identity.owner_name(door.service)}[who]
    provider.people[name] = {"preferred_username": name}
    if who == "suspended":
        with door.service.database.session() as session:
            session.get_one(UserRow, name).state = UserState.SUSPENDED.value
    with login(Machine(tmp_path), door.url) as waiting:
        provider.answer(waiting.address(), name)
        status, printed = waiting.ended()
    words = {"unknown": "There is no user", "suspended": "is suspended", "administrator": "with a token only"}[who]
    assert status == 1 and words in printed and "what to do" in printed and "request ID" in printed
    assert not kept(Machine(tmp_path))
    assert [(each.actor, each.outcome) for each in sign_ins(door, name)] == [(identity.NOBODY, "denied")]


def test_a_provider_that_is_away_is_named_and_nothing_is_kept(door: LoneDoor, running: Serving, tmp_path: Path) -> None:
    running.stop()
    try:
        with login(Machine(tmp_path), door.url) as waiting:
            status, printed = waiting.ended()
    finally:
        running.start()
    assert status == 1 and f"{running.provider.url} does not answer" in printed and "what to do" in printed
    assert not kept(Machine(tmp_path))


def test_a_provider_that_goes_away_while_the_person_types_is_asked_again(
    door: LoneDoor, running: Serving, person: str, tmp_path: Path
) -> None:
    with login(Machine(tmp_path), door.url) as waiting:
        address = waiting.address()
        running.stop()
        try:
            wait_for(lambda: "trying again" in "".join(waiting.printed), what="the program to notice")
        finally:
            running.start()
        running.provider.answer(address, person)
        status, printed = waiting.ended()
    assert status == 0, printed


def test_login_offers_the_provider_to_somebody_in_a_terminal(
    door: LoneDoor, provider: Provider, person: str, tmp_path: Path
) -> None:
    machine = Machine(tmp_path)
    arguments = ["-m", "registry_tui", "login", door.url]
    terminal = pexpect.spawn(
        sys.executable, arguments, env=machine.environment(), encoding="utf-8", timeout=PATIENCE, dimensions=(40, 200)
    )
    terminal.expect_exact(f"Sign in at {provider.url}, with a code?")
    terminal.sendline("")
    terminal.expect(r"(http\S+\?user_code=\S+)")
    found = terminal.match
    assert isinstance(found, re.Match)
    provider.answer(found[1], person)
    terminal.expect_exact(f"as {person}")
    terminal.expect(pexpect.EOF)
    terminal = pexpect.spawn(
        sys.executable, arguments, env=machine.environment(), encoding="utf-8", timeout=PATIENCE, dimensions=(40, 200)
    )
    terminal.expect_exact("with a code?")
    terminal.sendline("n")
    terminal.expect_exact("Your token")
    terminal.sendline(door.token(person))
    terminal.expect_exact(f"as {person}")
    terminal.expect(pexpect.EOF)


def test_the_administrator_sets_shows_and_deletes_the_provider(tmp_path: Path, provider: Provider) -> None:
    for folder in ("d", "m"):
        (tmp_path / folder).mkdir()
    with lone_door(tmp_path / "d") as door:
        door.parts["service"].handler = really(door.service)
        with login(Machine(tmp_path / "m"), door.url) as waiting:
            status, printed = waiting.ended()
        assert status == 1 and "with tokens only" in printed
        wrong = administer(door, "set", "--issuer", provider.url, "--client-id", "unknown", check=False)
        assert wrong.returncode == 1 and "invalid_client" in wrong.stderr and "public client" in wrong.stderr
        plain = administer(door, "set", "--issuer", "http://login.example.com", "--client-id", CLIENT, check=False)
        assert plain.returncode == 1 and "https://" in plain.stderr
        administer(door, "set", "--issuer", provider.url, "--client-id", CLIENT, "--create-users", "--token-hours", "1")
        shown = json.loads(administer(door, "show", "--json").stdout)
        assert (shown["url"], shown["create_users"], shown["token_hours"]) == (provider.url, True, 1)
        name = unique("new")
        provider.people[name] = {"preferred_username": name}
        with login(Machine(tmp_path / "m"), door.url) as waiting:
            provider.answer(waiting.address(), name)
            assert waiting.ended()[0] == 0
        administer(door, "delete", "--yes")
        assert administer(door, "show", check=False).returncode == 1
        assert [each.outcome for each in events(door, "issuer.set")] == ["failed", "failed", "succeeded"]


# -- the listener --------------------------------------------------------------------------------------------


def client(door: LoneDoor, address: str, **headers: str) -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=door.url, transport=transport, headers=headers, timeout=PATIENCE)


def test_only_two_addresses_answer_without_a_token(door: LoneDoor, person: str) -> None:
    token = door.token(person)
    with client(door, "127.0.6.1") as nobody:
        found = nobody.get(WAYS)
        assert found.status_code == 200 and set(found.json()["issuer"]) == {
            *("url", "client_id", "scopes", "authority", "confidential")
        }
        others = [
            ("GET", f"{WAYS}/"),
            ("GET", f"/{WAYS}"),
            ("GET", f"{WAYS}/issuer"),
            ("PUT", f"{WAYS}/issuer"),
            ("POST", WAYS),
            ("HEAD", WAYS),
            ("DELETE", BY_ID_TOKEN),
            ("GET", BY_ID_TOKEN),
            ("POST", f"{BY_ID_TOKEN}/"),
            ("POST", f"{WAYS}/id%2Dtoken"),
            ("POST", f"{BY_ID_TOKEN}%2F..%2F..%2Fsecrets%2Frotate"),
            ("GET", f"{WAYS}%3F/../user"),
        ]
        statuses = [nobody.request(method, path).status_code for method, path in others]
    assert statuses == [401] * len(others)
    # Headers that name somebody change nothing: the service is asked in nobody's name.
    names = {"X-Registry-User": identity.owner_name(door.service), "Authorization": f"Bearer {token}"}
    with client(door, "127.0.6.2", **names) as named:
        assert named.get(WAYS).json() == found.json()
        assert named.post(BY_ID_TOKEN, json={"id_token": "a.b.c"}).status_code == 403
        assert named.post(BY_ID_TOKEN, json={"id_token": "a" * 3000}).status_code == 413
        assert named.post(BY_ID_TOKEN, json={"id_token": "a b"}).status_code == 422
        foreign = named.post(BY_ID_TOKEN, json={"id_token": "a.b.c"}, headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403 and foreign.json()["code"] == "foreign-page"


def test_made_up_id_tokens_are_slowed_down_and_every_refusal_is_an_event(
    door: LoneDoor, provider: Provider, person: str
) -> None:
    address = "127.0.6.3"
    foreign = RSAKey.generate_key(2048, {"use": "sig"})
    with client(door, address) as guesser:
        answers = [
            guesser.post(BY_ID_TOKEN, json={"id_token": provider.id_token(person, key=foreign, nonce=str(number))})
            for number in range(MOST_BY_ADDRESS + 3)
        ]
        assert [each.status_code for each in answers[:MOST_BY_ADDRESS]] == [403] * MOST_BY_ADDRESS
        assert {each.json()["code"] for each in answers[:MOST_BY_ADDRESS]} == {"sign-in-refused"}
        assert {each.status_code for each in answers[MOST_BY_ADDRESS:]} == {429}
        assert int(answers[-1].headers["Retry-After"]) > 0
        good = provider.id_token(person)
        assert guesser.post(BY_ID_TOKEN, json={"id_token": good}).status_code == 429
    with client(door, "127.0.6.4") as elsewhere:
        made = elsewhere.post(BY_ID_TOKEN, json={"id_token": good})
        assert made.status_code == 201
        again = elsewhere.post(BY_ID_TOKEN, json={"id_token": good})
        assert again.status_code == 403 and "used before" in again.json()["detail"]
    refused = [each for each in events(door, "access.refuse") if each.resource_name == address]
    assert len(refused) == MOST_BY_ADDRESS + 1, "each, and one about those that had to wait"
    details = [each.detail for each in [*events(door, "access.refuse"), *events(door, "user.sign-in")]]
    assert not [each for each in details if good.rpartition(".")[2] in each or made.json()["token"] in each]


def test_a_sign_in_that_is_sent_again_with_its_key_gets_the_same_token(
    door: LoneDoor, provider: Provider, person: str
) -> None:
    body, key = {"id_token": provider.id_token(person)}, {"Idempotency-Key": unique("k")}
    with client(door, "127.0.6.5") as nobody:
        first, second = (nobody.post(BY_ID_TOKEN, json=body, headers=key) for _ in range(2))
    assert first.status_code == 201 and second.content == first.content
    assert second.headers["Idempotency-Replayed"] == "true"


def test_a_name_that_somebody_else_got_at_the_provider_waits_for_the_administrator(
    door: LoneDoor, provider: Provider, person: str
) -> None:
    with client(door, "127.0.6.6") as nobody:

        def posted(**claims: Any) -> httpx.Response:
            return nobody.post(BY_ID_TOKEN, json={"id_token": provider.id_token(person, nonce=unique("n"), **claims)})

        assert posted().status_code == 201
        refused = posted(sub="another")
        assert refused.status_code == 403 and "somebody else" in refused.json()["detail"]
        root = door.service.home.root
        Machine(root).command("--data-dir", str(root), "users", "forget-sign-in", person, "--yes")
        assert posted(sub="another").status_code == 201
        assert posted().status_code == 403
