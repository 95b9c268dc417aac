"""Which requests are refused as those of a foreign web page."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from registry_tui.contracts import web_pages

HERE = "127.0.0.1:8080"


def problem(method: str = "GET", hosts: tuple[str, ...] = (), *, on_socket: bool = False, **headers: str) -> str | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web_pages.problem(method, Headers(named), hosts, on_socket=on_socket)


@pytest.mark.parametrize(
    "host",
    [
        *(HERE, "127.0.0.1", "127.8.8.8:1", "localhost", "LOCALHOST:80", "localhost.", "[::1]:80", "[::1]"),
        *("app.localhost:80", ""),
    ],
)
def test_this_machines_names_are_let_in(host: str) -> None:
    assert problem(host=host) is None
    assert problem("POST", host=host) is None
    assert problem(host=host, on_socket=True) is None


@pytest.mark.parametrize("host", ["registry-tui", "service", "x"])
def test_any_word_may_stand_before_a_socket_but_not_before_a_port(host: str) -> None:
    assert problem(host=host, on_socket=True) is None
    assert problem(host=host) is not None
    assert problem(host=host, hosts=(host,)) is None
    assert problem(host=f"{host}:8080", on_socket=True) is not None, "a browser, where somebody forwards the socket"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8080", "evil.example.", "127.0.0.1.evil.example", "localhost.evil.example"),
        *("127.0.0.1@evil.example", "evil.example@127.0.0.1", "evil.example#127.0.0.1", "evil.example/127.0.0.1"),
        *("10.0.0.1", "[2001:db8::1]", "0.0.0.0", "127.0.0.1:x", "127.0.0.1:80:80", "[::1", "::1", ":80", "."),
        *("evil.localhost.example", "2130706433.example", "\xffvil.example", "evil:80", "evillocalhost:80"),
    ],
)
def test_other_names_are_refused(host: str) -> None:
    assert problem(host=host) is not None
    assert problem(host=host, on_socket=True) is not None


@pytest.mark.parametrize("whole", ["Box", "box.corp.example"])
def test_this_machines_host_name_is_let_in_at_every_port(monkeypatch: pytest.MonkeyPatch, whole: str) -> None:
    """Containers and scripts call a machine by it, also through a port that is passed on."""
    assert problem(host="box:5000") is not None
    monkeypatch.setattr("socket.gethostname", lambda: whole)
    for host in ("box", "box:5000", "BOX.:5000", whole):
        assert problem("POST", host=host) is None
        assert problem(host=host, on_socket=True) is None
    for host in ("box2", "corp.example", "box.other.example", "evil.box", "box.evil.example:5000"):
        assert problem(host=host, hosts=("models",)) is not None
    assert problem(host="box", origin="http://evil") is not None


def test_a_refusal_says_how_a_name_is_added() -> None:
    assert "--name" in web_pages.ACTION and "localhost" in web_pages.ACTION


def test_names_that_the_settings_add_are_let_in() -> None:
    assert problem(hosts=("Models.Example",), host="models.example:443") is None
    assert problem(hosts=("models.example",), host="evil.example") is not None
    for host in ("models.example.", "models.example.:443", "models.example"):
        for known in ("models.example", "models.example."):
            assert problem(hosts=(known,), host=host) is None
    assert problem(hosts=("models.example",), host="models.example", origin="https://models.example") is None
    assert problem(hosts=("models.example",), host="models.example", origin="https://evil.example") is not None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:8081", "http://localhost:8080", ""),
        *("file://", "http://127.0.0.1:8080.evil.example", "chrome-extension://127.0.0.1:8080", "127.0.0.1:8080"),
    ],
)
def test_pages_of_another_origin_are_refused(method: str, origin: str) -> None:
    assert problem(method, host=HERE, origin=origin) is not None
    assert problem(method, origin=origin) is not None, "also without a host to compare with"


def test_a_page_of_the_port_itself_works() -> None:
    for method in ("GET", "POST", "DELETE"):
        assert problem(method, host=HERE, origin=f"http://{HERE}", sec_fetch_site="same-origin") is None
    assert problem(host="LocalHost:1", origin="http://localhost:1") is None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "something-new"])
def test_parts_of_other_sites_pages_are_refused_but_links_may_be_followed(site: str) -> None:
    for mode in ("no-cors", "cors", "websocket"):
        assert problem(host=HERE, sec_fetch_site=site, sec_fetch_mode=mode) is not None
    assert problem(host=HERE, sec_fetch_site=site) is not None
    assert problem(host=HERE, sec_fetch_site=site, sec_fetch_mode="navigate") is None
    assert problem("POST", host=HERE, sec_fetch_site=site, sec_fetch_mode="navigate") is not None, "a form"


def test_programs_and_typed_addresses_are_let_in() -> None:
    assert problem("POST") is None
    assert problem("POST", host=HERE) is None
    assert problem(host=HERE, sec_fetch_site="none", sec_fetch_mode="navigate") is None


def test_types_that_forms_can_send_are_known() -> None:
    for simple in ("text/plain", "Text/Plain;charset=UTF-8", "multipart/form-data; boundary=x"):
        assert web_pages.is_simple(simple)
    assert web_pages.is_simple("application/x-www-form-urlencoded")
    for other in ("", "application/json", "text/csv", "application/json; charset=utf-8"):
        assert not web_pages.is_simple(other)
