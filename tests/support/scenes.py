"""Every place of the terminal program with the demo in it: how to get there by keys, and when it is there.

Screenshots, snapshots and recordings are made from these.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import httpx
from textual.widgets import Input, OptionList, Select

from support.program import Driver

PROJECT, EXPERIMENT, MODEL, REGISTRY = "wine-quality", "alcohol-elasticnet", "WineAlcoholRegressor", "registry-aws"
#: The environment of the registry, which is RAZ-enabled.
ENVIRONMENT = "demo-aws"
#: Somebody with roles and tokens, and a group (`recorded.make_people`).
USER, GROUP = "grace", "data-science"


def arguments(answers: Iterable[str]) -> dict[str, dict[str, str]]:
    """The arguments of a place of each kind, of which the answers to these requests tell (`recorded.load`)."""

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


async def project(see: Driver) -> None:
    see.go("project", project=PROJECT)
    await see.rows("project")


async def experiment(see: Driver) -> None:
    see.go("experiment", project=PROJECT, experiment=EXPERIMENT)
    await see.rows("experiment")


async def run(see: Driver) -> None:
    await registered_run(see)
    await see.shows("Overview", "finished")


async def registered_run(see: Driver) -> None:
    version = (await see.app.client.versions(REGISTRY, MODEL, page_size=1)).items[0]
    assert version.origin.run_id is not None
    see.go("run", project=PROJECT, run=version.origin.run_id)
    await see.shows("Overview")


async def metrics(see: Driver) -> None:
    await registered_run(see)
    await see.press("tab")
    await see.shows("train_rmse")
    names = see.screen.query_one("#metric-names", OptionList)
    await see.until(lambda: names.option_count > 0, "the metrics")
    names.highlighted = names.get_option_index("train_rmse")
    await see.shows("● train_rmse")


async def artifacts(see: Driver) -> None:
    await registered_run(see)
    await see.press("tab", "tab")
    await see.shows("Flavours")


async def register_model(see: Driver) -> None:
    await artifacts(see)
    await see.until(lambda: see.screen.reason("register") is None, "the scene")
    await see.press("R")
    await see.shows("Register Model", "Version notes")
    see.screen.query_one("#name", Input).value = MODEL
    await see.shows("adds version")


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


async def compare(see: Driver) -> None:
    await experiment(see)
    await see.press("space", "space", "space", "equals_sign")
    await see.shows("rmse", "alpha")


async def curves(see: Driver) -> None:
    await compare(see)
    await see.press("tab")
    see.screen.query_one("#metric-names").focus()
    await see.press("end", "up")
    await see.until(lambda: see.screen.query_one("#chart")._series, "the scene")


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


async def deployments(see: Driver) -> None:
    see.go("deployments")
    await see.rows("deployments")


async def deployment(see: Driver) -> None:
    await _calls(see)
    await deployments(see)
    await see.press("enter")
    await see.shows("requests/s", "● ready")
    await see.until(lambda: see.screen.query_one("#rate").display, "the scene")


async def _calls(see: Driver) -> None:
    """Some requests, so that the charts have something to show."""
    found = (await see.app.client.deployments()).items[0]
    example = (await see.app.client.deployment_example(found.id)).example
    url, headers = f"{found.endpoint_url}/invocations", {"Content-Type": "application/json"}
    # Where answers are recorded ones, there is no gateway; the calls are in them.
    with suppress(httpx.ConnectError):
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            for second in range(12):
                for _ in range(10 + second % 5 * 6):
                    await http.post(url, content=example, headers=headers)
                await see.pilot.pause(0.4)


async def trial(see: Driver) -> None:
    await deployments(see)
    await see.press("T")
    await see.shows("dataframe_split")
    await see.press("ctrl+t")
    await see.shows("predictions")


async def environments(see: Driver) -> None:
    see.go("environments")
    await see.rows("environments")


async def policies(see: Driver) -> None:
    see.go("policies", environment=ENVIRONMENT)
    await see.rows("policies")


async def policy(see: Driver) -> None:
    await policies(see)
    await see.press("enter")
    await see.shows("Allow", "delegate admin")


async def edit_policy(see: Driver) -> None:
    await policies(see)
    await see.press("e")
    await see.shows("Exclude from deny")


async def condition(see: Driver) -> None:
    """Who can be chosen."""
    await edit_policy(see)
    await see.press("enter")
    await see.shows("Select User")
    await see.press("down")
    await see.shows("machine user of")


async def check_access(see: Driver) -> None:
    await policies(see)
    await see.press("Q")
    await see.shows("Check access by")
    see.screen.query_one("#path", Input).value = "modelregistry/x"


async def policy_source(see: Driver) -> None:
    await policies(see)
    await see.press("Y")
    await see.shows("from another Ranger")


async def manage_access(see: Driver) -> None:
    """The mappings of an environment without RAZ, from its registry."""
    see.go("registry", registry="registry-azure")
    await see.shows("Workload user name")
    await see.press("@")
    await see.shows("IDBroker mappings of demo-azure", "COMPLETED")


async def people(see: Driver) -> None:
    see.go("people")
    await see.rows("people")


async def create_user(see: Driver) -> None:
    await people(see)
    await see.press("n")
    await see.shows("Create user", "E-mail")


async def delete_user(see: Driver) -> None:
    await _on(see, "people", USER)
    await see.press("ctrl+d")
    await see.shows(f"Delete {USER}", "Goes to")


async def _on(see: Driver, kind: str, name: str) -> None:
    """A list with the cursor on a row."""
    see.go(kind)
    rows = await see.rows(kind)
    see.screen.table.go_to(([row.name for row in rows].index(name), name))
    await see.until(lambda: see.screen.current.name == name, name)


async def person(see: Driver) -> None:
    see.go("person", user=USER)
    await see.rows("person")


async def new_token(see: Driver) -> None:
    await person(see)
    await see.press("n")
    await see.shows(f"New token of {USER}")


async def groups(see: Driver) -> None:
    see.go("groups")
    await see.rows("groups")


async def group(see: Driver) -> None:
    see.go("group", group=GROUP)
    await see.rows("group")


async def roles(see: Driver) -> None:
    see.go("roles", environment=ENVIRONMENT)
    await see.rows("roles")


async def give_roles(see: Driver) -> None:
    await roles(see)
    await see.press("e")
    await see.shows("EnvironmentAdmin includes EnvironmentUser")


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


async def project_deployments(see: Driver) -> None:
    await project(see)
    await see.press("tab")
    await see.shows("alcohol-api")


async def deploy_from_project(see: Driver) -> None:
    await project_deployments(see)
    await see.press("D")
    await see.shows("Registered Model")


async def columns(see: Driver) -> None:
    await experiment(see)
    await see.press("f")
    await see.shows("alpha", "validation_rmse")


async def views(see: Driver) -> None:
    await experiment(see)
    await see.press("V")
    await see.shows("view")


async def run_groups(see: Driver) -> None:
    await experiment(see)
    await see.press("b")
    await see.shows("alpha")


async def no_runs(see: Driver) -> None:
    await experiment(see)
    await see.press("slash")
    await see.type("metrics.rmse > 100")
    await see.press("enter")
    await see.shows("Nothing matches")


async def params(see: Driver) -> None:
    await registered_run(see)
    see.screen.query_one("#tabs").active = "params"
    await see.shows("alpha")


async def tags(see: Driver) -> None:
    await registered_run(see)
    see.screen.query_one("#tabs").active = "tags"
    await see.shows("algorithm")


async def datasets(see: Driver) -> None:
    await registered_run(see)
    see.screen.query_one("#tabs").active = "datasets"
    await see.shows("Digest", "rows 124")


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


def _deployment_tab(tab: str, *texts: str) -> Scene:
    async def scene(see: Driver) -> None:
        await deployments(see)
        await see.press("enter")
        await see.shows("alcohol-api", "deployed")
        see.screen.query_one("#tabs").active = tab
        await see.shows(*texts)

    return scene


async def change_deployment(see: Driver) -> None:
    await deployments(see)
    await see.press("e")
    await see.shows("Change alcohol-api")


async def keys(see: Driver) -> None:
    see.go("keys")
    await see.at("keys")
    await see.shows("No API keys")


async def new_key(see: Driver) -> None:
    await keys(see)
    await see.press("n")
    await see.shows("New API key")


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
    """What the box lists before anything is typed."""
    await models(see)
    await see.press("ctrl+p")
    await see.shows("Go, do, find", "registries")


async def search(see: Driver) -> None:
    """What the box finds."""
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


Scene = Callable[[Driver], Awaitable[None]]
SCENES: dict[str, Scene] = {
    "registries": registries,
    "create-registry": create_registry,
    "registry": registry,
    "events": events,
    "projects": projects,
    "project": project,
    "experiment": experiment,
    "run": run,
    "metrics": metrics,
    "artifacts": artifacts,
    "register-model": register_model,
    "models": models,
    "model": model,
    "version": version,
    "storage": storage,
    "compare": compare,
    "curves": curves,
    "diff": diff,
    "deploy": deploy,
    "deployments": deployments,
    "deployment": deployment,
    "test": trial,
    "environments": environments,
    "policies": policies,
    "policy": policy,
    "edit-policy": edit_policy,
    "condition": condition,
    "check-access": check_access,
    "policy-source": policy_source,
    "people": people,
    "create-user": create_user,
    "delete-user": delete_user,
    "person": person,
    "new-token": new_token,
    "groups": groups,
    "group": group,
    "roles": roles,
    "give-roles": give_roles,
    "activity": activity,
    "workflow": workflow,
    "help": help_,
    "registry-models": registry_models,
    "synchronize": synchronize,
    "create-project": create_project,
    "project-deployments": project_deployments,
    "deploy-from-project": deploy_from_project,
    "columns": columns,
    "views": views,
    "run-groups": run_groups,
    "no-runs": no_runs,
    "params": params,
    "tags": tags,
    "datasets": datasets,
    "edit-version": edit_version,
    "alias": alias,
    "delete-version": delete_version,
    "deployment-logs": _deployment_tab("logs", "Application startup complete"),
    "deployment-builds": _deployment_tab("builds", "● built"),
    "deployment-history": _deployment_tab("history", "● active"),
    "deployment-settings": _deployment_tab("settings", "access key"),
    "change-deployment": change_deployment,
    "keys": keys,
    "new-key": new_key,
    "create-environment": create_environment,
    "store-of-environment": store_of_environment,
    "manage-access": manage_access,
    "actions": actions,
    "command": command,
    "search": search,
    "json": as_json,
}
