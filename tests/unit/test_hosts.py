"""Names and addresses of this machine."""

from __future__ import annotations

import pytest

from registry_tui.contracts import issuers
from registry_tui.contracts.hosts import is_loopback, means_its_reader


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_loopback_host_needs_no_tls(host: str) -> None:
    assert is_loopback(host) and means_its_reader(host)
    assert issuers.problem(f"http://[{host}]/" if ":" in host else f"http://{host}/") is None


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example", "localhost.example", "local"])
def test_another_machine_is_none(host: str) -> None:
    assert not is_loopback(host) and not means_its_reader(host)


def test_a_name_below_localhost_needs_tls_as_some_resolvers_ask_a_server_for_it() -> None:
    assert means_its_reader("app.localhost") and not is_loopback("app.localhost")
    assert issuers.problem("http://app.localhost/") is not None
