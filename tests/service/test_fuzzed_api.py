"""Requests that schemathesis makes up from the API's own description: nothing breaks, and nothing is undocumented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from support import apart
from support.forwarding import forwarded
from support.platforms import PATIENCE, Platform, unique, wait_for

#: Lists of things that a request could make, change or delete.
LISTS = ("environments", "workspaces", "projects", "registries", "users", "deployments", "keys", "workflows")
#: Sends the requests with some headers, which are refused or not, and returns the statuses of each operation.
Ask = Callable[[dict[str, str], bool], dict[str, list[int]]]


@pytest.fixture(scope="module")
def address(own_platform: Platform) -> Iterator[str]:
    """An address that leads to the service of a platform on which anything may be made and deleted."""
    with forwarded(own_platform.home.service_socket) as url:
        yield url


@pytest.fixture(scope="module")
def ask(address: str) -> Iterator[Ask]:
    with apart.other_process() as other:

        def asked(headers: dict[str, str], refused: bool) -> dict[str, list[int]]:
            sent = other.submit(apart.call, "support.made_up_requests:asked", address, headers, refused)
            statuses, wrong = sent.result()
            assert not wrong, "\n\n".join(wrong)
            return dict(statuses)

        yield asked


def test_made_up_requests_of_an_administrator_break_nothing(ask: Ask) -> None:
    statuses = ask({}, False)
    assert len(statuses) > 80
    assert all(status < 500 for answers in statuses.values() for status in answers)
    assert [answers for answers in statuses.values() if 200 in answers], "some of them are carried out"


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer rt_x_{'0' * 40}"}, {"X-Registry-User": unique("no")}])
def test_made_up_requests_of_nobody_change_nothing(address: str, ask: Ask, headers: dict[str, str]) -> None:
    def state() -> list[Any]:
        with httpx.Client(base_url=f"{address}/api/v1", timeout=PATIENCE) as http:
            return [http.get(f"/{name}", params={"page_size": 1000}).raise_for_status().json() for name in LISTS]

    def at_rest() -> bool:
        with httpx.Client(base_url=f"{address}/api/v1", timeout=PATIENCE) as http:
            return not http.get("/workflows", params={"status": "active"}).raise_for_status().json()["items"]

    # Workflows started by an administrator's requests continue by themselves.
    wait_for(at_rest, what="every workflow to end", timeout=2 * PATIENCE)
    before = state()
    statuses = ask(headers, True)
    done = {name for name, answers in statuses.items() if any(status < 400 for status in answers)}
    # The liveness check, and the ways to sign in.
    assert done <= {"GET /api/v1/health", "GET /api/v1/sign-in"}, done
    assert state() == before
