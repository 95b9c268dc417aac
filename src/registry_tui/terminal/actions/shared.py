"""Actions that pages of several sections have."""

from __future__ import annotations

from registry_tui.terminal.action import Action

MENU = Action("menu", "a", "actions", "Everything that can be done with the selection or the page, with its key")
NEXT_TAB = "tab_next", "tab", "next tab"
PREVIOUS_TAB = Action("tab_previous", "shift+tab", "previous tab", "The tab before", footer=False)
OPEN = Action("open", "enter", "open", "Open what is selected")
COPY = Action("copy", "c", "copy", "Copy the selected thing's name for other programs (CRN, ID or URI)", footer=False)
VIEW = Action("view", "y", "YAML", "Everything the service knows about it, as YAML or JSON", footer=False)
EXPORT = Action("export", "ctrl+s", "export", "Save the table's rows in a file, as CSV or JSON", footer=False)
ORDER = Action("order", "o", "order", "Choose what the list is sorted by", footer=False)
SYNCHRONIZE = Action(
    "synchronize", "s", "synchronize", "Tell each workspace of the environment about the registry", False, "Synchronize"
)
COLLABORATORS = Action(
    "collaborators",
    "p",
    "people",
    "Who works here, in which role: list, add, change, remove",
    True,
    "Collaborators",
    meaning="access",
)
CREDENTIALS = Action(
    "credentials",
    "dollar_sign",
    "environment",
    "What stock MLflow code needs to log into this project",
    True,
    "Environment",
)
KEYS_PAGE = Action("keys", "K", "API keys", "API keys: make, list, revoke")
LINEAGE = Action(
    "lineage", "L", "lineage", "What it came from, and what depends on it, as a tree", footer=False, menu="Lineage"
)
COMPONENTS = Action(
    "components",
    "left_curly_bracket",
    "made of",
    "What it is made of: its bill of materials",
    False,
    "Bill of materials",
)
SIGNING_KEYS = Action(
    "signing_keys",
    "underscore",
    "signing keys",
    "The keys that sign versions in the environment, or are trusted there",
    False,
    "Signing keys",
    meaning="signatures",
)
REGISTER = Action("register", "R", "register model", "Register the selected model folder in the Model Registry")
MANAGE_ACCESS = Action(
    "manage_access",
    "at",
    "manage access",
    "Where storage access is granted: Ranger's policies, or IDBroker's mappings",
    footer=False,
)
ROLES_OF = Action(
    "roles", "p", "roles", "Roles in an environment: give them, take them away", False, "Roles", meaning="access"
)
RESTORE = Action("restore", "Z", "restore", "Restore the deleted ones that are marked or selected", footer=False)
DELETED = Action(
    "deleted", "H", "deleted ones", "Show the deleted ones (hidden otherwise), or the others", footer=False
)
WEBHOOKS_OF = Action(
    "webhooks", "ctrl+w", "webhooks", "Webhooks: addresses that get messages about events", False, "Webhooks"
)
SERVERS = Action(
    "attached",
    "right_parenthesis",
    "MLflow servers",
    "MLflow servers elsewhere that are shown here: attach, change, detach",
    False,
    "Attached MLflow servers",
)
IMPORT_MODELS = Action(
    "import_models",
    "R",
    "import models",
    "Import registered models of the MLflow server that the project shows, all or chosen ones",
    False,
    "Import models",
    meaning="register",
)
DRIFT = Action("drift", "J", "drift", "", footer=False, menu="Drift")
#: Actions on one deployment.
ON_DEPLOYMENT = (
    Action("test", "T", "test", "Send a request, and see answer, latency and replica", menu="Test"),
    Action("logs", "l", "logs", "The log of each replica; kept over restarts", menu="Logs"),
    Action(
        "scale",
        "number_sign",
        "scale",
        "Change the number of replicas; those that stay are not restarted",
        menu="Scale",
    ),
    Action(
        "change",
        "e",
        "change",
        "Change version, resources, environment, authentication; rolled out unnoticed",
        menu="Change",
        meaning="edit",
    ),
    Action(
        "rollback",
        "u",
        "roll back",
        "Go back to what served before, or abort a canary, with this one key",
        menu="Roll back",
    ),
    Action(
        "restart",
        "r",
        "restart",
        "Replace all replicas by new ones, or start a stopped deployment",
        False,
        "Restart",
        meaning="again",
    ),
    Action(
        "stop", "S", "stop", "End all replicas once they have answered what is under way", False, "Stop", danger=True
    ),
    Action("delete", "ctrl+d", "delete", "Delete the deployment with its history", False, "Delete", danger=True),
)
