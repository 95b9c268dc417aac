"""Every place of the terminal program with the demo in it: how to get there by keys, and when it is there.

Screenshots, snapshots and recordings are made from these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.widgets import Input, Select

from registry_tui.screens.base.form import Tick
from support.deployment_scenes import (
    DEPLOYMENT_SCENES,
    deploy_from_project,
    deployment,
    deployments,
    keys,
    project_deployments,
)
from support.known_scenes import KNOWN_SCENES, USES, VERSION
from support.life_cycle_scenes import LIFE_CYCLE_SCENES, approvals, exceptions, rules, webhooks
from support.people_scenes import PEOPLE_SCENES, group, groups, people, person, policies, roles
from support.program import Driver
from support.scene_names import ENVIRONMENT, EXPERIMENT, GROUP, MODEL, PROJECT, REGISTRY, USER, WEBHOOK, Scene
from support.tracking_scenes import TRACKING_SCENES, artifacts, compare, experiment, project, run

#: Also those of the other modules that tests open by themselves.
__all__ = [
    "ENVIRONMENT",
    "EXPERIMENT",
    "GROUP",
    "MODEL",
    "PROJECT",
    "REGISTRY",
    "USER",
    "WEBHOOK",
    "Scene",
    "approvals",
    "artifacts",
    "compare",
    "deploy_from_project",
    "deployment",
    "deployments",
    "exceptions",
    "experiment",
    "group",
    "groups",
    "keys",
    "people",
    "person",
    "policies",
    "project",
    "project_deployments",
    "roles",
    "rules",
    "run",
    "webhooks",
]


def arguments(answers: Iterable[str]) -> dict[str, dict[str, str]]:
    """The arguments of a place of each kind, taken from the answers to these requests (`recorded.load`)."""

    def first(pattern: str) -> str:
        return next(found[1] for each in answers if (found := re.match(f"GET /api/v1/{pattern}$", each)))

    experiment = {"project": PROJECT, "experiment": EXPERIMENT}
    model = {"registry": REGISTRY, "model": MODEL}
    runs = sorted({found[1] for each in answers if (found := re.search(r"/runs/(\w{32})/metric-curve", each))})
    return {
        "registries": {},
        "registry": {"registry": REGISTRY},
        "projects": {},
        "project": {"project": PROJECT},
        "experiment": experiment,
        "compare": {**experiment, "runs": ",".join(runs[1:3])},
        "run": {"project": PROJECT, "run": first(rf"projects/{PROJECT}/runs/(\w{{32}})")},
        "models": {"registry": REGISTRY},
        "model": model,
        "diff": {**model, "one": "2", "other": "3"},
        "signatures": VERSION,
        "card": VERSION,
        "bom": VERSION,
        "uses": {"uses": USES},
        "signing_keys": {"environment": ENVIRONMENT},
        "deployments": {},
        "deployment": {"deployment": first(r"deployments/([\w-]{36})")},
        "keys": {},
        "environments": {},
        "policies": {"environment": ENVIRONMENT},
        "people": {},
        "person": {"user": USER},
        "groups": {},
        "group": {"group": GROUP},
        "roles": {"environment": ENVIRONMENT},
        "activity": {},
        "approvals": {},
        "rules": {"environment": ENVIRONMENT},
        "exceptions": {"registry": REGISTRY},
        "attached": {},
        "webhooks": {},
        "webhook": {"webhook": WEBHOOK},
        "workflow": {"workflow": first(r"workflows/([\w-]{36})")},
    }


async def registries(see: Driver) -> None:
    await see.rows("registries")


async def create_registry(see: Driver) -> None:
    await see.rows("registries")
    await see.press("n")
    await see.until(lambda: see.screen.environments, "environments")


async def registry(see: Driver) -> None:
    see.go("registry", registry=REGISTRY)
    await see.shows("Workload user name")
    await see.until(lambda: "tried" in see.screen.values["Storage access"], "a try of the access")


async def events(see: Driver) -> None:
    await registry(see)
    await see.press("tab")
    await see.shows("✓ succeeded", "Log lines")


async def projects(see: Driver) -> None:
    see.go("projects")
    await see.rows("projects")


async def models(see: Driver) -> None:
    see.go("models", registry=REGISTRY)
    await see.rows("models")


async def model(see: Driver) -> None:
    see.go("model", registry=REGISTRY, model=MODEL)
    await see.rows("model")


async def version(see: Driver) -> None:
    await model(see)
    await see.press("enter")
    await see.shows("Version 3", "Notes")


async def storage(see: Driver) -> None:
    see.go("registry", registry=REGISTRY)
    await see.shows("Workload user name")
    see.screen.query_one("#tabs").active = "storage"
    await see.shows("objects")


async def diff(see: Driver) -> None:
    await model(see)
    await see.press("space", "space", "equals_sign")
    await see.shows("version 2", "version 3")


async def deploy(see: Driver) -> None:
    await model(see)
    await see.press("D")
    await see.shows("select project")
    await see.press("enter")
    await see.shows("suggested memory")


async def deploy_following(see: Driver) -> None:
    """The rows about how an alias is followed, scrolled to their place."""
    await deploy(see)
    see.screen.query_one("#version", Input).value = "champion"
    see.screen.query_one("#follow", Tick).value = True
    strategy = see.screen.query_one("#follow-strategy", Select)
    strategy.value = "canary"
    await see.until(lambda: see.screen.query_one("#max-disagreement").region.width > 0, "the rows about a canary")
    await see.shows("suggested memory")
    rows = next(each for each in strategy.ancestors if isinstance(each, VerticalScroll))
    strategy.focus(scroll_visible=False)
    # Again until it is there: rows that have come make the form longer.
    await see.until(lambda: not rows.scroll_to_widget(strategy, animate=False, top=True), "its place")
    await see.shows("On alias moves", "Each step lasts")


async def environments(see: Driver) -> None:
    see.go("environments")
    await see.rows("environments")


async def activity(see: Driver) -> None:
    see.go("activity")
    await see.rows("activity")


async def workflow(see: Driver) -> None:
    await activity(see)
    await see.press("enter")
    await see.shows("succeeded")


async def help_(see: Driver) -> None:
    await models(see)
    await see.press("question_mark")
    await see.shows("What you can do here")


async def registry_models(see: Driver) -> None:
    await registry(see)
    see.screen.query_one("#tabs").active = "models"
    await see.shows(MODEL)


async def synchronize(see: Driver) -> None:
    await registry(see)
    await see.press("s")
    await see.shows("Synchronize", "ml-dev")


async def create_project(see: Driver) -> None:
    await projects(see)
    await see.press("n")
    await see.shows("Create project")


async def edit_version(see: Driver) -> None:
    await model(see)
    await see.press("e")
    await see.shows("Version tags")


async def alias(see: Driver) -> None:
    await model(see)
    await see.press("A")
    await see.shows("Alias")


async def delete_version(see: Driver) -> None:
    await model(see)
    await see.press("ctrl+d")
    await see.shows("Delete")


async def create_environment(see: Driver) -> None:
    await environments(see)
    await see.press("n")
    await see.shows("Create environment")


async def store_of_environment(see: Driver) -> None:
    await create_environment(see)
    values = {"name": "prod", "store": "s3://acme-models/registry", "access-key-id": "AKIAACME", "secret": "shown?"}
    for name, value in values.items():
        see.screen.query_one(f"#{name}", Input).value = value
    see.screen.query_one("#s3-way", Select).value = "key"
    await see.shows("Access key ID", "Secret key", "Try the store")


async def actions(see: Driver) -> None:
    see.go("registries")
    await see.rows("registries")
    await see.press("a")
    await see.shows("Synchronize")


async def command(see: Driver) -> None:
    """The box's list before anything is typed."""
    await models(see)
    await see.press("ctrl+p")
    await see.shows("Go, do, find", "registries")


