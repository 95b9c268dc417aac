"""Actions of the pages of webhooks."""

from __future__ import annotations

from dataclasses import replace

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import COPY, EXPORT, MENU, OPEN, VIEW

_TEST = Action("send_test", "T", "test", "Send a test message", menu="Test", meaning="test")
WEBHOOKS = (
    replace(OPEN, label="deliveries", help="What was sent to the webhook, and what waits"),
    Action("create", "n", "create", "Create a webhook: an address that gets signed messages about events"),
    MENU,
    Action("edit", "e", "edit", "Change its address and its events", menu="Edit"),
    Action(
        "enable",
        "exclamation_mark",
        "pause",
        "Pause the webhook, or go on with what has waited",
        menu="Pause, or go on",
    ),
    _TEST,
    Action(
        "rotate", "ctrl+n", "new secret", "Give it a new secret, which is shown once", False, "New secret", danger=True
    ),
    Action("delete", "ctrl+d", "delete", "Delete the webhook with its deliveries", False, "Delete", danger=True),
    replace(COPY, help="Copy the webhook's address"),
    VIEW,
    EXPORT,
)
WEBHOOK = (
    replace(OPEN, label="details", help="The message, and each attempt with its answer"),
    Action("replay", "r", "replay", "Send the selected delivery again", menu="Replay", meaning="again"),
    MENU,
    _TEST,
    replace(COPY, help="Copy the delivery's ID, the header webhook-id"),
    VIEW,
    EXPORT,
)
