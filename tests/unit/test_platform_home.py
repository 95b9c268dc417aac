"""A home's folders, ports and secrets, and refusals before anything starts. No process is started."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.platform import lifecycle, object_store, ports, processes, space, supervisor
from registry_tui.platform.errors import (
    BinaryMissing,
    Damaged,
    HomeUnusable,
    PlatformError,
    PortTaken,
    SupervisorUnavailable,
)
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, MAX_SOCKET_PATH, PART_VARIABLE, Home
from registry_tui.platform.ports import LOOPBACK, Ports, choose_ports, require_free
from registry_tui.platform.secrets import Secrets, load_secrets
from registry_tui.terminal.early import EarlyPage
from support.platforms import wait_for


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


def refusal(home: Home) -> PlatformError:
    """The error of `up`; it starts nothing."""
    with pytest.raises(PlatformError) as caught:
        list(lifecycle.up(home))
    assert caught.value.message
    assert caught.value.action
    return caught.value


def test_folders_are_for_the_owner_only(home: Home) -> None:
    for folder in (home.root, home.logs, home.object_store, home.mlflow, home.service, home.run):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_sockets_fit_below_a_long_path(tmp_path: Path) -> None:
    home = Home(tmp_path / ("long" * 40))
    home.create()
    for path in (home.service_socket, home.supervisor_socket, home.replicas / "12345678901-1234-99.sock"):
        assert len(os.fsencode(path)) <= MAX_SOCKET_PATH
    assert home.run != Home(tmp_path / ("other" * 40)).run
    assert home.run.stat().st_mode & 0o777 == home.run.parent.stat().st_mode & 0o777 == 0o700
    home.replicas.rmdir()
    home.run.rmdir()


@pytest.fixture
def outside(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose sockets lie in a folder where everybody may make files."""
    everybody = short_path / "tmp"
    everybody.mkdir()
    monkeypatch.setattr(Home, "run", property(lambda _: everybody / "registry-tui-1" / "0123456789abcdef"))
    return Home(short_path / "home")


def asked(home: Home) -> str:
    """The error that a client of a home's service gets."""

    async def ask() -> str:
        async with RegistryClient(home) as client:
            with pytest.raises(RegistryError) as caught:
                await client.whoami()
            return caught.value.message

    return asyncio.run(ask())


