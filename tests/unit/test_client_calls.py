"""Each method of the client calls the operation that the walk over the table of permissions takes it for."""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import httpx

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.contracts.permitted_operations import FOR_NOBODY, OPERATIONS
from support import client_calls
from support.bare import asking, bare_service
from support.permission_stage import Stage

OPERATION_NAMES = {*OPERATIONS, *FOR_NOBODY}


def test_every_method_of_the_client_and_every_operation_has_a_row() -> None:
    rows = list(client_calls.rows())
    assert {method for method, _, _ in rows} == client_calls.methods(), "put these methods into support/client_calls.py"
    called = {operation for _, operation, _ in rows}
    assert called | client_calls.NOT_OURS == OPERATION_NAMES
    assert not called & client_calls.NOT_OURS


async def test_every_method_of_the_client_sends_the_operation_of_its_row(tmp_path: Path) -> None:
    with bare_service(tmp_path) as service:
        async with asking(service) as http:
            described = (await http.get("/openapi.json")).raise_for_status().json()["paths"]
    routes = [
        (path.count("{"), verb.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operation["operationId"])
        for path, operations in described.items()
        for verb, operation in operations.items()
    ]
    sent: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path))
        return httpx.Response(418)

    names = defaultdict(lambda: "seven", dict.fromkeys(("version", "event", "policy", "role"), "7"))
    stage = Stage(platform=None, names=names, tokens={}, users={})  # type: ignore[arg-type]
    wrong = []
    for method, operation, optional in client_calls.rows():
        sent.clear()
        values = client_calls.arguments(stage, "owner", method, operation, optional, tmp_path)
        async with RegistryClient(transport=httpx.MockTransport(answer)) as client:
            with suppress(RegistryError):
                await client_calls.call(client, method, values)
        ((verb, path),) = sent
        # The address with the fewest names in it, where several fit.
        found = min(each for each in routes if each[1] == verb and each[2].fullmatch(path))
        if found[3] != operation:
            wrong.append(f"{method} sends {found[3]}, not {operation}")
    assert not wrong, "\n".join(wrong)
