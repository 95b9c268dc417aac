"""Actions of the page of Ranger's policies."""

from __future__ import annotations

from dataclasses import replace

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import COPY, EXPORT, MENU, ORDER, VIEW

POLICIES = (
    Action("open", "enter", "details", "Open the side panel with all of the policy; it follows the cursor"),
    Action("create", "n", "create", "Create a policy"),
    MENU,
    Action("edit", "e", "edit", "Change the policy: its resources, its conditions, when it counts", menu="Edit"),
    Action(
        "enable",
        "exclamation_mark",
        "enable",
        "Enable the marked policies, or the selected one; disable them when all are enabled",
    ),
    Action("mark", "space", "mark", "Mark the policy, to enable, disable or delete several", footer=False),
    Action(
        "delete", "ctrl+d", "delete", "Delete the marked policies, or the selected one", False, "Delete", danger=True
    ),
    Action("source", "Y", "source", "Where the policies come from: own ones, or an outside Ranger Admin", footer=False),
    Action(
        "check", "Q", "check access", "Ask whether the policies let somebody do something with a path", footer=False
    ),
    ORDER,
    replace(COPY, help="Copy the policy's name"),
    VIEW,
    EXPORT,
)
