"""Recorded answers match today's service, field for field: recordings cannot rot unseen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.routing import Match

from registry_tui.service.http import routes
from registry_tui.service.http.app import API
from support.recorded import Answer

ROUTERS = (*routes.routers(), *routes.routers(routes.FOREIGN))
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
AGAIN = "`python tests/support/recorded.py` records anew"


def test_every_recorded_answer_is_of_todays_schemas(recording: tuple[datetime, Mapping[str, Answer]]) -> None:
    checked = set()
    for key, answer in recording[1].items():
        route = _route(key)
        if "json" not in answer.content_type or answer.status >= 400 or route.response_model is None:
            continue
        schema: TypeAdapter[Any] = TypeAdapter(route.response_model)
        today = schema.dump_json(
            schema.validate_json(answer.content), exclude_none=route.response_model_exclude_none, by_alias=True
        )
        assert _fields(json.loads(today)) == _fields(json.loads(answer.content)), f"{key}: {AGAIN}"
        checked.add(route.path)
    assert len(checked) > 20


def _route(key: str) -> APIRoute:
    """The route that answers a recorded request today."""
    method, target = key.split(" ", 2)[:2]
    path = unquote(target.partition("?")[0])
    scope = {"type": "http", "method": method, "path_params": {}, "root_path": ""}
    for route in ROUTES:
        # Routes of other programs' APIs have their whole addresses.
        if any(route.matches({**scope, "path": each})[0] is Match.FULL for each in (path.removeprefix(API), path)):
            return route
    raise AssertionError(f"No route answers {key}: {AGAIN}")


def _fields(value: Any) -> Any:
    """Names of fields, without their values."""
    if isinstance(value, dict):
        return {name: _fields(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_fields(inner) for inner in value]
    return None
