"""Requests that schemathesis makes up from an API's own description.

Making them takes a hundred megabytes and more: tests call `asked` in a process of its own (`apart.call`).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from support.platforms import PATIENCE

#: Requests to each operation, the same in every run.
EXAMPLES = 3
#: Responses that do not end.
ENDLESS = {"/api/v1/stream"}
#: Operations that reach addresses and folders outside of the platform; `test_checking_stores.py` makes up requests to
#: them.
OUTSIDE = {"/api/v1/stores/check"}
#: Headers that identify the caller.
WHO = ("authorization", "x-registry-user")
#: The checks of responses to those who may ask for them.
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
#: The checks of responses to those who may not.
CHECKS_OF_REFUSALS = [not_a_server_error, content_type_conformance]


def asked(address: str, headers: dict[str, str], refused: bool) -> tuple[dict[str, list[int]], list[str]]:
    """The statuses of the responses of each operation, and the failed checks."""
    statuses: dict[str, list[int]] = {}
    wrong: list[str] = []
    for name, cases in _made_up(address).items():
        statuses[name] = []
        for case in cases:
            try:
                response = case.call(base_url=address, headers=headers, timeout=PATIENCE)
                statuses[name].append(response.status_code)
                case.validate_response(response, checks=CHECKS_OF_REFUSALS if refused else CHECKS)
            except Exception as error:
                wrong.append(f"{name}: {error}"[:3000])
    return statuses, wrong


@cache
def _made_up(address: str) -> dict[str, list[Any]]:
    """The requests to each operation, made up once for all senders."""
    schema = schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json", timeout=PATIENCE)
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
