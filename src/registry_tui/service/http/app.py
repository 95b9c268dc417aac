"""The FastAPI app: routes, errors, the API's description."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, JSONResponse

import registry_tui
from registry_tui.platform.unfinished import Doors
from registry_tui.schemas.base import Problem
from registry_tui.service.core import idempotency
from registry_tui.service.core.context import Service
from registry_tui.service.http import api_page, problems, routes
from registry_tui.service.http.middleware import RequestMiddleware
from registry_tui.service.http.routes import mlflow_files
from registry_tui.service.http.routes.keyed import Turns
from registry_tui.service.loops.background import Background
from registry_tui.service.loops.stream import Hub
from registry_tui.service.webhooks import deliveries

API = "/api/v1"

_DESCRIPTION = """\
An open Model Registry. Names or IDs are accepted wherever a resource is named; projects also as `workspace/project`.

Lists come in pages: ask again with `page_token` set to the answer's `next_page_token` until that is null.
Errors are problem details (RFC 9457, `application/problem+json`) with `code`, `detail`, `action` and `request_id`.
Send `X-Request-ID` to find your request again in events and logs; every answer carries it.

Send a new `Idempotency-Key` with everything that changes something, and the same one when you send it again because no
answer came: it is then carried out once, also when the service was restarted meanwhile, and a repetition gets the first
answer with `Idempotency-Replayed: true`. While the first is under way a repetition waits for it, and is answered 409
(`under-way`) when that takes long. A request that was refused (4xx) changed nothing, and its key can be used again."""


def create_app(service: Service, background: Background, hub: Hub | None = None) -> FastAPI:
    """The ASGI app of a service. It starts nothing by itself. `hub` publishes changes to clients that follow."""
    app = FastAPI(
        title="Registry TUI",
        version=registry_tui.__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # An address that ends with an empty name must not be redirected to the list's address.
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.service = service
    app.state.background = background
    app.state.hub = hub or Hub()
    app.state.turns = Turns()
    service.database.committing.append(idempotency.note)
    service.database.committing.append(deliveries.note)
    app.add_middleware(
        RequestMiddleware, max_request_bytes=service.settings.max_request_bytes, doors=Doors(service.home)
    )
    problems.install(app)
    for router in routes.routers():
        app.include_router(router, prefix=API)
    app.include_router(mlflow_files.router, prefix=API)
    for router in routes.routers(routes.FOREIGN):
        app.include_router(router)

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(FastAPI.openapi(app))
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]

    @app.get(f"{API}/openapi.json", include_in_schema=False)
    def openapi_json() -> JSONResponse:
        return JSONResponse(app.openapi())

    @app.get(f"{API}/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(api_page.render(app.openapi()), headers={"Content-Security-Policy": api_page.POLICY})

    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _with_problems(description: dict[str, Any]) -> dict[str, Any]:
    """FastAPI describes validation errors in a form of its own; ours are problem details, like all errors."""
    schemas = description["components"]["schemas"]
    for own in ("HTTPValidationError", "ValidationError"):
        schemas.pop(own, None)
    schemas.setdefault("Problem", Problem.model_json_schema(ref_template="#/components/schemas/{model}"))
    for name, definition in schemas["Problem"].pop("$defs", {}).items():
        schemas.setdefault(name, definition)
    problem = {
        "description": "Problem details",
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path in description["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = problem
    return description
