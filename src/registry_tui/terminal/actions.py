"""Every action of the terminal program: one registry that feeds keys, the status line, `?` help and the palette.

A screen names its actions in `ACTIONS`, has a method `do_<id>` for each, and says in `why_not(id)` why one is not
possible now; such an action stays visible, dimmed, and says the reason when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from textual.binding import Binding, BindingType


@dataclass(frozen=True)
class Action:
    """One thing that can be done: its key (Textual's names, several separated by commas), word and sentence."""

    id: str
    key: str
    label: str
    help: str
    #: Whether the status line has room for it.
    footer: bool = True


#: The left navigation: number key, place, word, short word for narrow terminals.
SECTIONS = (
    ("1", "registries", "Registries"),
    ("2", "projects", "Projects"),
    ("3", "models", "Models"),
    ("4", "deployments", "Deployments"),
    ("5", "environments", "Environments"),
    ("6", "activity", "Activity"),
)

EVERYWHERE = (
    Action("filter", "slash", "filter", "Filter this list", footer=True),
    Action("command", "colon", "command", "Go anywhere by name: :registries, :models, :project NAME …"),
    Action("help", "question_mark", "help", "Everything you can do here, with its key"),
    Action("back", "escape", "back", "Back to where you came from, or up", footer=False),
    Action("previous", "left_square_bracket", "previous", "The place before, in your history", footer=False),
    Action("next", "right_square_bracket", "next", "The place after, in your history", footer=False),
    Action("refresh", "ctrl+r", "refresh", "Ask the service again, keeping your place", footer=False),
    Action("quit", "ctrl+q", "quit", "Leave; the platform goes on (registry-tui down stops it)", footer=False),
)

OPEN = Action("open", "enter", "open", "Open what is selected")
COPY = Action("copy", "c", "copy", "Copy the selected thing's name for other programs (CRN, ID or URI)", footer=False)
VIEW = Action("view", "y", "YAML", "Everything the service knows about it, as YAML or JSON", footer=False)
EXPORT = Action("export", "ctrl+s", "export", "Save the table's rows in a file, as CSV or JSON", footer=False)
ORDER = Action("order", "o", "order", "Choose what the list is sorted by", footer=False)
REGISTER = Action("register", "R", "register model", "Register the selected model folder in the Model Registry")

REGISTRIES = (
    OPEN,
    Action("create", "n", "create", "Create a Model Registry in an environment"),
    Action("menu", "a", "actions", "The actions of the selected registry"),
    Action(
        "synchronize", "s", "synchronize", "Tell each workspace of the environment about the registry", footer=False
    ),
    Action("delete", "ctrl+d", "delete", "Delete the registry", footer=False),
    Action("activity", "i", "progress", "The workflow that is changing it now", footer=False),
    ORDER,
    COPY,
    VIEW,
    EXPORT,
)
REGISTRY = (
    Action("tab_next", "tab", "next tab", "The next tab: details, events and logs, models, storage", footer=False),
    Action("tab_previous", "shift+tab", "previous tab", "The tab before", footer=False),
    Action("menu", "a", "actions", "The actions of this registry"),
    Action("copy", "c", "copy", "Copy the selected field, log line, model's URI, or archive's place"),
    Action("open", "enter", "open", "The event's log lines, all of a line, or the selected model", footer=False),
    Action("save", "w", "save log", "Save all log lines of the selected event in a file"),
    Action("clean_up", "u", "clean up", "Remove archives without a version, after listing them"),
    Action("measure", "M", "measure", "Measure the storage again now", footer=False),
    ORDER,
    EXPORT,
    Action("grant", "t", "storage access", "Grant or revoke the machine user's access to its prefix"),
    Action("models", "m", "models", "The registered models of this registry"),
    Action(
        "synchronize", "s", "synchronize", "Tell each workspace of the environment about the registry", footer=False
    ),
    Action("delete", "ctrl+d", "delete", "Delete the registry", footer=False),
    VIEW,
)
PROJECTS = (
    OPEN,
    Action("create", "n", "create", "Create a project in a workspace"),
    Action("credentials", "e", "environment", "What stock MLflow code needs to log into this project", footer=False),
    Action("collaborators", "p", "people", "Who works in the selected project, in which role", footer=False),
    Action("delete", "ctrl+d", "delete", "Delete the selected project", footer=False),
    ORDER,
    COPY,
    VIEW,
    EXPORT,
)
PROJECT = (
    OPEN,
    Action("tab_next", "tab", "next tab", "Experiments, or Model Deployments", footer=False),
    Action("menu", "a", "actions", "The actions of the project, or of the selected deployment"),
    Action("deployments", "d", "deployments", "The project's Model Deployments"),
    Action("deploy", "D", "deploy", "Deploy a registered model from this project"),
    Action("credentials", "e", "environment", "What stock MLflow code needs to log into this project"),
    Action("collaborators", "p", "people", "Who works here, in which role: list, add, change, remove"),
    Action("delete_project", "ctrl+d", "delete", "Delete the project with its experiments", footer=False),
    ORDER,
    COPY,
    VIEW,
    EXPORT,
)
EXPERIMENT = (
    OPEN,
    ORDER,
    Action("columns", "C", "columns", "Choose the columns among params, metrics, tags and attributes"),
    Action("mark", "space", "mark", "Mark the run, to compare it", footer=False),
    Action("compare", "equals_sign", "compare", "Compare the marked runs: params, metrics and their curves"),
    Action("views", "v", "views", "Keep filter, sort and columns under a name, and show them again", footer=False),
    Action("tree", "t", "tree", "Nested runs below their parents, or all in one list", footer=False),
    Action("group", "b", "group by", "Group the runs by a param", footer=False),
    Action("sort_started", "S", "by start", "Sort by start time", footer=False),
    COPY,
    VIEW,
    EXPORT,
)
#: What is done to the chart beside metrics' names; the names have the other keys.
CHART = (
    Action("time", "t", "x axis", "Curves by step, by the time since each one's first point, or by wall time"),
    Action("chart_left", "left", "cursor left", "Curves: the cursor to the left; the legend has the values", False),
    Action("chart_right", "right", "cursor right", "Curves: the cursor to the right", footer=False),
    Action("zoom_in", "plus,equals_sign", "zoom in", "Curves: half as much of x, around the cursor", footer=False),
    Action("zoom_out", "minus", "zoom out", "Curves: twice as much of x", footer=False),
    Action("pan_left", "shift+left", "earlier part", "Curves: the part of x before, when zoomed", footer=False),
    Action("pan_right", "shift+right", "later part", "Curves: the part of x behind, when zoomed", footer=False),
    Action("whole", "0", "whole curve", "Curves: all of x again, without the cursor", footer=False),
    Action("log", "L", "log scale", "Curves: logarithmic values, or as they are", footer=False),
    Action("smooth", "s", "smoothing", "Curves: the next smoothing, by a moving average; then none", footer=False),
)
COMPARE = (
    Action("tab_next", "tab", "next tab", "Values, or curves"),
    Action("equal", "x", "equal ones", "Show or hide what is the same in all runs"),
    Action("difference", "d", "difference", "Metrics as their difference to the first run, or as they are"),
    *CHART,
    Action("copy", "c", "copy", "Copy the runs' IDs", footer=False),
    VIEW,
    EXPORT,
)
RUN = (
    Action("tab_next", "tab", "next tab", "The next tab: overview, metrics, artifacts, params, tags, datasets"),
    Action("open", "enter", "open", "Open a folder, or follow what is selected", footer=False),
    REGISTER,
    Action("download", "d", "download", "Save the selected file or folder, or all artifacts"),
    Action("preview_down", "J", "preview down", "Artifacts: the next page of the preview", footer=False),
    Action("preview_up", "K", "preview up", "Artifacts: the page before in the preview", footer=False),
    Action(
        "preview_right", "greater_than_sign", "preview right", "Artifacts: what is to the right in the preview", False
    ),
    Action("preview_left", "less_than_sign", "preview left", "Artifacts: the left part of the preview", False),
    Action("registered", "v", "registered version", "The version that was registered from this run"),
    *CHART,
    Action("copy", "c", "copy", "Copy the run's ID, or the selected artifact's path", footer=False),
    VIEW,
    Action("export", "ctrl+s", "export", "Save the metrics, params, tags or datasets in view as CSV or JSON", False),
)
MODELS = (
    OPEN,
    Action("registry", "r", "registry", "Choose the Model Registry whose models are shown"),
    Action("delete", "ctrl+d", "delete", "Delete the model with its versions", footer=False),
    ORDER,
    COPY,
    VIEW,
    EXPORT,
)
MODEL = (
    Action("open", "enter", "details", "Open the side panel; it follows the cursor"),
    Action("alias", "A", "alias", "Name this version with an alias, or take one away"),
    Action("edit", "e", "edit", "Edit notes and tags of the version"),
    Action("edit_model", "E", "edit model", "Edit description, owner and visibility of the model", footer=False),
    Action("deploy", "D", "deploy", "Serve the version as an endpoint from a project"),
    Action("verify", "v", "verify", "Read the whole archive and compare it with its manifest"),
    Action("mark", "space", "mark", "Mark the version, to compare it", footer=False),
    Action("diff", "equals_sign", "diff", "What differs between the two marked versions", footer=False),
    Action("download", "d", "download", "Save the whole archive, with its sums checked", footer=False),
    Action("run", "r", "run", "The run it came from"),
    Action("experiment", "x", "experiment", "The experiment it came from", footer=False),
    Action("project", "p", "project", "The project it came from", footer=False),
    Action("delete", "ctrl+d", "delete", "Delete the version", footer=False),
    Action("copy", "c", "copy", "Copy the version's URI, models:/name/version", footer=False),
    VIEW,
    EXPORT,
)
DIFF = (
    Action("equal", "x", "equal ones", "Show or hide what is the same in both versions"),
    COPY,
    VIEW,
    EXPORT,
)
_DEPLOYMENT = (
    Action("test", "T", "test", "Send a request, and see answer, latency and replica"),
    Action("scale", "+", "scale", "Change the number of replicas; those that stay are not restarted"),
    Action("change", "e", "change", "Change version, resources, environment, authentication; rolled out unnoticed"),
    Action("rollback", "u", "roll back", "Go back to what served before, with this one key"),
    Action("restart", "r", "restart", "Replace all replicas by new ones, or start a stopped deployment", footer=False),
    Action("stop", "S", "stop", "End all replicas once they have answered what is under way", footer=False),
    Action("logs", "l", "logs", "The log of each replica; kept over restarts"),
    Action("delete", "ctrl+d", "delete", "Delete the deployment with its history", footer=False),
)
DEPLOYMENTS: tuple[Action, ...] = (
    OPEN,
    Action("create", "n", "deploy", "Deploy a registered model from a project"),
    *_DEPLOYMENT,
    Action("keys", "K", "API keys", "API keys: make, list, revoke"),
    COPY,
    VIEW,
    EXPORT,
)
DEPLOYMENT = (
    Action("tab_next", "tab", "next tab", "The next tab: overview, test, logs, builds, history, settings"),
    *_DEPLOYMENT,
    Action("open", "enter", "log", "Builds, history: the log of the selected one", footer=False),
    Action("redeploy", "R", "re-deploy", "History: serve again with the selected revision's settings", footer=False),
    Action("send", "ctrl+s", "send", "Test: send the request", footer=False),
    Action("curl", "c", "curl", "Copy the request as a curl command line", footer=False),
    Action("python", "p", "Python", "Copy the request as Python", footer=False),
    Action("replica", "n", "next replica", "Logs: of the next replica", footer=False),
    Action("save", "w", "save log", "Logs: write the log to a file", footer=False),
    Action("model", "m", "model", "The registered model whose version serves", footer=False),
    Action("keys", "K", "API keys", "API keys: make, list, revoke", footer=False),
    VIEW,
)
KEYS = (
    Action("create", "n", "create", "Make an API key; it is shown once"),
    Action("revoke", "ctrl+d", "revoke", "Make the selected key useless at once"),
    COPY,
    VIEW,
    EXPORT,
)
ENVIRONMENTS = (
    OPEN,
    Action("create", "n", "create", "Create an environment"),
    Action("create_workspace", "w", "workspace", "Create a workspace in the selected environment"),
    Action("tab_next", "tab", "workspaces", "To the workspaces of the selected environment, and back"),
    Action("synchronize", "s", "synchronize", "Tell each workspace of it about its Model Registry"),
    Action("delete", "ctrl+d", "delete", "Delete the selected environment or workspace, which is empty", footer=False),
    COPY,
    VIEW,
    EXPORT,
)
ACTIVITY = (
    OPEN,
    Action("cancel", "x", "cancel", "Cancel the selected workflow; finished steps are undone"),
    Action("retry", "r", "retry", "Start a failed or cancelled workflow's work again"),
    COPY,
    VIEW,
    EXPORT,
)
WORKFLOW = (
    Action("cancel", "x", "cancel", "Cancel the workflow; finished steps are undone"),
    Action("retry", "r", "retry", "Start its work again, when it failed or was cancelled"),
    Action("resource", "enter", "resource", "What it works on"),
    COPY,
    VIEW,
)

#: Actions that open a form, some after a question to the service: what is typed right behind belongs to the form.
OPEN_FORMS = frozenset(
    {"create", "create_workspace", "register", "edit", "edit_model", "alias", "deploy", "scale", "change", "delete"}
    | {"synchronize", "verify", "clean_up", "grant", "revoke", "order", "columns", "menu", "registry", "export"}
)

#: All of them by screen, for the tests and the documentation.
ALL: dict[str, tuple[Action, ...]] = {
    "everywhere": EVERYWHERE,
    "registries": REGISTRIES,
    "registry": REGISTRY,
    "projects": PROJECTS,
    "project": PROJECT,
    "experiment": EXPERIMENT,
    "compare": COMPARE,
    "run": RUN,
    "models": MODELS,
    "model": MODEL,
    "diff": DIFF,
    "deployments": DEPLOYMENTS,
    "deployment": DEPLOYMENT,
    "keys": KEYS,
    "environments": ENVIRONMENTS,
    "activity": ACTIVITY,
    "workflow": WORKFLOW,
}

_SHOWN = {
    "enter": "↵",
    "slash": "/",
    "colon": ":",
    "question_mark": "?",
    "escape": "esc",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "equals_sign": "=",
    "plus": "+",
    "minus": "-",
    "underscore": "_",
    "full_stop": ".",
    "comma": ",",
    "semicolon": ";",
    "exclamation_mark": "!",
    "number_sign": "#",
    "at": "@",
    "asterisk": "*",
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "backslash": "\\",
}


def key_shown(key: str, *, plain: bool = False) -> str:
    """A key as people read it; `plain`: in letters."""
    first = key.split(",")[0]
    return first if plain and first == "enter" else _SHOWN.get(first, first)


def bindings(actions: Iterable[Action]) -> list[BindingType]:
    """The key bindings of a screen with these actions."""
    return [
        Binding(action.key, f"act('{action.id}')", action.label, id=action.id, tooltip=action.help, show=False)
        for action in actions
    ]


def with_keys(actions: Iterable[Action], keys: Mapping[str, str]) -> list[Action]:
    """The actions with keys of one's own, by action."""
    return [replace(action, key=keys[action.id]) if action.id in keys else action for action in actions]


def renamed(action: Action, label: str, help_: str) -> Action:
    """The same action in other words."""
    return replace(action, label=label, help=help_)
