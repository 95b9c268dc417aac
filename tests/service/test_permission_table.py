"""The table of permissions, walked as each kind of person: every operation by raw HTTP, every method of the client."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry_tui.contracts.permissions import RULES
from registry_tui.contracts.permitted_operations import FOR_NOBODY, OPERATIONS
from support import client_calls, permission_stage
from support.permission_stage import (
    BODIES,
    LAST,
    LISTS,
    NAMES,
    NOT_DONE,
    ORDER,
    QUERIES,
    Stage,
    filled,
    hidden,
    permitted,
    refused,
)
from support.platforms import PATIENCE, Platform

API = "/api/v1"


@pytest.fixture(scope="module")
def standing(own_platform: Platform) -> Iterator[Stage]:
    with permission_stage.staged(own_platform) as stage:
        yield stage


@pytest.fixture
def stage(standing: Stage) -> Stage:
    """The stage, with everything that an earlier walk took away."""
    permission_stage.bring_back(standing)
    return standing


def description(http: httpx.Client) -> Iterator[tuple[str, str, str]]:
    """Operation, method and path of every route."""
    for path, operations in http.get(f"{API}/openapi.json").raise_for_status().json()["paths"].items():
        for method, operation in operations.items():
            yield operation["operationId"], method.upper(), path


def connect(platform: Platform) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket))
    return httpx.Client(transport=transport, base_url="http://registry-tui", timeout=PATIENCE)


def answer_to(
    http: httpx.Client, stage: Stage, operation: str, method: str, path: str, kind: str
) -> tuple[int, Any, str]:
    """Status, content and detail of the answer to one person's request."""
    names = stage.names_of(kind)
    for name in re.findall(r"\{(\w+)\}", path):
        value = filled(NAMES.get((operation, name), f"{{{name}}}"), names)
        path = path.replace(f"{{{name}}}", value.replace("/", "%2F"))
    if query := QUERIES.get(operation):
        path = f"{path}?{query.format_map(names)}"
    headers = {"Authorization": f"Bearer {stage.tokens.get(kind, 'rt_none_none')}"}
    body = filled(BODIES.get(operation), names)
    with http.stream(method, path, json=body, headers=headers) as answer:
        if answer.status_code == 200 and operation == "follow":
            return 200, None, ""
        text = answer.read()
        problem = answer.json() if answer.headers.get("Content-Type", "").startswith("application/problem") else {}
    return answer.status_code, problem, text.decode(errors="replace")


def wrongly(stage: Stage, operation: str, kind: str, status: int, problem: Mapping[str, Any], text: str) -> list[str]:
    """Deviations of the response to one person's call from the table."""
    wanted, shown = permitted(operation, kind), f"{operation} as {kind}: {status} {text[:200]}"
    assert status < 500, shown
    if operation in LISTS and kind not in ("unknown token", "suspended"):
        assert status == 200, shown
        done = LISTS[operation](stage.names_of(kind)) in text
    else:
        done = not refused(status, problem)
        if not done and hidden(operation, kind):
            assert status == 404, shown
    return [] if done is wanted else [f"{'may' if wanted else 'may not'}: {shown}"]


def last(operation: str) -> int:
    """Where an operation goes in the order of a walk."""
    return LAST.index(operation) + 1 if operation in LAST else 0


def test_every_route_has_a_row_in_the_table(own_platform: Platform) -> None:
    with connect(own_platform) as http:
        found = {operation for operation, _, _ in description(http)}
    assert found - set(OPERATIONS) - FOR_NOBODY == set(), "put these operations into contracts/permitted_operations.py"
    assert set(OPERATIONS.values()) <= set(RULES)


def test_every_cell_of_the_table_is_true(stage: Stage) -> None:
    wrong: list[str] = []
    cells = 0
    with connect(stage.platform) as http:
        routes = {operation: (method, path) for operation, method, path in description(http)}
        for operation in sorted(routes, key=last):
            method, path = routes[operation]
            for kind in ORDER[:-1] if operation in NOT_DONE else ORDER:
                status, problem, text = answer_to(http, stage, operation, method, path, kind)
                cells += 1
                wrong += wrongly(stage, operation, kind, status, problem, text)
    assert not wrong, "\n".join(wrong)
    assert cells > 1000


def test_no_change_is_taken_that_changes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(stage.platform) as http:
        paths = {operation: path for operation, method, path in description(http) if method == "PATCH"}
        bodies: list[tuple[str, dict[str, str]]] = [(operation, {}) for operation in paths]
        bodies.append(("update_deployment", {"comment": "about nothing"}))
        for operation, body in bodies:
            monkeypatch.setitem(BODIES, operation, body)
            status, problem, text = answer_to(http, stage, operation, "PATCH", paths[operation], "administrator")
            assert status == 422, f"{operation}: {text}"
            # The only field of an experiment's change is required.
            if operation != "update_experiment":
                assert problem["detail"] == "Nothing would change", text
                assert problem["action"].startswith("Give a field to change: "), text
    assert len(paths) > 5


async def test_every_cell_of_the_table_is_true_by_the_client(stage: Stage, tmp_path: Path) -> None:
    wrong: list[str] = []
    cells = 0
    async with AsyncExitStack() as stack:
        callers = {
            kind: await stack.enter_async_context(
                client_calls.caller(stage.platform.home, stage.tokens.get(kind, "rt_none_none"))
            )
            for kind in ORDER
        }
        for method, operation, optional in sorted(client_calls.rows(), key=lambda row: last(row[1])):
            for kind in ORDER[:-1] if operation in NOT_DONE else ORDER:
                values = client_calls.arguments(stage, kind, method, operation, optional, tmp_path)
                status, problem, text = await client_calls.call(callers[kind], method, values)
                cells += 1
                wrong += wrongly(stage, operation, kind, status, problem, f"by {method}: {text}")
    assert not wrong, "\n".join(wrong)
    assert cells > 1000
