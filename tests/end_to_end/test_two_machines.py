"""The service on one machine, the terminal program, the command line and stock MLflow code on another."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from registry_tui.platform import server_certificate
from registry_tui.platform.paths import Home
from registry_tui.schemas.models import ModelVersion, VersionStatus
from support import secret_search
from support.platforms import PATIENCE, Platform, temporary_folder, unique, wait_for
from support.team import Machine, Team
from support.terminal import terminal
from support.two_machines import Link, two_machines
from support.wrong_clock import clock_off

pytestmark = pytest.mark.long

PROGRAM = [sys.executable, "-m", "registry_tui"]

TRAIN = """
import mlflow, sys, time
mlflow.set_experiment("laptop")
class Doubles(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[float]) -> list[float]:
        return [2 * each for each in model_input]
with mlflow.start_run():
    model = mlflow.pyfunc.log_model(
        name="model", python_model=Doubles(), registered_model_name=sys.argv[1], pip_requirements=["mlflow"]
    )
print("version", model.registered_model_version)
"""


#: Uploads a file on request, then registers a model; the first upload opens the connection and finds the run.
UPLOAD = """
import hashlib, os, pathlib, sys
import mlflow
class Doubles(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[float]) -> list[float]:
        return [2 * each for each in model_input]
mlflow.set_experiment("drops")
content = os.urandom(48 << 20)
pathlib.Path(sys.argv[2], "large").write_bytes(content)
with mlflow.start_run() as run:
    mlflow.log_text("small", "small.txt")
    print("ready", run.info.run_id, hashlib.sha256(content).hexdigest(), flush=True)
    sys.stdin.readline()
    mlflow.log_artifact(str(pathlib.Path(sys.argv[2], "large")))
    print("uploaded", flush=True)
    model = mlflow.pyfunc.log_model(
        name="model", python_model=Doubles(), registered_model_name=sys.argv[1], pip_requirements=["mlflow"]
    )
