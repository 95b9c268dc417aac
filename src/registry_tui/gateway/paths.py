"""The paths of an endpoint that a replica supports, over all protocols."""

from __future__ import annotations

from registry_tui.gateway import chat, description, open_inference

#: Paths of MLflow's scoring protocol and the description of all protocols, with their method.
SCORING = {"invocations": "POST", "ping": "GET", "health": "GET", "version": "GET", description.DOCUMENT: "GET"}
#: The paths to list for people who requested another one.
SHOWN = (*SCORING, description.PAGE, *open_inference.SHOWN, *chat.SHOWN)


def method_of(path: str) -> str | None:
    """The method that a path takes; None for one that no endpoint has."""
    return SCORING.get(path) or open_inference.method_of(path) or chat.method_of(path)
