"""Actions of the pages of workflows."""

from __future__ import annotations

from dataclasses import replace

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import COPY, EXPORT, MENU, OPEN, VIEW

_CANCEL = Action("cancel", "S", "cancel", "Cancel the workflow; finished steps are undone", meaning="stop")
_RETRY = Action("retry", "r", "retry", "Start a failed or cancelled workflow's work again", meaning="again")
ACTIVITY = (
    OPEN,
    MENU,
    Action(
        "approvals", "V", "approvals", "Approvals: what waits for you, and what was decided", meaning="show_another"
    ),
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
APPROVALS = (
    replace(OPEN, label="details", help="Open the side panel with question and answer; it follows the cursor"),
    Action("decide", "ampersand", "decide", "Approve, reject or withdraw, with a comment", True, "Decide", "approval"),
    MENU,
    Action("model", "m", "model", "The registered model whose version is asked about"),
    Action("workflows", "V", "workflows", "The workflows", False, meaning="show_another"),
    replace(COPY, help="Copy the approval's ID"),
    VIEW,
    EXPORT,
)
