"""Actions of the pages of people, groups and roles."""

from __future__ import annotations

from dataclasses import replace

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import COPY, EXPORT, MENU, OPEN, ROLES_OF, VIEW

_LOCK = Action(
    "lock",
    "exclamation_mark",
    "suspend",
    "Refuse the person at every door, or let a suspended one in again",
    menu="Suspend, or let in",
    meaning="enable",
    danger=True,
)
_EDIT_PERSON = Action("edit", "e", "edit", "Change full name and e-mail of the person", footer=False, menu="Edit")
PEOPLE = (
    replace(OPEN, help="Open the person: tokens, roles, groups"),
    Action("create", "n", "create", "Create a user"),
    MENU,
    _EDIT_PERSON,
    _LOCK,
    replace(ROLES_OF, footer=True),
    Action(
        "delete",
        "ctrl+d",
        "delete",
        "Delete the user, and give what they own to somebody",
        False,
        "Delete",
        danger=True,
    ),
    Action("groups", "V", "groups", "The groups of people", meaning="show_another"),
    COPY,
    VIEW,
    EXPORT,
)
PERSON = (
    Action("create", "n", "new token", "Make a token for the person; it is shown once", menu="New token"),
    MENU,
    Action("revoke", "ctrl+d", "revoke", "Make the selected token useless at once", meaning="delete", danger=True),
    _EDIT_PERSON,
    _LOCK,
    replace(ROLES_OF, footer=True),
    replace(COPY, help="Copy the token's ID"),
    VIEW,
    EXPORT,
)
GROUPS = (
    replace(OPEN, help="Open the group: its members"),
    Action("create", "n", "create", "Create a group"),
    MENU,
    Action("edit", "e", "edit", "Change the group's description", menu="Edit"),
    replace(ROLES_OF, footer=True),
    Action("delete", "ctrl+d", "delete", "Delete the group; its people stay", False, "Delete", danger=True),
    Action("people", "V", "people", "All people", meaning="show_another"),
    replace(COPY, help="Copy the group's name"),
    VIEW,
    EXPORT,
)
GROUP = (
    replace(OPEN, help="Open the member: tokens, roles, groups"),
    Action("create", "n", "add", "Add somebody to the group", menu="Add"),
    MENU,
    replace(ROLES_OF, footer=True),
    Action("delete", "ctrl+d", "remove", "Take the selected member out of the group", menu="Remove", danger=True),
    replace(COPY, help="Copy the member's name"),
    VIEW,
    EXPORT,
)
ROLES = (
    replace(OPEN, help="Open the person or the group"),
    Action("create", "n", "grant", "Grant roles to a user or a group", menu="Grant"),
    MENU,
    Action("edit", "e", "change", "Change the roles of the selected user or group", menu="Change"),
    Action("delete", "ctrl+d", "revoke", "Take all roles here away from the selected one", menu="Revoke", danger=True),
    replace(COPY, help="Copy the name of the user or group"),
    VIEW,
    EXPORT,
)