print("version", model.registered_model_version)
"""


@dataclass(frozen=True)
class Between:
    """Both machines: the team's platform on one, a person on the other, and the link."""

    link: Link
    team: Team
    person: Machine
    shown: str

    def on_the_service(self, *arguments: str) -> None:
        """A command on the service's machine."""
        command = [*self.link.there, *PROGRAM, *arguments]
        subprocess.run(command, env=self.team.platform.environment(), check=True, capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def between() -> Iterator[Between]:
    """`registry-tui serve` in the foreground there; here nobody has signed in yet."""
    with two_machines() as link, temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        output = folder / "serve.txt"
        command = [*link.there, *PROGRAM, "serve", "--listen", link.listen]
        with output.open("w") as said:
            served = subprocess.Popen(command, env=platform.environment(), stdout=said, stderr=said)
        try:
            wait_for(lambda: "fingerprint" in output.read_text(), what="serve to say its fingerprint")
            person = Machine(folder / "person", link.here)
            person.folder.mkdir()
            yield Between(link, Team(platform, f"https://{link.reached}"), person, output.read_text())
            secret_search.require_none_out_of_place(platform)
            served.send_signal(signal.SIGINT)
            assert served.wait(120) == 0
            assert not platform.home.listening_file.exists()
            assert not platform.home.supervisor_pid.exists()
        finally:
            served.kill()
            served.wait()
            platform.down()


@pytest.fixture
def signed_in(between: Between) -> Between:
    between.person.login(between.team, between.team.token(between.team.owner), "--name", "lab")
    return between


def test_serve_says_where_to_sign_in_and_with_which_fingerprint(between: Between) -> None:
    assert f"registry-tui login https://{between.link.listen}" in between.shown
    assert between.team.fingerprint in between.shown


def test_signing_in_at_a_terminal_asks_about_the_certificate_then_for_the_token(between: Between) -> None:
    person, team = between.person, between.team
    command = [*person.prefix, *PROGRAM, "login", team.url, "--name", "asked"]
    token = team.token("ada")
    with terminal(command, person.environment(), columns=160) as screen:
        screen.shows(team.fingerprint, "Is it the same?")
        screen.press("y", "enter")
        screen.shows("Your token")
        screen.press(*token, "enter")
        screen.shows("as ada; the context is asked")
        assert token not in screen.text
        assert screen.ended() == 0
    with terminal(command, person.environment(), columns=160) as screen:
        screen.shows("Is it the same?")
        screen.press("n", "enter")
        screen.shows("Nothing was sent and nothing was kept")
        assert screen.ended() == 1
    person.command("contexts", "delete", "asked", "--yes")


def test_stock_mlflow_code_on_the_other_machine_registers(signed_in: Between) -> None:
    person, model = signed_in.person, unique("Laptop")
    project = signed_in.team.platform.new_project()
    exports = json.loads(person.command("env", "--project", project.name, "--json").stdout)
    printed = person.python(TRAIN, exports, model).stdout
    assert printed.splitlines()[-1] == "version 1"
    listed = wait_for(lambda: model in person.command("models", "list").stdout, what="the model to be listed")
    assert listed


def test_a_link_that_drops_loses_nothing_of_a_form(signed_in: Between) -> None:
    person, name = signed_in.person, unique("p")
    with terminal([*person.prefix, *PROGRAM], person.environment(), columns=120) as screen:
        screen.shows("Model Registries", "registry-local", "@lab")
        screen.press(":")
        screen.shows("Go, do, find")
        screen.press("projects", "enter")
        screen.shows("Creator", "default", "@lab")
        screen.press("n")
        screen.shows("Create project", "Workspace", "default")
        screen.press(*name)
        screen.shows(name)
        try:
            signed_in.link.cut()
            screen.press("enter")
            screen.shows("not answer", name)
        finally:
            signed_in.link.mend()
        wait_for(lambda: "does not answer" not in screen.lines[-1], what="the service to answer again")
        assert name in screen.text
        screen.press("enter")
        wait_for(lambda: name in person.command("projects", "list", "--name", name).stdout, what="the project")
        screen.shows(name)
        screen.press("ctrl+q")
        assert screen.ended() == 0


def test_a_link_that_drops_under_an_upload_and_a_registration_loses_nothing(signed_in: Between, tmp_path: Path) -> None:
    person, platform, link, model = signed_in.person, signed_in.team.platform, signed_in.link, unique("Drops")
    project = platform.new_project()
    exports = json.loads(person.command("env", "--project", project.name, "--json").stdout)
    command = [*person.prefix, sys.executable, "-c", UPLOAD, model, str(tmp_path)]
    trains = subprocess.Popen(
        command, env=person.environment(**exports), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(tmp_path / "errors").open("w"),
    )  # fmt: skip
    try:
        assert trains.stdin is not None and trains.stdout is not None
        _, run_id, digest = trains.stdout.readline().split()
        # The door stands still, so that the upload is half done when the link drops.
        door, before = platform.running("service"), link.passed()
        os.kill(door, signal.SIGSTOP)
        try:
            trains.stdin.write("go\n")
            trains.stdin.flush()
            wait_for(lambda: link.passed() > before + (32 << 10), what="the upload to begin")
            link.cut()
        finally:
            os.kill(door, signal.SIGCONT)
        assert trains.poll() is None
        link.mend()
        assert trains.stdout.readline() == "uploaded\n"

        def versions() -> list[ModelVersion]:
            registry = platform.ask(lambda client: client.registries()).items[0].id
            return platform.ask(lambda client: client.versions(registry, model)).items

        wait_for(versions, what="the version to be made")
        link.cut()
        wait_for(lambda: all(each.status is VersionStatus.READY for each in versions()), what="it to be stored")
        link.mend()
        assert trains.wait(PATIENCE) == 0, (tmp_path / "errors").read_text()
    finally:
        link.mend()
        trains.kill()
        trains.wait()
    registered = int(trains.stdout.read().split()[-1])
    assert registered in [each.version for each in versions() if each.status is VersionStatus.READY]
    found = tmp_path / "found"
    person.command("runs", "artifacts", "get", run_id, "large", "--project", project.name, str(found))
    assert hashlib.sha256(found.read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(("shift", "differs"), [("+1h", "60 minutes ahead of"), ("-1h", "60 minutes behind")])
def test_a_clock_that_is_an_hour_off_is_named_and_changes_nothing(signed_in: Between, shift: str, differs: str) -> None:
    team, right = signed_in.team, signed_in.person
    wrong = replace(right, variables=clock_off(shift))
    printed = wrong.login(team, team.token(team.owner), "--name", "lab").stderr
    assert f"This machine's clock is {differs} the service's" in printed
    assert f"{differs} the service's" in wrong.command("whoami").stdout
    assert f"{differs} the service's" in wrong.command("status").stdout
    assert "clock" not in right.command("whoami").stdout

    project = team.platform.new_project()
    spans = ("--since", "30m", "--until", "0s", "--all", "--json")

    def listed() -> bool:
        events = json.loads(wrong.command("events", "list", *spans).stdout)
        return any(each["action"] == "project.create" and each["resource_id"] == project.id for each in events)

    # How far the clock is off is known to about half a second: "now" may still be before the project.
    wait_for(listed, what="the event to be before now")

    exports = json.loads(wrong.command("env", "--project", project.name, "--json").stdout)
    assert wrong.python(TRAIN, exports, unique("Late")).stdout.splitlines()[-1] == "version 1"

    with terminal([*wrong.prefix, *PROGRAM], wrong.environment(), columns=140) as screen:
        screen.shows("@lab", f"clock is {differs}")
        screen.press(":")
        screen.shows("Go, do, find")
        screen.press("projects", "enter")
        screen.shows("Creator", project.name)
        row = next(line for line in screen.lines if project.name in line)
        assert re.search(r"just now|\d+ min ago", row), row
        screen.press("ctrl+q")
        assert screen.ended() == 0


@pytest.fixture
def short_lived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The address of a server whose certificate is valid half an hour before and after now, and the certificate."""
    for span in ("EARLIER", "LIFETIME"):
        monkeypatch.setattr(server_certificate, span, timedelta(minutes=30))
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for path, text in zip((certificate, key), server_certificate.make(["127.0.0.1"]), strict=True):
        path.write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}", certificate
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("shift", "word"), [("+1h", "has expired"), ("-1h", "is not valid yet")])
@pytest.mark.parametrize("named", [True, False], ids=["an authority that is named", "one that the machine trusts"])
def test_a_certificate_that_the_clock_makes_invalid_is_said_to_be_so(
    short_lived: tuple[str, Path], tmp_path: Path, shift: str, word: str, named: bool
) -> None:
    url, certificate = short_lived
    variables = clock_off(shift) | ({} if named else {"SSL_CERT_FILE": str(certificate)})
    authority = ("--authority", str(certificate)) if named else ()
    person = Machine(tmp_path, variables=variables)
    refused = person.command("login", url, "--token-stdin", *authority, check=False, typed="secret\n")
    assert refused.returncode == 1
    assert f"{word} by this machine's clock" in refused.stderr and "Set this machine's clock" in refused.stderr
    assert "fingerprint" not in refused.stderr


def test_another_context_is_chosen_in_the_program(signed_in: Between) -> None:
    person, team = signed_in.person, signed_in.team
    person.login(team, team.token("bob"), "--name", "second")
    with terminal([*person.prefix, *PROGRAM], person.environment(), columns=140) as screen:
        screen.shows("bob@second")
        screen.press(":")
        screen.shows("Go, do, find")
        screen.press("ctx", "enter")
        screen.shows("Contexts", "lab", "second", "local")
        screen.press("up", "enter")
        screen.shows(f"{team.owner}@lab", "registry-local")
        screen.press("ctrl+q")
        assert screen.ended() == 0
    person.command("contexts", "delete", "second", "--yes")
    person.command("contexts", "use", "lab")


def test_a_revoked_token_is_said_in_the_program_and_a_new_one_goes_on(between: Between) -> None:
    person, team = between.person, between.team
    token = team.token("erin")
    person.login(team, token, "--name", "erins")
    with terminal([*person.prefix, *PROGRAM], person.environment(), columns=140) as screen:
        screen.shows("erin@erins")
        team.revoke("erin", token)
        screen.press(":")
        screen.shows("Go, do, find")
        screen.press("projects", "enter")
        screen.shows("does not take your token", "was revoked")
        screen.press("ctrl+q")
        assert screen.ended() == 0
    refused = person.command("projects", "list", check=False)
    assert refused.returncode == 1
    assert f"registry-tui login {team.url}" in refused.stderr
    person.login(team, team.token("erin"), "--name", "erins")
    assert "erin" in person.command("whoami").stdout
    person.command("contexts", "delete", "erins", "--yes")


def test_a_changed_certificate_sends_nothing_until_it_is_trusted(signed_in: Between) -> None:
    person, team = signed_in.person, signed_in.team
    before, token = team.fingerprint, team.token(team.owner)
    shutil.rmtree(team.platform.home.tls)
    with terminal([*person.prefix, *PROGRAM], person.environment(), columns=140) as screen:
        screen.shows("@lab", "registry-local")
        signed_in.on_the_service("restart", "service")
        assert team.fingerprint != before
        # A word: the sentence is wrapped where the address is long.
        screen.shows("is not trusted", "changed:")
        screen.press("ctrl+q")
        assert screen.ended() == 0
    refused = person.command("projects", "list", check=False)
    assert refused.returncode == 1
    assert "has changed" in refused.stderr
    assert re.search(rf"registry-tui login {team.url}\b", refused.stderr)
    exports = {
        "MLFLOW_TRACKING_URI": f"{team.url}/mlflow",
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(person.folder / "contexts/lab.pem"),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    failed = person.python("import mlflow; mlflow.set_experiment('x')", exports, check=False)
    assert failed.returncode != 0
    assert "CERTIFICATE_VERIFY_FAILED" in failed.stderr
    person.login(team, token, "--name", "lab")
    assert team.url in person.command("whoami").stdout


def test_nothing_of_the_platform_is_reached_around_the_door(between: Between) -> None:
    """From the other machine, the listener's port is the only one."""
    host, _, listener = between.link.listen.rpartition(":")
    if not between.link.here:
        # One machine: another of its own addresses, at which nothing may listen.
        host, listener = "127.0.0.2", ""
    ports = sorted({*vars(between.team.platform.ports).values(), int(between.link.listen.rpartition(":")[2])})
    code = (
        "import socket, sys\n"
        "for port in map(int, sys.argv[2:]):\n"
        "    with socket.socket() as it:\n"
        "        it.settimeout(5)\n"
        "        print(port, it.connect_ex((sys.argv[1], port)))\n"
    )
    printed = between.person.run([sys.executable, "-c", code, host, *map(str, ports)]).stdout
    open_ = [line.split()[0] for line in printed.splitlines() if line.split()[1] == "0"]
    assert open_ == ([listener] if listener else [])
