"""Actions of the pages of workflows."""

from __future__ import annotations

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import COPY, EXPORT, MENU, OPEN, VIEW

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
