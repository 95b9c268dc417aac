"""Requests that schemathesis makes up from the API's own description: nothing breaks, and nothing is undocumented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from support.forwarding import forwarded
from support.platforms import PATIENCE, Platform, unique, wait_for

#: Requests to each operation, the same in every run.
EXAMPLES = 3
#: Answers that do not end.
ENDLESS = {"/api/v1/stream"}
#: Operations that reach addresses and folders outside of the platform; `test_checking_stores.py` makes up requests to
#: them.
OUTSIDE = {"/api/v1/stores/check"}
#: Headers that identify the caller.
WHO = ("authorization", "x-registry-user")
#: Lists of things that a request could make, change or delete.
LISTS = ("environments", "workspaces", "projects", "registries", "users", "deployments", "keys", "workflows")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def address(own_platform: Platform) -> Iterator[str]:
    """An address that leads to the service of a platform on which anything may be made and deleted."""
    with forwarded(own_platform.home.service_socket) as url:
        yield url


@pytest.fixture(scope="module")
def made_up(address: str) -> dict[str, list[Any]]:
    """The requests to each operation, made up once for all senders."""
    schema = schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json")
    operations: list[Any] = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]
    return {
        f"{operation.method.upper()} {operation.path}": _examples(operation)
        for operation in operations
        if operation.path not in ENDLESS | OUTSIDE
    }


def _examples(operation: Any) -> list[Any]:
    cases: list[Any] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        for name in [name for name in case.headers or () if name.lower() in WHO]:
            del case.headers[name]  # the caller is not made up
        cases.append(case)

    ask()
    return cases


def asked(
    address: str, made_up: dict[str, list[Any]], headers: dict[str, str], checks: list[Any]
) -> dict[str, list[int]]:
    """The statuses that each operation answered; an answer that fails a check fails the test with all of them."""
    statuses: dict[str, list[int]] = {}
    wrong: list[str] = []
    for name, cases in made_up.items():
        statuses[name] = []
        for case in cases:
            try:
                response = case.call(base_url=address, headers=headers, timeout=PATIENCE)
                statuses[name].append(response.status_code)
                case.validate_response(response, checks=checks)
            except Exception as error:
                wrong.append(f"{name}: {error}"[:3000])
    assert not wrong, "\n\n".join(wrong)
    return statuses


def test_made_up_requests_of_an_administrator_break_nothing(address: str, made_up: dict[str, list[Any]]) -> None:
    statuses = asked(address, made_up, {}, CHECKS)
    assert len(statuses) > 80
    assert all(status < 500 for answers in statuses.values() for status in answers)
    assert [answers for answers in statuses.values() if 200 in answers], "some of them are carried out"


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer rt_x_{'0' * 40}"}, {"X-Registry-User": unique("no")}])
def test_made_up_requests_of_nobody_change_nothing(
    address: str, made_up: dict[str, list[Any]], headers: dict[str, str]
) -> None:
    def state() -> list[Any]:
        with httpx.Client(base_url=f"{address}/api/v1", timeout=PATIENCE) as http:
            return [http.get(f"/{name}", params={"page_size": 1000}).raise_for_status().json() for name in LISTS]

    def at_rest() -> bool:
        with httpx.Client(base_url=f"{address}/api/v1", timeout=PATIENCE) as http:
            return not http.get("/workflows", params={"status": "active"}).raise_for_status().json()["items"]

    # Workflows started by an administrator's requests continue by themselves.
    wait_for(at_rest, what="every workflow to end", timeout=2 * PATIENCE)
    before = state()
    statuses = asked(address, made_up, headers, [not_a_server_error, content_type_conformance])
    done = {name for name, answers in statuses.items() if any(status < 400 for status in answers)}
    # The liveness check, and the ways to sign in.
    assert done <= {"GET /api/v1/health", "GET /api/v1/sign-in"}, done
    assert state() == before
