"""Actions of the pages of Model Registries."""

from __future__ import annotations

from dataclasses import replace

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import (
    COPY,
    EXPORT,
    MANAGE_ACCESS,
    MENU,
    NEXT_TAB,
    OPEN,
    ORDER,
    PREVIOUS_TAB,
    SIGNING_KEYS,
    SYNCHRONIZE,
    VIEW,
)

DELETE_REGISTRY = Action("delete", "ctrl+d", "delete", "Delete the registry", False, "Delete", danger=True)
REGISTRIES = (
    OPEN,
    Action("create", "n", "create", "Create a Model Registry in an environment"),
    MENU,
    SYNCHRONIZE,
    replace(COPY, menu="Copy CRN"),
    DELETE_REGISTRY,
    Action("activity", "i", "progress", "The workflow that is changing it now", footer=False),
    ORDER,
    VIEW,
    EXPORT,
)
REGISTRY = (
    Action(*NEXT_TAB, "The next tab: details, events and logs, models, storage", footer=False),
    PREVIOUS_TAB,
    MENU,
    SYNCHRONIZE,
    Action("copy_crn", "I", "copy CRN", "Copy the registry's CRN", False, "Copy CRN"),
    replace(DELETE_REGISTRY, help="Delete the registry, or under Models the selected model"),
    Action("copy", "c", "copy", "Copy the selected field, log line, model's URI, or archive's place"),
    Action("open", "enter", "open", "The event's log lines, all of a line, or the selected model", footer=False),
    Action("save", "w", "save log", "Save all log lines of the selected event in a file"),
    Action("clean_up", "U", "clean up", "Remove archives without a version, after listing them", danger=True),
    Action("measure", "r", "measure", "Measure the storage again now", False, meaning="again"),
    ORDER,
    EXPORT,
    Action(
        "grant",
        "p",
        "storage access",
        "Grant or revoke the machine user's access to its prefix",
        meaning="access",
        danger=True,
    ),
    MANAGE_ACCESS,
    Action(
        "store_key",
        "ctrl+n",
        "key of its store",
        "Give the registry a key of its own for its environment's store, or have it forget that",
        False,
        "Key of its store",
        meaning="rotate",
    ),
    Action(
        "promotion_rules",
        "percent_sign",
        "promotion rules",
        "Who may move which aliases, and which stages need an approval",
        False,
        "Promotion rules",
        meaning="rules",
    ),
    SIGNING_KEYS,
    Action("models", "m", "models", "The registered models of this registry", meaning="model"),
    VIEW,
)
