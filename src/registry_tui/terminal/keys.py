"""The meaning of each key, the same on every page: `python -m registry_tui.terminal.keys > docs/keys.md`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from textual.binding import Binding, BindingType

from registry_tui.terminal.action import Action, key_shown
from registry_tui.terminal.actions import ALL, SECTIONS
from registry_tui.terminal.presets import LISTS, PRESETS, Preset, with_preset

#: Keys of the boxes that open over a page and have actions of their own. They cannot be changed in `config.toml`.
VIEWER = (
    Action("copy", "c", "copy", "Copy the whole text"),
    Action("turn", "y", "YAML or JSON", "Show it as YAML, or as JSON", meaning="view"),
    Action("search", "slash", "search", "Search in the text", meaning="filter"),
    Action("next(1)", "full_stop", "next", "The next place that was found", meaning="onward"),
    Action("next(-1)", "comma", "previous", "The place found before", meaning="backward"),
    Action("save", "ctrl+s", "save", "Save the text in a file", meaning="export"),
    Action("top", "g,home", "top", "The first line", meaning="first"),
    Action("bottom", "G,end", "bottom", "The last line", meaning="last"),
    Action("leave", "q", "close", "Close the box", meaning="close"),
)
COLLABORATORS_BOX = (
    Action("add", "n", "add", "Add a person", meaning="create"),
    Action("change", "e", "role", "Change the selected person's role", meaning="edit"),
    Action("remove", "ctrl+d,delete", "remove", "Take the selected person off the project", meaning="delete"),
    Action("export", "ctrl+s", "export", "Save the list in a file"),
    Action("leave", "q", "close", "Close the box", meaning="close"),
)
CONDITIONS_BOX = (
    Action("add", "n", "add", "Add a condition of the selected kind", meaning="create"),
    Action("change", "e", "change", "Change the selected condition", meaning="edit"),
    Action("remove", "ctrl+d,delete", "remove", "Take the selected condition away", meaning="delete"),
)
NAMES_BOX = (
    Action("remove", "ctrl+d,delete", "remove", "Take the selected name out of the condition", meaning="delete"),
)
REQUEST_BOX = (
    Action("open", "enter", "row", "All values of the selected row"),
    Action("copy", "c", "copy", "Copy the whole request as JSON"),
    Action("view", "y", "all", "The whole request as YAML or JSON"),
    Action("leave", "q", "close", "Close the box", meaning="close"),
)
START_BOX = (Action("again", "r", "try again", "Start the platform again after a failure"),)
BOXES: Mapping[str, tuple[Action, ...]] = {
    "text": VIEWER,
    "collaborators": COLLABORATORS_BOX,
    "conditions": CONDITIONS_BOX,
    "names": NAMES_BOX,
    "request": REQUEST_BOX,
    "start": START_BOX,
}

#: The meaning of each verb, and so of its key.
VERBS: Mapping[str, str] = {
    "open": "Open the selection",
    "menu": "Actions of the selection or the page",
    "create": "Make a new one",
    "create_workspace": "Make a new workspace",
    "edit": "Edit, change",
    "edit_model": "Edit the registered model itself",
    "delete": "Delete, revoke or remove the selection, after a question",
    "delete_project": "Delete the project that the page shows, after a question",
    "restore": "Restore what was deleted",
    "deleted": "Show the deleted (hidden) ones, or the others",
    "mark": "Mark, for what is done with several",
    "compare": "Compare the marked ones",
    "copy": "Copy the selection's name, address or text",
    "copy_code": "Copy as code: a command line, or Python",
    "copy_crn": "Copy the CRN of what the page shows",
    "view": "Everything known about it, as YAML or JSON",
    "export": "Save what is listed or shown in a file",
    "save": "Save the log in a file",
    "download": "Download files",
    "order": "Choose the order",
    "sort_started": "Order by start, the newest first",
    "columns": "Choose the columns (fields)",
    "show_another": "Choose what the list shows: a view, another registry, or its counterpart, as people and groups",
    "tree": "Tree or list",
    "group": "Group by a param",
    "equal": "Show or hide equal lines",
    "difference": "Values as difference to the first run (the base)",
    "register": "Register a model",
    "alias": "Set or remove an alias",
    "verify": "Verify the archive",
    "approval": "Approvals: ask for one, decide about one",
    "stage": "The stage in a version's life",
    "scan": "What loading a version would run",
    "signatures": "Signatures of a version, and the keys that make them",
    "card": "The model card",
    "components": "What versions are made of",
    "evidence": "Everything known of a version, in a folder",
    "rotate": "A new secret or key, in place of the one of before",
    "attached": "Go to the attached MLflow servers",
    "webhooks": "Go to the webhooks",
    "rules": "Rules of admission and promotion: what they say, or the rules themselves",
    "promote": "Copy a version into another Model Registry",
    "deploy": "Deploy",
    "test": "Try a deployment",
    "served_at": "What served at a moment, and who let it",
    "requests": "Which of a deployment's requests are kept",
    "drift": "Drift: how it is judged, and the profile of the training data",
    "send": "Send the request",
    "protocol": "The request for another protocol",
    "scale": "Number of replicas",
    "rollback": "Roll back",
    "promote_canary": "Let all callers reach the version that is tried",
    "again": "Do it again: restart, retry, measure",
    "stop": "Stop what runs: a deployment, a workflow",
    "logs": "Logs",
    "keys": "API keys",
    "synchronize": "Synchronize with the workspaces",
    "access": "Who may use it: collaborators, roles, storage access",
    "manage_access": "Where storage access is granted",
    "enable": "Enable, or disable; pause, or go on; suspend, or let in",
    "source": "Where it comes from",
    "check": "Ask whether somebody has access",
    "change_backend": "Where deployments run",
    "credentials": "Shell lines for stock MLflow code",
    "clean_up": "Remove unused archives",
    "activity": "Progress of the change under way",
    "model": "Go to the registered model",
    "lineage": "What it came from, and what depends on it",
    "deployments": "Go to the project's Model Deployments",
    "run": "Go to the run it came from",
    "experiment": "Go to the experiment it came from",
    "project": "Go to the project it came from",
    "onward": "The next one: page, replica, place found",
    "backward": "The one before: page, place found",
    "preview_right": "Preview: to the right",
    "preview_left": "Preview: to the left",
    "tab_next": "The next tab or table",
    "tab_previous": "The tab or table before",
    "time": "Curves: what the horizontal axis shows",
    "chart_left": "Curves: the cursor to the left",
    "chart_right": "Curves: the cursor to the right",
    "zoom_in": "Curves: zoom in",
    "zoom_out": "Curves: zoom out",
    "pan_left": "Curves: the part before",
    "pan_right": "Curves: the part behind",
    "whole": "Curves: the whole",
    "log": "Curves: logarithmic values",
    "smooth": "Curves: smoothing",
    "filter": "Filter the list, search the text",
    "command": "Find and do: commands, pages, actions, everything by name",
    "help": "Every key of the page",
    "back": "Back, or up",
    "previous": "The place before, in the history",
    "next": "The place after, in the history",
    "refresh": "Ask the service again",
    "suspend": "Back to the shell, until fg",
    "quit": "Leave the program",
    "close": "Close the box",
    "first": "The first line",
    "last": "The last line",
}

_INTRODUCTION = """\
# Keys