def planted(folder: Path) -> socket.socket:
    """A program that listens where a home's service would."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "service.sock"))
    listener.listen(1)
    listener.setblocking(False)
    return listener


def test_a_link_that_was_planted_for_the_sockets_is_neither_used_nor_followed(outside: Home, short_path: Path) -> None:
    target = short_path / "t"
    (target / outside.run.name).mkdir(parents=True)
    target.chmod(0o755)
    lock = target / outside.run.name / "lifecycle.lock"
    lock.write_text("somebody's")
    outside.run.parent.symlink_to(target)
    listener = planted(target / outside.run.name)
    outside.root.mkdir()
    error = refusal(outside)
    assert isinstance(error, HomeUnusable) and "is a link" in error.message
    with pytest.raises(HomeUnusable, match="is a link"):
        lifecycle.down(outside)
    with pytest.raises(SupervisorUnavailable, match="is a link"):
        supervisor.pid(outside)
    assert "Nothing was sent" in asked(outside)
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.close()
    assert lock.read_text() == "somebody's" and target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("place", ["inside", "outside"])
def test_nothing_is_sent_to_sockets_in_a_folder_of_another_user(
    place: str, short_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(short_path / "home") if place == "inside" else request.getfixturevalue("outside")
    home.create()
    listener = planted(home.run)
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert "another user" in asked(home)
    page = EarlyPage(home)
    page.wait()
    assert page.answer is None
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.close()
    error = refusal(home)
    assert isinstance(error, HomeUnusable) and "another user" in error.message
    with pytest.raises(HomeUnusable, match="another user"):
        lifecycle.down(home)


def test_ports_are_kept_and_below_the_ephemeral_ones(home: Home) -> None:
    chosen = choose_ports(home)
    assert choose_ports(home) == chosen
    numbers = set(asdict(chosen).values())
    assert len(numbers) == len(asdict(chosen))
    assert all(1024 < number < 32768 for number in numbers)
    assert home.ports_file.stat().st_mode & 0o777 == 0o600


def test_no_two_blocks_of_ports_overlap() -> None:
    taken = [number for block in range(ports._BLOCKS) for number in asdict(ports._ports_of_block(block)).values()]
    assert len(taken) == len(set(taken))


def test_a_taken_port_is_named_with_who_has_it(home: Home) -> None:
    chosen = choose_ports(home)
    with socket.create_server((LOOPBACK, chosen.s3)):
        assert processes.holder_of_port(chosen.s3) is not None
        with pytest.raises(PortTaken, match=rf"Port {chosen.s3} \(s3\).*PID {os.getpid()}") as caught:
            require_free(chosen)
        assert caught.value.action is not None and "--new-ports" in caught.value.action
        other = choose_ports(home, fresh=True)
        assert chosen.s3 not in asdict(other).values()
    require_free(other)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"s3": 1}', "null"])
def test_damaged_files_are_said_and_not_overwritten(home: Home, text: str) -> None:
    home.ports_file.write_text(text)
    with pytest.raises(Damaged, match=r"ports\.json is damaged"):
        choose_ports(home)
    assert home.ports_file.read_text() == text
    if text in ("", "{", "[]", "null"):
        home.secrets_file.write_text(text)
        error = refusal(home)
        assert "secrets.json is damaged" in error.message
        assert home.secrets_file.read_text() == text


def test_secrets_are_made_once_and_new_ones_are_kept(home: Home) -> None:
    made = load_secrets(home)
    assert load_secrets(home) == made
    assert home.secrets_file.stat().st_mode & 0o777 == 0o600
    older = json.loads(home.secrets_file.read_text())
    del older["mlflow_crypto_passphrase"]
    home.secrets_file.write_text(json.dumps(older))
    completed = load_secrets(home)
    assert completed.mlflow_flask_secret == made.mlflow_flask_secret
    assert completed.mlflow_crypto_passphrase != made.mlflow_crypto_passphrase
    assert load_secrets(home) == completed


def test_secrets_are_in_no_command_line_and_no_configuration(home: Home) -> None:
    secrets, chosen = load_secrets(home), choose_ports(home)
    public = " ".join([*object_store.command(home, chosen), supervisor.configuration(home), repr(secrets)])
    for value in secret_values(secrets):
        assert value not in public


def secret_values(secrets: Secrets) -> list[str]:
    """Every secret string, without the one user name among them."""
    plain = asdict(secrets)
    keys = [plain.pop(name)["secret_access_key"] for name in ("object_store_admin", "object_store_mlflow")]
    del plain["mlflow_admin_user"]
    return [*keys, *plain.values()]


def test_a_home_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = refusal(Home(tmp_path / "file" / "home"))
    assert isinstance(error, HomeUnusable) and "Not a directory" in error.message


def test_a_home_that_cannot_be_written_is_refused() -> None:
    assert isinstance(refusal(Home(Path("/proc/registry-tui"))), HomeUnusable)


@pytest.mark.parametrize("name", ["a#b", "a;b", "a,b", 'a"b', "a%b", "a?b", "a\nb"])
def test_a_path_that_parts_would_misread_is_refused(tmp_path: Path, name: str) -> None:
    assert "has the character" in refusal(Home(tmp_path / name)).message
    assert not (tmp_path / name).exists()


def test_a_full_disk_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "LEAST", 1 << 62)
    error = refusal(home)
    assert isinstance(error, HomeUnusable) and "are free on the disk" in error.message


def test_a_missing_program_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/bin/python")
    monkeypatch.setenv("PATH", "/nonexistent")
    error = refusal(home)
    assert isinstance(error, BinaryMissing) and "`weed`" in error.message


def test_other_homes_processes_are_not_ours(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes.part_of(os.getpid(), home) is None
    assert processes.ours(home) == {}


def test_down_and_status_of_a_home_that_never_was(tmp_path: Path) -> None:
    from registry_tui.platform.probes import platform_status

    home = Home(tmp_path / "nothing")
    assert lifecycle.down(home) == []
    status = platform_status(home)
    assert not status.healthy
    assert {part.state for part in status.parts} == {"stopped"}
    assert not home.root.exists()


def test_ports_name_their_addresses() -> None:
    numbers = Ports(*range(1, 13))
    assert numbers.s3_endpoint == "http://127.0.0.1:1"
    assert numbers.mlflow_url == "http://127.0.0.1:11"


def test_a_process_is_found_by_its_variables_and_an_ended_one_is_not_alive(home: Home) -> None:
    variables = {**os.environ, ENVIRONMENT_VARIABLE: str(home.root), PART_VARIABLE: "gateway"}
    with subprocess.Popen([sys.executable, "-c", "input()"], env=variables, stdin=subprocess.PIPE) as child:
        wait_for(lambda: processes.ours(home) == {child.pid: "gateway"}, what="the process to have its variables")
        assert processes.alive(child.pid) and (processes.memory(child.pid) or 0) > 0
        assert 0 <= (processes.uptime(child.pid) or 0) < 600
        assert list(processes.parents(child.pid))[:2] == [child.pid, os.getpid()]
        child.kill()
        wait_for(lambda: not processes.alive(child.pid), what="the process to end")  # nobody has reaped it yet
        assert processes.ours(home) == {} and processes.memory(child.pid) is None
    assert processes.uptime(child.pid) is None and not processes.alive(child.pid)
    assert processes.part_of(1, home) is None, "another user's process, or one that is not ours"
