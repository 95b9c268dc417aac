"""The listener for other machines:

HTTPS, tokens, one port for the service, MLflow and deployments, and its refusals.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotSignedIn
from registry_tui.platform.contexts import Context
from registry_tui.platform.listening import fingerprint_of
from registry_tui.schemas.deployments import ApiKeyCreate, DeploymentUpdate
from registry_tui.schemas.places import CollaboratorChange
from registry_tui.schemas.tracking import ExperimentCreate
from registry_tui.service.listening.failures import MOST_BY_ADDRESS, MOST_BY_USER, WINDOW
from support import served, strangers
from support.browser import browsing
from support.listener_doors import DOORS, LAPTOP, TARGETS, answers, health, http, names, refusals
from support.platforms import PATIENCE, run_python, unique, wait_for
from support.team import LIGHT, Machine, Team, listening_platform


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with listening_platform() as running:
        yield running


@pytest.fixture(scope="module")
def ada(team: Team) -> str:
    """A token of a person who is not an administrator."""
    return team.token("ada")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# -- admission ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_no_door_opens_without_a_token_and_each_refusal_is_an_event(team: Team, door: str) -> None:
    address = f"127.0.1.{DOORS.index(door) + 1}"
    with http(team, address=address) as nobody:
        answers = [
            nobody.get(door),
            nobody.get(door, headers={"Authorization": "Bearer rt_000000000000_wrong"}),
            nobody.get(door, headers={"Authorization": f"Basic {base64.b64encode(b'ada:wrong').decode()}"}),
            nobody.post(door, headers={"X-Registry-User": team.owner}, json={}),
        ]
    assert [answer.status_code for answer in answers] == [401] * 4
    for answer in answers:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "login" in answer.text or "registry-tui keys create" in answer.text
    found = refusals(team, address)
    assert len(found) == 4
    assert all("401" in detail and door in detail for detail in found)


def test_every_socket_of_a_platform_that_listens_has_its_row(team: Team) -> None:
    rows = {strangers.row_of(team.platform, each)[0] for each in strangers.listeners(team.platform)}
    assert {*strangers.PORTS, "listener"} - {"deployment"} <= rows


def test_a_stranger_learns_nothing_and_changes_nothing(team: Team) -> None:
    before, name = names(team), unique("stranger")
    with http(team, address="127.0.6.1") as client:
        for target in (each.replace("NAME", name) for each in TARGETS):
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
                answer = client.request(method, target, json={"name": name, "state": "active"})
                if answer.status_code < 400:
                    assert method == "GET" and target in strangers.LISTENER.open, (method, target, answer.text)
                assert answer.status_code < 500, (method, target, answer.text)
    assert names(team) == before


def test_a_page_in_a_browser_learns_nothing_and_changes_nothing(team: Team) -> None:
    """A browser keeps no tokens; its own headers show that another page sends the request."""
    before, name = names(team), unique("page")
    port = int(team.url.rpartition(":")[2])
    with http(team, address="127.0.6.2") as client:
        for target in (each.replace("NAME", name) for each in TARGETS):
            for page, headers in strangers.pages(port).items():
                for method, body in (("GET", None), ("POST", f"name={name}")):
                    sent = {**headers, **({"Content-Type": "text/plain"} if body else {})}
                    answer = client.request(method, target, content=body, headers=sent)
                    at = (page, method, target, answer.status_code, answer.text[:200])
                    assert "access-control-allow-origin" not in answer.headers, at
                    if {"Origin", "Sec-Fetch-Site"} & headers.keys():
                        assert answer.status_code == 403 and "may not use this address" in answer.text, at
                    elif answer.status_code < 400:
                        # By any name: other machines know this one by names of their own, and a token is asked for.
                        assert method == "GET" and target in strangers.LISTENER.open, at
    assert names(team) == before


def test_a_token_acts_as_its_own_person_only(team: Team, ada: str) -> None:
    with http(team, ada) as client:
        assert client.get("/api/v1/user").json()["name"] == "ada"
        refused = client.get("/api/v1/user", headers={"X-Registry-User": team.owner})
        assert (refused.status_code, refused.json()["code"]) == (403, "not-permitted")
        basic = base64.b64encode(f"{team.owner}:{ada}".encode()).decode()
        foreign = client.get("/api/v1/user", headers={"Authorization": f"Basic {basic}"})
        assert (foreign.status_code, foreign.json()["code"]) == (401, "token-foreign")
    with http(
        team, address="127.0.2.1", Authorization=f"Basic {base64.b64encode(f'ada:{ada}'.encode()).decode()}"
    ) as it:
        assert it.get("/api/v1/user").json()["name"] == "ada"


def test_the_address_that_answers_name_cannot_be_chosen_by_the_caller(team: Team, ada: str) -> None:
    project = team.platform.new_project()
    with http(team, team.token(team.owner)) as client:
        found = client.get(
            f"/api/v1/projects/{project.name}/credentials", headers={"X-Registry-Reached": "https://evil.example"}
        ).json()
    assert found["tracking_uri"].startswith(f"{team.url}/mlflow/")
    assert found["password"] == ""


def test_a_revoked_token_is_refused_by_the_next_request_at_every_door(team: Team) -> None:
    token = team.token(team.owner)
    with http(team, token, address="127.0.3.1") as client:
        assert client.get("/api/v1/user").status_code == 200
        assert client.get("/mlflow/api/2.0/mlflow/experiments/search?max_results=1").status_code == 200
        team.revoke(team.owner, token)
        for door in ("/api/v1/user", "/mlflow/api/2.0/mlflow/experiments/search?max_results=1", "/endpoints/x/ping"):
            answer = client.get(door)
            assert answer.status_code == 401
            assert "revoked" in answer.text


def test_another_sites_page_is_refused(team: Team, ada: str) -> None:
    with http(team, ada) as client:
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            answer = client.get("/api/v1/user", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "foreign-page")
        assert client.get("/api/v1/user", headers={"Origin": team.url}).status_code == 200


# -- guessing ------------------------------------------------------------------------------------------------


def test_guessing_from_one_address_ends_in_429_and_locks_nobody_else_out(team: Team, ada: str) -> None:
    for attempt in range(1, 10):
        address = f"127.0.4.{attempt}"
        began = time.monotonic()
        with http(team, address=address) as guesser, http(team, ada, address=address) as good:
            assert good.get("/api/v1/user").status_code == 200
            answers = [
                guesser.get("/api/v1/user", headers={"Authorization": f"Bearer rt_{number:012x}_x"})
                for number in range(MOST_BY_ADDRESS + 5)
            ]
        if time.monotonic() - began < WINDOW / 2:
            break  # else the first are forgotten by now: a machine that busy guesses too slowly
    with http(team, address=address) as guesser, http(team, ada, address=address) as good:
        assert {answer.status_code for answer in answers[:MOST_BY_ADDRESS]} == {401}
        assert {answer.status_code for answer in answers[MOST_BY_ADDRESS:]} == {429}
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 61
        # A token that was good from there goes on; a new one from there has to wait, from elsewhere it does not.
        assert good.get("/api/v1/user").status_code == 200
        other = team.token("bob")
        assert guesser.get("/api/v1/user", headers={"Authorization": f"Bearer {other}"}).status_code == 429
    with http(team, other, address="127.0.4.99") as elsewhere:
        assert elsewhere.get("/api/v1/user").status_code == 200
    assert len(refusals(team, address)) == MOST_BY_ADDRESS + 1


def test_guessing_one_persons_token_from_many_addresses_ends_in_429(team: Team) -> None:
    for _ in range(5):
        statuses, user, began = [], unique("carol"), time.monotonic()
        for number in range(MOST_BY_USER + 2):
            with http(team, address=f"127.0.5.{number + 1}") as guesser:
                basic = base64.b64encode(f"{user}:guess{number}".encode()).decode()
                answer = guesser.get(
                    "/mlflow/api/2.0/mlflow/experiments/search", headers={"Authorization": f"Basic {basic}"}
                )
                statuses.append(answer.status_code)
        if time.monotonic() - began < WINDOW:
            break  # else the first are forgotten by now: a machine that busy guesses too slowly
    assert statuses == [401] * MOST_BY_USER + [429] * 2
    assert answer.json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"


# -- requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["/api/v1/user", "/api/v1/docs", "/mlflow/health", "/nothing", "/endpoints/x/ping"])
def test_every_answer_has_security_headers(team: Team, ada: str, door: str) -> None:
    with http(team, ada) as client:
        answer = client.get(door)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Content-Security-Policy"]
    assert len(answer.headers.get_list("X-Request-ID")) == 1
    assert "Set-Cookie" not in answer.headers
    assert "uvicorn" not in answer.headers.get("Server", "")


def test_a_body_that_is_too_large_is_refused_with_and_without_a_length(team: Team, ada: str) -> None:
    large = b"x" * (2 << 20)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    with http(team, ada) as client:
        for body in (large, pieces()):
            answer = client.post("/api/v1/projects", content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.filterwarnings("ignore:.*TLSv1.*:DeprecationWarning")
def test_plain_http_and_old_tls_get_no_answer(team: Team, ada: str) -> None:
    with pytest.raises(httpx.TransportError):
        plain = f"{team.url.replace('https', 'http')}/api/v1/user"
        httpx.get(plain, headers={"Authorization": f"Bearer {ada}"}, timeout=PATIENCE)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{team.url}/api/v1/user", verify=old, timeout=PATIENCE)


def test_no_token_is_in_the_logs_or_the_events(team: Team, machine: Machine) -> None:
    token = team.token("dora")
    machine.login(team, token)
    machine.command("projects", "list")
    secret = token.split("_", 2)[2]
    assert secret not in "".join(team.platform.log_tails(4000).values())
    assert secret not in team.platform.command("events", "list", "--all", "--json").stdout


# -- signing in ----------------------------------------------------------------------------------------------


def test_signing_in_shows_the_fingerprint_keeps_a_context_and_works_from_then_on(team: Team, machine: Machine) -> None:
    token = team.token("ada")
    alone = machine.command("login", team.url, "--token-stdin", check=False, typed=f"{token}\n")
    assert alone.returncode == 2
    assert team.fingerprint in alone.stderr
    machine.login(team, token)
    whoami = machine.command("whoami").stdout
    assert "ada" in whoami
    assert team.url in whoami
    [row] = [each for each in json.loads(machine.command("contexts", "list", "--json").stdout) if each["current"]]
    assert (row["url"], row["user"]) == (team.url, "ada")
    kept = machine.folder / "contexts"
    assert kept.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in kept.iterdir()} == {0o600}
    machine.command("logout")
    out = machine.command("projects", "list", check=False)
    assert out.returncode == 1
    assert f"registry-tui login {team.url}" in out.stderr


def test_a_wrong_fingerprint_or_token_signs_nobody_in_and_keeps_nothing(team: Team, machine: Machine) -> None:
    token = team.token("ada")
    wrong = machine.command(
        "login", team.url, "--fingerprint", "AB" * 32, "--token-stdin", check=False, typed=f"{token}\n"
    )
    assert wrong.returncode == 1
    assert team.fingerprint in wrong.stderr
    unknown = machine.login(team, "rt_000000000000_wrong", check=False)
    assert unknown.returncode == 1
    assert "not known" in unknown.stderr
    assert [each for each in (machine.folder / "contexts").rglob("*") if each.is_file()] == []


def test_several_contexts_are_chosen_by_name(team: Team, machine: Machine) -> None:
    machine.login(team, team.token("ada"), "--name", "lab")
    machine.login(team, team.token("bob"), "--name", "other")
    assert "bob" in machine.command("whoami").stdout
    assert "ada" in machine.command("--context", "lab", "whoami").stdout
    assert "ada" in machine.command("whoami", REGISTRY_TUI_CONTEXT="lab").stdout
    machine.command("contexts", "use", "lab")
    assert "ada" in machine.command("whoami").stdout
    machine.command("contexts", "delete", "lab", "--yes")
    assert machine.command("--context", "lab", "whoami", check=False).returncode == 1


async def test_an_unknown_and_a_revoked_token_say_what_to_do(team: Team) -> None:
    token = team.token("erin")
    context = Context("lab", team.url, "erin", token, str(team.certificate))
    async with RegistryClient(context=context) as client:
        assert (await client.whoami()).name == "erin"
    async with team.platform.patient_client() as owner:
        await owner.revoke_token("erin", token.split("_")[1])
    async with RegistryClient(context=context) as client:
        with pytest.raises(NotSignedIn) as caught:
            await client.whoami()
    assert "revoked" in caught.value.message
    assert f"registry-tui login {team.url}" in (caught.value.action or "")


def test_the_light_installation_works_elsewhere(team: Team, machine: Machine) -> None:
    """No module of the platform's extra is there."""
    machine.login(team, team.token(team.owner))
    project = team.platform.new_project()
    light = [sys.executable, "-c", LIGHT]
    assert project.name in machine.run([*light, "projects", "list", "--name", project.name]).stdout
    assert "MLFLOW_TRACKING_TOKEN" in machine.run([*light, "env", "--project", project.name]).stdout
    assert machine.run([*light, "models", "list", "--json"]).stdout.startswith("[")
    assert team.url in machine.run([*light, "contexts", "list"]).stdout
    assert "gateway" in machine.run([*light, "status"]).stdout
    again = machine.run(
        [*light, "login", team.url, "--fingerprint", team.fingerprint, "--token-stdin"],
        typed=f"{team.token('ada')}\n",
    )
    assert "as ada" in again.stderr


