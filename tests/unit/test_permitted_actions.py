"""Why an action of a page is not permitted: the table of permissions, for the signed-in person."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from registry_tui import schemas
from registry_tui.cli.users import held
from registry_tui.schemas.people import EnvironmentRole, ProjectHeld, RolesHeld, User
from registry_tui.schemas.places import Role
from registry_tui.terminal.actions import ALL, AT_ONCE
from registry_tui.terminal.commands import SCREENS, Place
from registry_tui.terminal.keys import BOXES
from registry_tui.terminal.permitted import ON_PAGES, ON_THINGS, refusal

WHEN = datetime(2026, 11, 29, tzinfo=UTC)


def person(*roles: EnvironmentRole, administrator: bool = False, **projects: Role) -> User:
    """Somebody with roles in environment `lab`, and in projects of it."""
    return User(
        name="ada",
        crn="crn:ada",
        created_at=WHEN,
        administrator=administrator,
        roles=[RolesHeld(environment_id="e-1", environment_name="lab", roles=list(roles))] if roles else [],
        projects=[
            ProjectHeld(project_id=f"id-{name}", project_name=name, environment_id="e-1", role=role)
            for name, role in projects.items()
        ],
    )


def thing(schema: str, **fields: Any) -> object:
    """Something with the name of its schema and the fields that decide."""
    return type(schema, (SimpleNamespace,), {})(**fields)


REGISTRY = thing("ModelRegistry", environment_id="e-1")
OTHER_REGISTRY = thing("ModelRegistry", environment_id="e-2")
DEPLOYMENT = thing("Deployment", project_id="id-wine")
USER, ADMIN = EnvironmentRole.ENVIRONMENT_USER, EnvironmentRole.ENVIRONMENT_ADMIN
ML_USER, ML_ADMIN = EnvironmentRole.ML_USER, EnvironmentRole.ML_ADMIN

REFUSED: list[tuple[User, Place, str, object, str]] = [
    (person(), Place("environments"), "create", None, "only the administrator may create environments"),
    (person(ADMIN), Place("environments"), "create", None, "only the administrator may create environments"),
    (
        person(ADMIN),
        Place("registries"),
        "create",
        None,
        "you may not create Model Registries in any environment: that needs EnvironmentAdmin with MLAdmin",
    ),
    (
        person(ML_USER),
        Place("registries"),
        "synchronize",
        REGISTRY,
        "you may not synchronize Model Registries in lab: that needs MLAdmin",
    ),
    (
        person(ML_ADMIN),
        Place("registry", {"registry": "r"}),
        "delete",
        OTHER_REGISTRY,
        "you may not delete Model Registries here: that needs MLAdmin",
    ),
    (
        person(wine=Role.VIEWER),
        Place("deployments"),
        "stop",
        DEPLOYMENT,
        "you are viewer of project wine; this needs contributor",
    ),
    (
        person(other=Role.ADMIN),
        Place("experiment", {"project": "wine"}),
        "edit",
        None,
        "you are not a collaborator of the project; this needs the role contributor",
    ),
    (
        person(wine=Role.CONTRIBUTOR),
        Place("project", {"project": "id-wine"}),
        "delete_project",
        None,
        "you are contributor of project wine; this needs admin",
    ),
    (
        person(wine=Role.CONTRIBUTOR),
        Place("collaborators"),
        "add",
        thing("Project", id="id-wine"),
        "you are contributor of project wine; this needs admin",
    ),
    (
        person(wine=Role.VIEWER),
        Place("deployments"),
        "create",
        None,
        "you may not deploy models or change deployments in any project: that needs the role contributor",
    ),
    (
        person(USER, ML_USER),
        Place("models"),
        "delete",
        thing("RegisteredModel", owner="bob"),
        "only bob, who owns it, may change it",
    ),
    (
        person(),
        Place("activity"),
        "cancel",
        thing("Workflow", actor="bob"),
        "only bob may see, cancel or retry their own workflows",
    ),
    (
        person(USER, ML_ADMIN),
        Place("webhooks", {"registry": "r", "model": "m"}),
        "create",
        thing("RegisteredModel", owner="bob"),
        "you may not see or change webhooks in any environment: that needs EnvironmentAdmin or the model's owner, bob",
    ),
]
ALLOWED: list[tuple[User, Place, str, object]] = [
    (person(ADMIN, ML_ADMIN), Place("registries"), "create", None),
    (person(ML_ADMIN), Place("registries"), "synchronize", REGISTRY),
    (person(ADMIN), Place("environments"), "create_workspace", thing("Environment", id="e-1")),
    (person(USER, ML_USER), Place("projects"), "create", None),
    (person(wine=Role.CONTRIBUTOR), Place("deployments"), "stop", DEPLOYMENT),
    (person(wine=Role.VIEWER), Place("deployments"), "test", DEPLOYMENT),
    (person(wine=Role.CONTRIBUTOR), Place("run", {"project": "wine", "run": "x"}), "register", None),
    (person(wine=Role.ADMIN), Place("project", {"project": "wine"}), "delete_project", None),
    (person(), Place("models"), "delete", thing("RegisteredModel", owner="ada")),
    (person(), Place("webhooks", {"model": "m"}), "create", thing("RegisteredModel", owner="ada")),
    (person(ADMIN), Place("webhooks", {"model": "m"}), "create", thing("RegisteredModel", owner="bob")),
    (person(), Place("activity"), "cancel", thing("Workflow", actor="ada")),
    # Actions without an entry in the table, and unknown permissions.
    (person(), Place("models"), "copy", None),
    (person(), Place("model", {"registry": "r", "model": "m"}), "edit", None),
]


@pytest.mark.parametrize(("me", "place", "action", "on", "why"), REFUSED)
def test_who_may_not_do_it_reads_why(me: User, place: Place, action: str, on: object, why: str) -> None:
    assert refusal(me, place, action, on) == why
    assert refusal(person(administrator=True), place, action, on) is None


@pytest.mark.parametrize(("me", "place", "action", "on"), ALLOWED)
def test_who_may_do_it_reads_nothing(me: User, place: Place, action: str, on: object) -> None:
    assert refusal(me, place, action, on) is None


def test_the_table_names_actions_and_schemas_that_exist() -> None:
    for kind, needs in ON_PAGES.items():
        assert set(needs) <= {action.id for action in {**ALL, **BOXES}[kind]}, kind
    known = {action.id for actions in ALL.values() for action in actions}
    for name, needs in ON_THINGS.items():
        assert set(needs) <= known, name
        assert any(hasattr(module, name) for module in _schemas()), name


#: Meanings of keys that change something, besides the dangerous ones and those done at once.
CHANGING = {
    *("create", "create_workspace", "edit", "edit_model", "delete", "delete_project", "restore", "register", "alias"),
    *("deploy", "scale", "rollback", "stop", "enable", "synchronize", "access", "clean_up", "manage_access"),
}
#: The box of collaborators opens for everybody, its own actions are in the table; keys are always one's own. A version
#: may also be signed by the person who registered it: its page decides.
FREE = {
    *(("project", "collaborators"), ("projects", "collaborators"), ("keys", "create"), ("keys", "revoke")),
    ("signatures", "create"),
}


def test_every_action_that_changes_something_needs_a_permission() -> None:
    on_things = {action for needs in ON_THINGS.values() for action in needs}
    missing = {
        (page, action.id)
        for page, actions in ALL.items()
        for action in actions
        if page != "everywhere" and (action.danger or action.id in AT_ONCE or action.verb in CHANGING)
        if action.id not in ON_PAGES.get(page, {}) and action.id not in on_things
    }
    assert missing == FREE


def _schemas() -> list[object]:
    found = pkgutil.walk_packages(schemas.__path__, f"{schemas.__name__}.")
    return [importlib.import_module(each.name) for each in found]


def test_an_empty_list_that_advises_a_key_names_its_action() -> None:
    """For people who may not run it, `FrameScreen.told` shows the reason in place of the advice."""
    advised, wrong = 0, list[str]()
    for kind, where in SCREENS.items():
        module, name = where.split(":")
        screen = getattr(importlib.import_module(module), name)
        empty = getattr(screen, "EMPTY", None)
        for line in () if empty is None else empty.lines:
            key = line.partition(" ")[0]
            actions = {each.id for each in getattr(screen, "ACTIONS", ()) if key in each.key.split(",")}
            needs = actions & set(ON_PAGES.get(kind, {}))
            advised += bool(needs)
            if empty is not None and needs and empty.action not in needs:
                wrong.append(f"{kind}: {line}")
    assert wrong == [] and advised > 10


def test_whoami_says_what_decides_what_somebody_may_do() -> None:
    found = held(person(ML_USER, wine=Role.VIEWER))
    assert (found["roles"], found["projects"], found["groups"]) == ("lab: MLUser", "wine (viewer)", None)
