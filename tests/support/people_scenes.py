"""Scenes of `scenes.py`: people, groups, roles, and Ranger's policies."""

from __future__ import annotations

from textual.widgets import Input

from support.program import Driver
from support.scene_names import ENVIRONMENT, GROUP, USER, Scene


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
    """The people to choose from."""
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
    await see.rows(kind)
    await see.on(name)


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


PEOPLE_SCENES: dict[str, Scene] = {
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
    "manage-access": manage_access,
}