Each key means the same on every page where it does anything. This page is made from the registry of actions, by
`python -m registry_tui.terminal.keys > docs/keys.md`; a test keeps it so, and another that no key has two meanings.

- `?` lists the keys of the page in view, `a` the actions of the selection or the page.
- What acts on one thing acts on the selection. A question before something is deleted, stopped or revoked starts on
  Cancel; where a name has to be typed, it starts in that field, and Enter does nothing until the name is right.
- `:` and `ctrl+p` open one box, at once: type a command, an action, or letters of a name. `↓` `↑` choose, `enter` goes
  or does it, `tab` completes; above the list, `↑` brings back what was typed before.
- In a text field, letters are text; `esc` leaves it, `ctrl+_` undoes what was typed.
- `C` copies the command line that does the same: of the last change, of the selection, of the page. In a form `ctrl+o`
  copies the one of what OK would send.
- All keys of pages can be changed: [configuration.md](configuration.md) lists the actions of each page by name.

In every list: `↑` `↓` or `k` `j` a row, `pgup` `pgdn` a page, `ctrl+↑` `ctrl+↓` half a page, `g` `G` or `home` `end`
the first and the last row; `←` `→` columns that do not fit, and in a tree close and open; `shift+↑` `shift+↓` mark.
"""


def meanings(preset: Preset = PRESETS["default"]) -> dict[str, dict[str, str]]:
    """The verb of each key (Textual's names), by page or box."""
    return {
        page: {key: action.verb for action in with_preset(actions, preset) for key in action.key.split(",")}
        for page, actions in {**ALL, **BOXES}.items()
    }


def box_bindings(box: str) -> list[BindingType]:
    """The key bindings of a box: each calls the box's method `action_<id>`."""
    return [
        Binding(action.key, action.id, action.label, id=box_binding_id(box, action), tooltip=action.help, show=False)
        for action in BOXES[box]
    ]


def box_keys(box: str, preset: Preset, *, closes: bool = True) -> str:
    """A box's keys with their words, in one line; `closes`: whether esc closes it."""
    shown = [f"{key_shown(each.key)} {each.label}" for each in with_preset(BOXES[box], preset) if each.id != "leave"]
    return " · ".join([*shown, "esc close"] if closes else shown)


def box_keymap(preset: Preset) -> dict[str, str]:
    """The keys that a preset gives to the boxes' actions, by the IDs of their bindings."""
    return {
        box_binding_id(box, action): preset.verbs[action.verb]
        for box, actions in BOXES.items()
        for action in actions
        if action.verb in preset.verbs
    }


def box_binding_id(box: str, action: Action) -> str:
    """The ID by which a preset gives a box's action another key."""
    return f"box.{box}.{action.id}"


def _rows(pages: Iterable[str]) -> Iterator[str]:
    found = meanings()
    listed = list(pages)
    keys: dict[str, str] = {}
    for page in listed:
        for key, verb in found[page].items():
            keys.setdefault(key, verb)
    yield "| key | | " + " | ".join(listed) + " |"
    yield "|---|---|" + ":-:|" * len(listed)
    place = {verb: number for number, verb in enumerate(VERBS)}
    for key, verb in sorted(keys.items(), key=lambda item: place[item[1]]):
        marks = " | ".join("●" if key in found[page] else "" for page in listed)
        shown = key_shown(key).replace("|", "&#124;")
        yield f"| `{shown}` | {VERBS[verb]} | {marks} |"


def _preset(name: str, preset: Preset) -> Iterator[str]:
    """The differences of a preset."""
    usual = {action.verb: action.key for actions in {**BOXES, **ALL}.values() for action in actions}
    yield f"\n## The preset `{name}`\n"
    yield f'With `keymap = "{name}"` in `[terminal]` of `config.toml` these keys differ from those above.'
    yield "`g` goes to the first row at once, and so does `gg`.\n"
    yield "| keys | | otherwise |"
    yield "|---|---|---|"
    for verb, keys in preset.verbs.items():
        yield f"| {_shown(keys)} | {VERBS[verb]} | {_shown(usual[verb])} |"
    for id_, keys in preset.lists.items():
        first = keys.split(",")[0]
        yield f"| {_shown(keys)} | Lists: {LISTS[id_].lower()} | {_shown(first)} |"


def _shown(keys: str) -> str:
    return " ".join(f"`{key_shown(key)}`" for key in keys.split(","))


def render() -> str:
    """The whole page as Markdown."""
    everywhere = [
        f"| {' '.join(f'`{key_shown(key)}`' for key in action.key.split(','))} | {action.help} |"
        for action in ALL["everywhere"]
    ]
    sections = [f"| `{number}` | {word} |" for number, _, word in SECTIONS]
    pages = [page for page in ALL if page != "everywhere"]
    parts = [
        _INTRODUCTION,
        "## On every page\n",
        *("| key | |", "|---|---|", *everywhere, *sections),
        "\n## On pages\n",
        *_rows(pages),
        "\n## In boxes over a page\n",
        *_rows(BOXES),
        *(line for name, preset in PRESETS.items() if preset.verbs for line in _preset(name, preset)),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(render(), end="")