# -- MLflow and deployments ------------------------------------------------------------------------------------


def test_stock_mlflow_code_registers_with_the_printed_environment(team: Team, machine: Machine) -> None:
    """As a notebook on a laptop does after `eval "$(registry-tui env --project P)"`."""
    project, model = team.platform.new_project(), unique("Laptop")
    machine.login(team, team.token(team.owner))
    exports = json.loads(machine.command("env", "--project", project.name, "--json").stdout)
    assert exports["MLFLOW_TRACKING_URI"].startswith(f"{team.url}/mlflow/")
    shell = machine.command("env", "--project", project.name, MLFLOW_TRACKING_USERNAME="somebody").stdout
    assert "unset MLFLOW_TRACKING_USERNAME" in shell
    printed = run_python(LAPTOP, exports, str(machine.folder), "32", model).splitlines()
    assert printed[-2:] == ["True", "42.0"]
    [found] = [each for each in json.loads(machine.command("models", "list", "--json").stdout) if each["name"] == model]
    assert found["owner"] == team.owner


def test_an_unknown_token_is_explained_by_stock_mlflow(team: Team, machine: Machine) -> None:
    project = team.platform.new_project()
    machine.login(team, team.token(team.owner))
    exports = json.loads(machine.command("env", "--project", project.name, "--json").stdout)
    wrong = {**exports, "MLFLOW_TRACKING_TOKEN": "rt_000000000000_wrong"}
    printed = run_python("import mlflow; mlflow.set_experiment('x')", wrong, check=False)
    assert "This token is not known here" in printed
    assert "registry-tui login" in printed