async def search(see: Driver) -> None:
    """The box's results."""
    await projects(see)
    await see.press("colon")
    await see.shows("Go, do, find")
    # At once, as a paste: how many questions slow keys bring about depends on the machine.
    see.screen.query_one("#command").value = "alco"
    await see.shows("WineAlcoholRegressor", "alcohol-api")


async def as_json(see: Driver) -> None:
    await models(see)
    await see.press("y")
    await see.shows("registry_id")


SCENES: dict[str, Scene] = {
    **TRACKING_SCENES,
    **DEPLOYMENT_SCENES,
    **PEOPLE_SCENES,
    **LIFE_CYCLE_SCENES,
    **KNOWN_SCENES,
    "registries": registries,
    "create-registry": create_registry,
    "registry": registry,
    "events": events,
    "projects": projects,
    "models": models,
    "model": model,
    "version": version,
    "storage": storage,
    "diff": diff,
    "deploy": deploy,
    "deploy-following": deploy_following,
    "environments": environments,
    "activity": activity,
    "workflow": workflow,
    "help": help_,
    "registry-models": registry_models,
    "synchronize": synchronize,
    "create-project": create_project,
    "edit-version": edit_version,
    "alias": alias,
    "delete-version": delete_version,
    "create-environment": create_environment,
    "store-of-environment": store_of_environment,
    "actions": actions,
    "command": command,
    "search": search,
    "json": as_json,
}
