"""Thin HTTP routes: each calls one service function. `MODULES` lists the modules, each with its `router`."""

from __future__ import annotations

from urllib.parse import unquote

from fastapi import APIRouter
from starlette.convertors import StringConvertor, register_url_convertor

MODULES = ("system", "places", "registries", "tracking", "models", "deployments", "events", "workflows")


class Segment(StringConvertor):
    """A part of a path, decoded only after routing, so that a name may hold a slash (`workspace%2Fproject`)."""

    def convert(self, value: str) -> str:
        return unquote(value)


# Before any route is made: a route's parts are compiled then.
register_url_convertor("str", Segment())


def routers() -> list[APIRouter]:
    """The routers of all modules, in the order of the API's pages."""
    import importlib

    return [importlib.import_module(f"{__name__}.{module}").router for module in MODULES]