def test_a_person_reads_only_their_own_projects_through_mlflow(team: Team, ada: str) -> None:
    project = team.platform.new_project()
    with http(team, ada) as client:
        answer = client.post(
            f"/mlflow/projects/{project.mlflow_workspace}/api/2.0/mlflow/experiments/create", json={"name": "theirs"}
        )
    assert answer.status_code in (403, 404)


def test_a_person_opens_mlflows_page_of_a_project_in_a_browser(team: Team) -> None:
    project, token, name = team.platform.new_project(), team.token("ada"), unique("experiment")
    team.platform.ask(lambda client: client.create_experiment(project.name, ExperimentCreate(name=name)))
    team.platform.ask(lambda client: client.set_collaborator(project.name, "ada", CollaboratorChange()))
    with browsing({}, "--ignore-certificate-errors") as browser:
        browser.sign_in("ada", token)
        browser.open(f"{team.url}/mlflow/projects/{project.name}#/experiments")
        wait_for(lambda: name in browser.run("document.body.innerText"), what="the page to list the experiment")
        assert browser.asked == 1, "name and token were asked for once"
        assert browser.run("location.pathname") == f"/mlflow/projects/{project.name}/"
        # The page works with the browser's stored data, and reaches nothing else of the platform with it.
        code = "Promise.all(PATHS.map((path) => fetch(path).then((answer) => answer.status)))"
        paths = ["./ajax-api/2.0/mlflow/users/current", "/api/v1/user", "/api/v1/users/ada/tokens"]
        own, *others = browser.run(code.replace("PATHS", json.dumps(paths)))
        assert own == 200 and set(others) <= {401, 403} and browser.asked == 1


