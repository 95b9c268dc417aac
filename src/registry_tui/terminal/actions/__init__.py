"""Every action of the terminal program: one registry that feeds keys, status line, Actions menu, `?` and command box.

A key means the same on every page: actions with the same key have the same verb (`terminal/keys.py` lists them).
The pages' own actions are in the modules of this package, by section.

A screen names its actions in `ACTIONS`, and has a method `do_<id>` for each. `why_not(id)` returns why one is not
possible now; such an action stays visible, dimmed, and its key shows the reason.
"""

from __future__ import annotations

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions import (
    activity,
    admission,
    deployments,
    known,
    models,
    people,
    places,
    ranger,
    registries,
    tracking,
    webhooks,
)
from registry_tui.terminal.actions.everywhere import EVERYWHERE, SECTIONS, WHOLE_NAMES
from registry_tui.terminal.commands import SCREENS

__all__ = ["ALL", "AT_ONCE", "EVERYWHERE", "MOVES", "OPEN_FORMS", "SECTIONS", "WHOLE_NAMES"]

_MODULES = (activity, admission, deployments, known, models, people, places, ranger, registries, tracking, webhooks)

#: Actions that open a form, some after a request to the service: keys typed directly after belong to the form.
OPEN_FORMS = frozenset(
    {"create", "create_workspace", "register", "edit", "edit_model", "alias", "deploy", "scale", "change", "delete"}
    | {
        "synchronize",
        "verify",
        "promote",
        "rules",
        "go_back",
        "promotion_rules",
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
        "change_backend",
        "store_key",
        "decide",
        "stage",
        "scan",
        "rotate",
        "ask_approval",
        "evidence",
        "requests",
        "drift",
    }
)

#: Actions that change something immediately, without a question before. Like dangerous ones they are not queued for a
#: selection that is not in view yet.
AT_ONCE = frozenset(
    {"restart", "rollback", "redeploy", "cancel", "retry", "restore", "send", "enable", "send_test", "replay"}
    | {"promote_canary", "pause_canary"}
)

#: Actions that the Actions menu leaves out: they move about the page, without any effect on its objects.
MOVES = frozenset(
    {"menu", "open", "resource", "tab_next", "tab_previous", "mark", "preview_down", "preview_up"}
    | {"preview_right", "preview_left", "chart_left", "chart_right", "zoom_in", "zoom_out", "pan_left", "pan_right"}
)

#: All of them by kind of screen, for settings, tests and the documentation. A kind's actions have its name in capitals.
ALL: dict[str, tuple[Action, ...]] = {
    "everywhere": EVERYWHERE,
    **{
        kind: next((vars(each)[kind.upper()] for each in _MODULES if kind.upper() in vars(each)), ())
        for kind in SCREENS
    },
}
