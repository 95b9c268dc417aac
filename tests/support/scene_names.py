"""Names of things of the demo that scenes show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from support.program import Driver

PROJECT, EXPERIMENT, MODEL, REGISTRY = "wine-quality", "alcohol-elasticnet", "WineAlcoholRegressor", "registry-aws"
#: The environment of the registry, which is RAZ-enabled.
ENVIRONMENT = "demo-aws"
#: Somebody with roles and tokens, and a group (`recorded.make_people`).
USER, GROUP = "grace", "data-science"
#: A webhook that nobody answers (`recorded.make_webhooks`).
WEBHOOK = "ci"

Scene = Callable[[Driver], Awaitable[None]]