def test_a_person_opens_the_page_of_an_endpoint_in_a_browser(team: Team) -> None:
    platform, part = team.platform, "document.getElementById"
    registered = served.register(platform, platform.new_project(), example=served.split(a=[1.0], b=[2.0]))
    deployment = served.deploy(platform, registered, authentication=True)
    key = platform.ask(lambda client: client.create_key(ApiKeyCreate(name="browser"))).key
    page = f"/endpoints/{deployment.access_key}/docs"
    with http(team) as nobody:
        shown = nobody.get(page)
        # The same page for existing and missing endpoints: it reveals nothing about them.
        assert shown.status_code == 200 and shown.text == nobody.get("/endpoints/unknown/docs").text
        assert deployment.name not in shown.text and shown.headers["Connection"] == "close"
        assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
        for closed in (page.replace("docs", "openapi.json"), f"{page}/", page.replace("docs", "ping")):
            assert nobody.get(closed).status_code == 401
        assert nobody.post(page).status_code == 401
    with browsing({}, "--ignore-certificate-errors") as browser:
        browser.open(f"{team.url}{page}")
        assert browser.run(f"{part}('about').textContent") == "Calls at this address need an API key."
        browser.run(f"{part}('key').value = 'rtk_0123_wrong', {part}('enter').click(), 1")
        wait_for(lambda: browser.run(f"{part}('about').className") == "wrong", what="the refusal")
        assert browser.run(f"!{part}('door').hidden")
        browser.run(f"{part}('key').value = {key!r}, {part}('enter').click(), 1")
        wait_for(lambda: browser.run(f"{part}('title').textContent") == deployment.name, what="the description")
        assert browser.run(f"{part}('door').hidden")
        browser.run("document.querySelector('section textarea ~ button').click(), 1")
        wait_for(lambda: "3" in browser.run("document.querySelector('section textarea ~ pre').textContent"))


