"""Every action of the terminal program: one registry that feeds keys, status line, Actions menu, `?` and command box.

A key means the same on every page: actions with the same key have the same verb (`terminal/keys.py` lists them).

A screen names its actions in `ACTIONS`, has a method `do_<id>` for each, and says in `why_not(id)` why one is not
possible now; such an action stays visible, dimmed, and says the reason when it is asked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from registry_tui.terminal.action import Action
from registry_tui.terminal.commands import SCREENS

if TYPE_CHECKING:
    pass


#: The left navigation: number key, place, word, short word for narrow terminals.
SECTIONS = (
    ("1", "registries", "Registries"),
    ("2", "projects", "Projects"),
    ("3", "models", "Models"),
    ("4", "deployments", "Deployments"),
    ("5", "environments", "Environments"),
    ("6", "activity", "Activity"),
)
#: Names of sections where there is room for them, when they are longer.
WHOLE_NAMES = {"registries": "Model Registries", "models": "Registered Models", "deployments": "Model Deployments"}

EVERYWHERE = (
    Action("filter", "slash", "filter", "Filter this list", footer=True),
    Action("command", "colon,ctrl+p", "command", "Find and do: commands, pages, actions, and everything by its name"),
    Action("help", "question_mark", "help", "Everything you can do here, with its key"),
    Action("back", "escape", "back", "Back to where you came from, or up", footer=False),
    Action("previous", "left_square_bracket", "previous", "The place before, in your history", footer=False),
    Action("next", "right_square_bracket", "next", "The place after, in your history", footer=False),
    Action("refresh", "ctrl+r", "refresh", "Ask the service again, keeping your place", footer=False),
    Action(
        "copy_code",
        "C",
        "as code",
        "Copy the command line of the last change, of the selection, or of the page; ctrl+o in a form",
        footer=False,
    ),
    Action("suspend", "ctrl+z", "suspend", "Back to the shell; its command fg brings the program back", footer=False),
    Action("quit", "ctrl+q", "quit", "Leave; the platform goes on (registry-tui down stops it)", footer=False),
)

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
DELETE_REGISTRY = Action("delete", "ctrl+d", "delete", "Delete the registry", False, "Delete", danger=True)
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
    Action("models", "m", "models", "The registered models of this registry", meaning="model"),
    VIEW,
)
PROJECTS = (
    OPEN,
    Action("create", "n", "create", "Create a project in a workspace"),
    MENU,
    replace(CREDENTIALS, menu=""),
    replace(COLLABORATORS, help="Who works in the selected project, in which role", footer=False, menu=""),
    Action("delete", "ctrl+d", "delete", "Delete the selected project", footer=False, danger=True),
    ORDER,
    COPY,
    VIEW,
    EXPORT,
)
#: What can be done to one deployment.
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
    Action("rollback", "u", "roll back", "Go back to what served before, with this one key", menu="Roll back"),
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
#: Actions of a project's page on the selected experiment, or under Model Deployments on the deployment.
_ON_BOTH = {
    "change": ("Change", "Rename the selected experiment; under Model Deployments, change the deployment"),
    "delete": ("Delete", "Delete the marked experiments with their runs; under Model Deployments, the deployment"),
}
PROJECT = (
    OPEN,
    Action(*NEXT_TAB, "Experiments, or Model Deployments"),
    PREVIOUS_TAB,
    MENU,
    Action("create", "n", "create", "Create an experiment; under Model Deployments, deploy a registered model"),
    Action("mark", "space", "mark", "Mark the experiment, to delete or restore several", footer=False),
    RESTORE,
    DELETED,
    Action("deployments", "M", "deployments", "The project's Model Deployments"),
    COLLABORATORS,
    CREDENTIALS,
    Action("deploy", "D", "deploy", "Deploy a registered model from this project", menu="Deploy registered model"),
    Action(
        "import_models",
        "R",
        "import models",
        "Import registered models of the MLflow server that the project shows, all or chosen ones",
        False,
        "Import models",
        meaning="register",
    ),
    *(
        replace(
            each,
            footer=False,
            menu=_ON_BOTH.get(each.id, (each.menu, ""))[0],
            help=_ON_BOTH.get(each.id, ("", each.help))[1],
        )
        for each in ON_DEPLOYMENT
    ),
    Action(
        "delete_project",
        "ctrl+x",
        "delete project",
        "Delete the project with its experiments",
        False,
        "Delete project",
        danger=True,
    ),
    ORDER,
    COPY,
    VIEW,
    EXPORT,
)
EXPERIMENT = (
    OPEN,
    MENU,
    Action("edit", "e", "edit", "Rename, tag and annotate the marked runs, or the selected one", footer=False),
    Action("delete", "ctrl+d", "delete", "Delete the marked runs, or the selected one", footer=False, danger=True),
    RESTORE,
    DELETED,
    ORDER,
    Action("columns", "f", "columns", "Choose the columns (fields) among params, metrics, tags and attributes"),
    Action("mark", "space", "mark", "Mark the run, to compare it", footer=False),
    Action("compare", "equals_sign", "compare", "Compare the marked runs: params, metrics and their curves"),
    Action(
        "views",
        "V",
        "views",
        "Keep filter, sort and columns under a name, and show them again",
        False,
        meaning="show_another",
    ),
    Action("tree", "t", "tree", "Nested runs below their parents, or all in one list", footer=False),
    Action("group", "b", "group by", "Group the runs by a param", footer=False),
    Action("sort_started", "O", "newest first", "Sort by start time, the newest first", footer=False),
    COPY,
    VIEW,
    EXPORT,
)
#: What is done to the chart beside metrics' names; the names have the other keys.
CHART = (
    Action("time", "h", "x axis", "Curves by step, by the time since each one's first point, or by wall time"),
    Action("chart_left", "left", "cursor left", "Curves: the cursor to the left; the legend has the values", False),
    Action("chart_right", "right", "cursor right", "Curves: the cursor to the right", footer=False),
    Action("zoom_in", "plus", "zoom in", "Curves: half as much of x, around the cursor", footer=False),
    Action("zoom_out", "minus", "zoom out", "Curves: twice as much of x", footer=False),
    Action("pan_left", "shift+left", "earlier part", "Curves: the part of x before, when zoomed", footer=False),
    Action("pan_right", "shift+right", "later part", "Curves: the part of x behind, when zoomed", footer=False),
    Action("whole", "0", "whole curve", "Curves: all of x again, without the cursor", footer=False),
    Action("log", "asterisk", "log scale", "Curves: logarithmic values, or as they are", footer=False),
    Action("smooth", "z", "smoothing", "Curves: the next smoothing, by a moving average; then none", footer=False),
)
COMPARE = (
    Action(*NEXT_TAB, "Values, or curves"),
    PREVIOUS_TAB,
    MENU,
    Action("equal", "x", "equal ones", "Show or hide what is the same in all runs"),
    Action("difference", "B", "difference", "Metrics as their difference to the first run (the base), or as they are"),
    *CHART,
    Action("copy", "c", "copy", "Copy the runs' IDs", footer=False),
    VIEW,
    EXPORT,
)
RUN = (
    Action(*NEXT_TAB, "The next tab: overview, metrics, artifacts, params, tags, datasets"),
    PREVIOUS_TAB,
    Action("open", "enter", "open", "Open a folder, or follow what is selected", footer=False),
    MENU,
    replace(REGISTER, menu="Register model"),
    Action("edit", "e", "edit", "Rename, tag and annotate the run", footer=False),
    Action("delete", "ctrl+d", "delete", "Delete the run", footer=False, danger=True),
    Action("restore", "Z", "restore", "Restore the run, which is deleted", footer=False),
    Action("download", "d", "download", "Save the selected file or folder, or all artifacts"),
    Action("preview_down", "full_stop", "preview down", "Artifacts: the next page of the preview", False, "", "onward"),
    Action("preview_up", "comma", "preview up", "Artifacts: the page before in the preview", False, meaning="backward"),
    Action(
        "preview_right", "greater_than_sign", "preview right", "Artifacts: what is to the right in the preview", False
    ),
    Action("preview_left", "less_than_sign", "preview left", "Artifacts: the left part of the preview", False),
    Action("registered", "m", "registered model", "The model that was registered from this run", meaning="model"),
    *CHART,
    Action("copy", "c", "copy", "Copy the run's ID, or the selected artifact's path", footer=False),
    LINEAGE,
    VIEW,
    Action("export", "ctrl+s", "export", "Save the metrics, params, tags or datasets in view as CSV or JSON", False),
)
MODELS = (
    OPEN,
    MENU,
    Action("registry", "V", "registry", "Choose the Model Registry whose models are shown", meaning="show_another"),
    Action("delete", "ctrl+d", "delete", "Delete the model with its versions", footer=False, danger=True),
    ORDER,
    COPY,
    LINEAGE,
    VIEW,
    EXPORT,
)
MODEL = (
    Action("open", "enter", "details", "Open the side panel; it follows the cursor"),
    MENU,
    Action("deploy", "D", "deploy", "Serve the version as an endpoint from a project", menu="Deploy"),
    Action("alias", "A", "alias", "Name this version with an alias, or take one away"),
    Action("edit", "e", "edit", "Edit notes and tags of the version"),
    Action("edit_model", "E", "edit model", "Edit description, owner and visibility of the model", footer=False),
    Action("verify", "v", "verify", "Read the whole archive and compare it with its manifest"),
    Action("rules", "percent_sign", "rules", "What the environment's admission rules say of the version", footer=False),
    Action("mark", "space", "mark", "Mark the version, to compare it", footer=False),
    Action("diff", "equals_sign", "diff", "What differs between the two marked versions", False, meaning="compare"),
    Action("download", "d", "download", "Save the whole archive, with its sums checked", footer=False),
    Action("run", "F", "from run", "The run it came from"),
    Action("experiment", "X", "from experiment", "The experiment it came from", footer=False),
    Action("project", "P", "from project", "The project it came from", footer=False),
    Action("delete", "ctrl+d", "delete", "Delete the version", footer=False, danger=True),
    Action("copy", "c", "copy", "Copy the version's URI, models:/name/version", footer=False),
    LINEAGE,
    VIEW,
    EXPORT,
)
DIFF = (
    MENU,
    Action("equal", "x", "equal ones", "Show or hide what is the same in both versions"),
    COPY,
    VIEW,
    EXPORT,
)
DEPLOYMENTS: tuple[Action, ...] = (
    OPEN,
    Action("create", "n", "deploy", "Deploy a registered model from a project"),
    MENU,
    *ON_DEPLOYMENT,
    KEYS_PAGE,
    COPY,
    LINEAGE,
    VIEW,
    EXPORT,
)
DEPLOYMENT = (
    Action(*NEXT_TAB, "The next tab: overview, test, logs, builds, history, settings"),
    PREVIOUS_TAB,
    MENU,
    *ON_DEPLOYMENT,
    Action("open", "enter", "log", "Builds, history: the log of the selected one", footer=False),
    Action(
        "redeploy",
        "D",
        "re-deploy",
        "History: serve again with the selected revision's settings",
        False,
        meaning="deploy",
    ),
    Action("send", "ctrl+t", "send", "Test: send the request", footer=False),
    Action("curl", "c", "curl", "Copy the request as a curl command line", footer=False, meaning="copy"),
    Action("replica", "full_stop", "next replica", "Logs: of the next replica", footer=False, meaning="onward"),
    Action("save", "w", "save log", "Logs: write the log to a file", footer=False),
    Action("model", "m", "model", "The registered model whose version serves", footer=False),
    replace(KEYS_PAGE, footer=False),
    LINEAGE,
    VIEW,
)
KEYS = (
    Action("create", "n", "create", "Make an API key; it is shown once"),
    MENU,
    Action("revoke", "ctrl+d", "revoke", "Make the selected key useless at once", meaning="delete", danger=True),
    COPY,
    LINEAGE,
    VIEW,
    EXPORT,
)
ENVIRONMENTS = (
    OPEN,
    Action("create", "n", "create", "Create an environment"),
    Action("create_workspace", "N", "workspace", "Create a workspace in the selected environment"),
    Action("tab_next", "tab", "workspaces", "To the workspaces of the selected environment, and back"),
    replace(PREVIOUS_TAB, help="To the environments, and back"),
    MENU,
    replace(SYNCHRONIZE, help="Tell each workspace of it about its Model Registry", footer=True, menu=""),
    MANAGE_ACCESS,
    replace(ROLES_OF, help="Who has which roles in the selected environment", menu=""),
    Action(
        "change_store",
        "e",
        "store",
        "Reach the store of the selected environment in another way: other credentials, another endpoint",
        False,
        "Change how its store is reached",
        meaning="edit",
    ),
    Action(
        "try_store",
        "r",
        "try store",
        "Try the store of the selected environment: what is missing there, in words",
        False,
        "Try its store",
        meaning="again",
    ),
    Action("rules", "percent_sign", "rules", "The admission rules of the selected environment", footer=False),
    Action(
        "delete",
        "ctrl+d",
        "delete",
        "Delete the selected environment or workspace, which is empty",
        False,
        danger=True,
    ),
    COPY,
    VIEW,
    EXPORT,
)
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
_CANCEL = Action("cancel", "S", "cancel", "Cancel the workflow; finished steps are undone", meaning="stop")
_RETRY = Action("retry", "r", "retry", "Start a failed or cancelled workflow's work again", meaning="again")
ACTIVITY = (
    OPEN,
    MENU,
    _CANCEL,
    _RETRY,
    COPY,
    VIEW,
    EXPORT,
)
WORKFLOW = (
    MENU,
    _CANCEL,
    _RETRY,
    Action("resource", "enter", "resource", "What it works on", meaning="open"),
    COPY,
    VIEW,
)

#: Actions that open a form, some after a question to the service: what is typed right behind belongs to the form.
OPEN_FORMS = frozenset(
    {"create", "create_workspace", "register", "edit", "edit_model", "alias", "deploy", "scale", "change", "delete"}
    | {
        "synchronize",
        "verify",
        "rules",
        "clean_up",
        "grant",
        "manage_access",
        "revoke",
        "roles",
        "order",
        "columns",
        "menu",
        "registry",
        "export",
        "check",
        "source",
        "import_models",
        "change_store",
    }
)

#: Actions that change something at once, without a question before. Like dangerous ones they are not kept for a
#: selection that is not in view yet.
AT_ONCE = frozenset({"restart", "rollback", "redeploy", "cancel", "retry", "restore", "send", "enable"})

#: Actions that the Actions menu leaves out: they move about the page, and do nothing to what it shows.
MOVES = frozenset(
    {"menu", "open", "resource", "tab_next", "tab_previous", "mark", "preview_down", "preview_up"}
    | {"preview_right", "preview_left", "chart_left", "chart_right", "zoom_in", "zoom_out", "pan_left", "pan_right"}
)

#: All of them by kind of screen, for settings, tests and the documentation. A kind's actions have its name in capitals.
ALL: dict[str, tuple[Action, ...]] = {
    "everywhere": EVERYWHERE,
    **{kind: globals().get(kind.upper(), ()) for kind in SCREENS},
}
