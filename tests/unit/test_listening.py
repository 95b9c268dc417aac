"""The rules of listening for other machines, and of slowing callers down."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry_tui.cli import listening as cli_listening
from registry_tui.cli.main import app
from registry_tui.client import tls
from registry_tui.client.errors import UntrustedCertificate
from registry_tui.gateway.access import Refusal
from registry_tui.platform import listening, server_certificate
from registry_tui.platform.listening import CannotListen, Listening
from registry_tui.platform.paths import Home
from registry_tui.service.listening.failures import MOST_BY_ADDRESS, MOST_BY_USER, WINDOW, Failures
from registry_tui.service.listening.listener import of_settings
from registry_tui.service.listening.sign_in import credential_of
from registry_tui.service.settings import Settings


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# -- where and how -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("127.0.0.1:8443", "127.0.0.1", 8443),
        (":8443", "0.0.0.0", 8443),
        ("*:1", "0.0.0.0", 1),
        ("[::1]:65535", "::1", 65_535),
        ("models.lab:443", "models.lab", 443),
    ],
)
def test_an_address_is_a_host_and_a_port(address: str, host: str, port: int) -> None:
    found = listening.parse(address)
    assert (found.host, found.port, found.scheme) == (host, port, "https")


@pytest.mark.parametrize(
    "address", ["", "8443", "host", "host:", "host:0", "host:65536", "host:-1", "host:٤", "a b:1", "a/b:1", "-x:1"]
)
def test_what_is_not_an_address_is_refused(address: str) -> None:
    with pytest.raises(CannotListen):
        listening.parse(address)


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "", "*", "192.0.2.1", "[2001:db8::1]", "no-such-host.invalid"])
def test_plain_http_beyond_this_machine_is_refused(host: str) -> None:
    with pytest.raises(CannotListen, match="without TLS is refused"):
        listening.parse(f"{host}:8443", plain_http=True)
    with pytest.raises(CannotListen, match="without TLS is refused"):
        of_settings(Settings(listen=f"{host}:8443", listen_plain_http=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "[::1]", "localhost"])
def test_plain_http_on_this_machine_has_to_be_asked_for(host: str) -> None:
    assert listening.parse(f"{host}:8443").scheme == "https"
    assert listening.parse(f"{host}:8443", plain_http=True).scheme == "http"


def test_nothing_listens_by_default() -> None:
    assert of_settings(Settings()) is None


def test_a_certificate_needs_its_own_key(tmp_path: Path) -> None:
    files = {}
    for name in ("one", "other"):
        made, key = server_certificate.make(["localhost"])
        files[name] = (tmp_path / f"{name}.pem", tmp_path / f"{name}-key.pem")
        files[name][0].write_text(made)
        files[name][1].write_text(key)
    own, other = files["one"], files["other"]
    assert listening.parse("0.0.0.0:1", certificate=str(own[0]), key=str(own[1])).certificate == str(own[0])
    (tmp_path / "text").write_text("no certificate")
    for certificate, private, words in (
        (own[0], str(other[1]), "cannot be used"),
        (tmp_path / "text", str(own[1]), "cannot be used"),
        (own[0], str(tmp_path / "missing"), "does not exist"),
        (own[0], "", "needs its key"),
    ):
        with pytest.raises(CannotListen, match=words):
            listening.parse("0.0.0.0:1", certificate=str(certificate), key=private)


def test_the_choice_is_kept_privately_and_forgotten(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    chosen = listening.parse("0.0.0.0:8443", names=["models.lab"])
    assert listening.load(home) is None
    assert listening.save(home, chosen)
    assert not listening.save(home, chosen)
    assert listening.load(home) == chosen
    assert home.listening_file.stat().st_mode & 0o077 == 0
    assert listening.save(home, None)
    assert listening.load(home) is None


def test_other_ports_know_the_names_of_this_start_else_those_of_the_settings(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    assert listening.known_names(home, ()) == ()
    assert listening.known_names(home, ("set.example",)) == ("set.example",)
    listening.save(home, listening.parse("127.0.0.1:8443", names=("models", "10.0.0.5")))
    assert listening.known_names(home, ("set.example",)) == ("models", "10.0.0.5")
    home.listening_file.write_text("{")
    assert listening.known_names(home, ("set.example",)) == ("set.example",)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"127.0.0.1:{port}"):
            listening.open_socket(Listening("127.0.0.1", port))


# -- certificates ----------------------------------------------------------------------------------------


@contextmanager
def shown(certificate: str, key: str, folder: Path) -> Iterator[str]:
    """The address of a server that shows a certificate and sends nothing."""
    (folder / "c.pem").write_text(certificate)
    (folder / "k.pem").write_text(key)
    context = listening.server_context(folder / "c.pem", folder / "k.pem")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_a_certificate_is_made_once_and_privately(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    chosen = listening.parse("0.0.0.0:8443", names=["models.lab"])
    certificate, key = server_certificate.certificate_of(home, chosen)
    first = listening.fingerprint(certificate)
    assert key.stat().st_mode & 0o077 == 0
    assert home.tls.stat().st_mode & 0o077 == 0
    assert server_certificate.certificate_of(home, chosen) == (certificate, key)
    assert listening.fingerprint(certificate) == first
    assert {"models.lab", "localhost", "127.0.0.1", "::1", socket.gethostname()} <= set(
        server_certificate.names_of(chosen)
    )


@pytest.mark.parametrize("known", ["models.lab", "MODELS.lab", "127.0.0.1", "::1", "0:0::1", "192.0.2.9"])
def test_a_certificate_serves_every_spelling_of_its_names(tmp_path: Path, known: str) -> None:
    home = Home(tmp_path)
    home.create()
    made = server_certificate.certificate_of(home, listening.parse("0.0.0.0:1", names=["models.lab", "192.0.2.9"]))
    assert server_certificate.certificate_of(home, listening.parse("0.0.0.0:1", names=[known])) == made


@pytest.mark.parametrize(
    "chosen", [Listening("0.0.0.0", 1, names=("other.lab", "localhost")), Listening("other.lab", 1)]
)
def test_a_name_that_the_certificate_lacks_is_refused_until_a_new_one_is_asked_for(
    tmp_path: Path, chosen: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "open_socket", lambda chosen: socket.socket())
    home = Home(tmp_path)
    home.create()
    certificate, _ = server_certificate.certificate_of(home, listening.parse("0.0.0.0:1"))
    before = listening.fingerprint(certificate)
    for attempt in (cli_listening.keep, server_certificate.certificate_of):
        with pytest.raises(CannotListen, match=r"not for other\.lab$") as caught:
            attempt(home, chosen)
        assert "--new-certificate" in (caught.value.action or "")
        assert listening.load(home) is None
    assert listening.fingerprint(certificate) == before
    cli_listening.keep(home, chosen, new_certificate=True)
    assert listening.load(home) == chosen
    assert server_certificate.certificate_of(home, chosen)[0] == certificate
    assert listening.fingerprint(certificate) != before
    assert not cli_listening.keep(home, chosen)


def test_a_name_is_one_of_this_machines_ports_also_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    made, key = server_certificate.make(["localhost"])
    (tmp_path / "c.pem").write_text(made)
    (tmp_path / "k.pem").write_text(key)
    own = {"certificate": str(tmp_path / "c.pem"), "key": str(tmp_path / "k.pem")}
    home = Home(tmp_path / "home")
    home.create()
    chosen = listening.parse("127.0.0.1:1", names=["models.lab"], certificate=own["certificate"], key=own["key"])
    cli_listening.keep(home, chosen)
    assert listening.known_names(home, ()) == ("models.lab",)
    assert server_certificate.certificate_of(home, chosen)[0] == tmp_path / "c.pem", "which may be for other names"
    with pytest.raises(CannotListen, match="HTTP without TLS has none"):
        listening.parse("127.0.0.1:1", names=["models.lab"], plain_http=True)
    for given in (["--certificate", own["certificate"], "--key", own["key"]], ["--plain-http"]):
        done = CliRunner().invoke(app, ["up", "--listen", "127.0.0.1:1", "--new-certificate", *given])
        assert done.exit_code == 2
    assert CliRunner().invoke(app, ["up", "--new-certificate"]).exit_code == 2


def test_a_certificate_for_another_name_is_mended_as_it_says(tmp_path: Path) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = 62
    action = tls.untrusted(error, "https://models.lab:8443", pinned=True).action or ""
    options = action.partition("up --listen … ")[2].partition("`")[0].split()
    chosen = cli_listening.choose("0.0.0.0:1", None, None, [options[1]], False, options[2] == "--new-certificate")
    assert options == ["--name", "models.lab", "--new-certificate"] and chosen is not None
    assert "models.lab" in server_certificate.names_of(chosen)


def test_a_pinned_certificate_is_trusted_and_no_other(tmp_path: Path) -> None:
    made, key = server_certificate.make(["127.0.0.1"])
    other, _ = server_certificate.make(["127.0.0.1"])
    (tmp_path / "pinned.pem").write_text(made)
    (tmp_path / "other.pem").write_text(other)
    with shown(made, key, tmp_path) as url:
        assert tls.fingerprint(tls.certificate_of(url)) == listening.fingerprint(tmp_path / "pinned.pem")
        tls.check(url, str(tmp_path / "pinned.pem"))
        with pytest.raises(UntrustedCertificate, match="has changed"):
            tls.check(url, str(tmp_path / "other.pem"))
        with pytest.raises(UntrustedCertificate, match="not signed by anybody"):
            tls.check(url)


def test_a_certificate_for_another_name_says_so(tmp_path: Path) -> None:
    made, key = server_certificate.make(["models.lab"])
    (tmp_path / "pinned.pem").write_text(made)
    with shown(made, key, tmp_path) as url, pytest.raises(UntrustedCertificate, match="for other names"):
        tls.check(url, str(tmp_path / "pinned.pem"))


@pytest.mark.parametrize(("code", "word"), [(9, "is not valid yet"), (10, "has expired")])
def test_a_clock_that_differs_is_named(code: int, word: str) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    found = tls.untrusted(error, "https://models.lab:8443", pinned=True)
    assert word in found.message
    assert "clock" in found.message
    assert "clock" in (found.action or "")


def test_a_clock_an_hour_behind_takes_a_new_certificate() -> None:
    assert server_certificate.EARLIER.total_seconds() > 3600


def test_fingerprints_are_the_same_however_they_are_written() -> None:
    assert tls.same_fingerprint("AA:bb:0C", "aabb0c")
    assert tls.same_fingerprint("SHA256 AA BB 0C", "AA:BB:0C")
    assert not tls.same_fingerprint("AA:BB:0C", "AA:BB:0D")


# -- slowing down ----------------------------------------------------------------------------------------


def test_guesses_from_one_address_have_to_wait_and_then_go_on() -> None:
    clock = Clock()
    failures = Failures(clock)
    for number in range(MOST_BY_ADDRESS):
        assert failures.wait("1.1.1.1", "", f"guess {number}") == 0
        failures.failed("1.1.1.1", "", f"guess {number}")
    assert 0 < failures.wait("1.1.1.1", "", "next") <= WINDOW
    assert failures.wait("2.2.2.2", "", "next") == 0
    clock.now += WINDOW
    assert failures.wait("1.1.1.1", "", "next") == 0


def test_guesses_with_one_name_have_to_wait_wherever_they_come_from() -> None:
    failures = Failures(Clock())
    for number in range(MOST_BY_USER):
        failures.failed(f"1.1.1.{number}", "ada", "guess")
    assert failures.wait("9.9.9.9", "ada", "guess") > 0
    assert failures.wait("9.9.9.9", "bob", "guess") == 0


def test_guessing_locks_nobody_out_whose_token_was_good() -> None:
    failures = Failures(Clock())
    failures.succeeded("1.1.1.1", "good")
    for number in range(MOST_BY_ADDRESS):
        failures.failed("1.1.1.1", "ada", f"guess {number}")
    assert failures.wait("1.1.1.1", "ada", "good") == 0
    assert failures.wait("1.1.1.1", "ada", "guess") > 0
    # A token that was revoked meanwhile is one more guess.
    failures.failed("1.1.1.1", "ada", "good")
    assert failures.wait("1.1.1.1", "ada", "good") > 0


def test_refusals_to_wait_are_written_down_once_a_minute_with_their_number() -> None:
    clock = Clock()
    failures = Failures(clock)
    assert [failures.slowed("1.1.1.1") for _ in range(4)] == [0, None, None, None]
    assert failures.slowed("2.2.2.2") == 0
    clock.now += WINDOW
    assert failures.slowed("1.1.1.1") == 3


def _basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def test_a_token_comes_as_bearer_or_as_password() -> None:
    assert credential_of("Bearer rt_1_2").secret == "rt_1_2"
    assert credential_of("bearer  rt_1_2 ").named == "1"
    found = credential_of(_basic("ada:rt_1_2"))
    assert (found.secret, found.user, found.named) == ("rt_1_2", "ada", "ada")
    assert "rt_1_2" not in repr(found)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic", "Basic %%%", _basic("ada"), _basic("ada:"), "Digest x", "rt_1_2"]
)
def test_what_holds_no_token_is_refused(header: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        credential_of(header)
    assert caught.value.status == 401