def test_deployments_are_called_through_the_same_port(team: Team, ada: str) -> None:
    platform = team.platform
    project = platform.new_project()
    registered = served.register(platform, project)
    deployment = served.deploy(platform, registered, authentication=True)
    key = platform.ask(lambda client: client.create_key(ApiKeyCreate(name="laptop"))).key
    body, address = served.split(a=[1.0], b=[2.0]), f"/endpoints/{deployment.access_key}/invocations"
    with http(team) as nobody, http(team, key) as caller, http(team, team.token(team.owner)) as person:
        shown = person.get(f"/api/v1/deployments/{deployment.id}").json()
        assert shown["endpoint_url"] == f"{team.url}/endpoints/{deployment.access_key}"
        answer = caller.post(address, json=body)
        assert (answer.status_code, answer.json()["predictions"]) == (200, [3.0])
        wrapped = caller.post("/model", json={"accessKey": deployment.access_key, "request": body})
        assert wrapped.json()["success"]
        assert [each.post(address, json=body).status_code for each in (nobody, person)] == [401, 401]
        # The endpoint's description, and the page that shows it, come through this listener unchanged.
        page = caller.get(address.replace("invocations", "docs"))
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert page.headers["content-security-policy"].startswith("default-src 'none'") and "openapi.json" in page.text
        described = caller.get(address.replace("invocations", "openapi.json")).json()
        assert described["info"]["title"] == deployment.name and described["servers"] == [{"url": "."}]
        # A browser opens the page without a key; the page asks for one, and needs it for the endpoint's description.
        asked = [nobody.get(address.replace("invocations", path)) for path in ("docs", "openapi.json")]
        assert [each.status_code for each in asked] == [200, 401]
        assert deployment.name not in asked[0].text
        assert nobody.get("/endpoints/another/docs").text == asked[0].text
        # An API key opens nothing else.
        assert caller.get("/api/v1/user").status_code == 401
        assert caller.get("/mlflow/api/2.0/mlflow/experiments/search").status_code == 401
        # Without authentication it is open on its own machine, and from elsewhere to everybody who may sign in.
        open_ = DeploymentUpdate(authentication=False)
        platform.ask(lambda client: client.update_deployment(deployment.id, open_))
        wait_for(lambda: person.post(address, json=body).status_code == 200, what="the gateway to know")
        assert [each.post(address, json=body).status_code for each in (nobody, caller)] == [401, 200]


def test_a_name_is_added_to_the_certificate_only_when_a_new_one_is_asked_for(team: Team) -> None:
    """The last here: everybody has to trust the new one."""
    address, before = team.url.removeprefix("https://"), team.fingerprint
    named = ["up", "--listen", address, "--name", "models.test"]
    refused = team.platform.command(*named, check=False)
    assert refused.returncode == 1
    assert "is not for models.test" in refused.stderr and "--new-certificate" in refused.stderr
    assert team.fingerprint == before
    assert "fingerprint" in team.platform.command(*named, "--new-certificate").stderr
    assert team.fingerprint != before
    context = ssl.create_default_context(cafile=team.certificate)
    with (
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=PATIENCE) as connection,
        context.wrap_socket(connection, server_hostname="models.test") as secured,
    ):
        assert fingerprint_of(secured.getpeercert(binary_form=True) or b"") == team.fingerprint
    ports = team.platform.ports
    for port in (ports.mlflow, ports.gateway):
        # As containers and scripts of this machine call it.
        for host in ("localhost", "127.0.0.1", "[::1]", socket.gethostname(), "models.test"):
            wait_for(partial(answers, port, host), what=f"{port} to know {host}")
        for host in ("other.test", "models"):
            answer = health(port, host)
            assert answer.status_code == 403
            assert "--name" in answer.text and "does not belong to this machine" in answer.text
