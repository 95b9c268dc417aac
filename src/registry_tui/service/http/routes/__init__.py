"""Thin HTTP routes: each calls one service function. `MODULES` lists the modules, each with its `router`."""

from __future__ import annotations

import importlib
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter
from starlette.convertors import StringConvertor, register_url_convertor

from registry_tui.contracts import names
from registry_tui.service.errors import InvalidInput

MODULES = (
    "system",
    "places",
    "attached",
    "sign_in",
    "people",
    "groups",
    "registries",
    "ranger_source",
    "tracking",
    "models",
    "admission",
    "signing",
    "deployments",
    "watching",
    "promotion",
    "lineage",
    "search",
    "events",
    "webhooks",
    "workflows",
)
#: Modules whose addresses are those of another program's API; they stand beside ours, not below.
FOREIGN = ("ranger", "ranger_roles", "ranger_not_offered", "idbroker")


class Segment(StringConvertor):
    """A part of a path, decoded only after routing, so that a name may hold a slash (`workspace%2Fproject`).

    Every route's names pass through here: those that lead elsewhere (`..`, also encoded) raise InvalidInput.
    """

    def convert(self, value: str) -> str:
        # The path came as bytes that were read as Latin-1: see `middleware.RequestMiddleware`.
        try:
            name = unquote_to_bytes(value.encode("latin-1")).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInput("A name in the address is not UTF-8", action="Encode it as UTF-8") from error
        if found := names.problem(name):
            raise InvalidInput(
                f"A name in the address {found}: {name[:100]!r}", action="Use a name or ID as the lists show it"
            )
        return name


# Before any route is made: a route's parts are compiled then.
register_url_convertor("str", Segment())


def routers(modules: tuple[str, ...] = MODULES) -> list[APIRouter]:
    """The routers of modules, in the order of the API's pages."""
    return [importlib.import_module(f"{__name__}.{module}").router for module in modules]
