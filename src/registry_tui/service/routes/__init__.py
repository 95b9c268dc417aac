"""Thin HTTP routes: each calls one service function. `MODULES` lists the modules, each with its `router`."""

from __future__ import annotations

from fastapi import APIRouter

MODULES = ("system", "places", "registries", "tracking", "models", "events", "workflows")


def routers() -> list[APIRouter]:
    """The routers of all modules, in the order of the API's pages."""
    import importlib

    return [importlib.import_module(f"{__name__}.{module}").router for module in MODULES]
