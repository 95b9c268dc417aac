"""Actions of the pages of admission rules."""

from __future__ import annotations

from dataclasses import replace

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import COPY, EXPORT, MENU, OPEN, VIEW

RULES = (
    replace(OPEN, label="document", help="Open the side panel with the YAML document; it follows the cursor"),
    Action("edit", "e", "edit", "Set other rules, beginning with those that count now", menu="Edit rules"),
    Action(
        "go_back",
        "u",
        "go back",
        "Set the selected rules again, under a new number",
        menu="Go back to these",
        meaning="rollback",
    ),
    MENU,
    Action("exceptions", "V", "exceptions", "Versions that pass a rule that refuses them", meaning="show_another"),
    replace(COPY, help="Copy the YAML document"),
    VIEW,
    EXPORT,
)
EXCEPTIONS = (
    replace(OPEN, label="details", help="Open the side panel; it follows the cursor"),
    Action("create", "n", "create", "Let one version through one rule, with a reason"),
    MENU,
    Action("edit", "e", "edit", "Give the exception another reason, or another end", menu="Edit"),
    Action("delete", "ctrl+d", "end", "End the exception: the rule counts again", False, "End", danger=True),
    Action("model", "m", "model", "The registered model whose version passes"),
    Action("rules", "V", "rules", "The environment's rules", False, meaning="show_another"),
    replace(COPY, help="Copy the rule's name"),
    VIEW,
    EXPORT,
)
