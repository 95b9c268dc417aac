"""Actions of the pages of deployments and API keys."""

from __future__ import annotations

from dataclasses import replace

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import (
    COPY,
    DRIFT,
    EXPORT,
    KEYS_PAGE,
    LINEAGE,
    MENU,
    NEXT_TAB,
    ON_DEPLOYMENT,
    OPEN,
    PREVIOUS_TAB,
    VIEW,
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
    Action(*NEXT_TAB, "The next tab: status, test, logs, requests, drift, builds, history, settings"),
    PREVIOUS_TAB,
    MENU,
    *ON_DEPLOYMENT,
    Action("promote_canary", "ctrl+y", "promote", "Canary: let all callers reach the new version now", footer=False),
    Action(
        "pause_canary",
        "exclamation_mark",
        "pause",
        "Canary: stay at this share, or go on",
        footer=False,
        meaning="enable",
    ),
    Action(
        "open",
        "enter",
        "log",
        "Builds, history: the log of the selected one; requests: what was kept of it",
        footer=False,
    ),
    Action(
        "redeploy",
        "D",
        "re-deploy",
        "History: serve again with the selected revision's settings",
        False,
        meaning="deploy",
    ),
    Action(
        "served_at",
        "apostrophe",
        "what served when",
        "History: which version served at a moment, who let it, what ran before and after",
        footer=False,
    ),
    Action("send", "ctrl+t", "send", "Test: send the request", footer=False),
    Action("protocol", "ctrl+o", "protocol", "Test: the request for another protocol of the endpoint", footer=False),
    Action("curl", "c", "curl", "Copy the request as a curl command line", footer=False, meaning="copy"),
    Action("replica", "full_stop", "next replica", "Logs: of the next replica", footer=False, meaning="onward"),
    Action("save", "w", "save log", "Logs: write the log to a file", footer=False),
    Action("model", "m", "model", "The registered model whose version serves", footer=False),
    Action(
        "requests",
        "W",
        "kept requests",
        "Requests: keep a share of them, other columns, none from now on; delete those that were kept",
        False,
        "Kept requests",
    ),
    replace(DRIFT, help="Drift: from which distance on a column drifts, which requests count, alerts", menu="Drift"),
    replace(KEYS_PAGE, footer=False),
    LINEAGE,
    VIEW,
)
KEYS = (
    Action("create", "n", "create", "Make an API key; it is shown once"),
    MENU,
    Action("edit", "e", "limits", "Set how many requests may be sent with the selected key", menu="Limits"),
    Action("revoke", "ctrl+d", "revoke", "Make the selected key useless at once", meaning="delete", danger=True),
    COPY,
    LINEAGE,
    VIEW,
    EXPORT,
)
