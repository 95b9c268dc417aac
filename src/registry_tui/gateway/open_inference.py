"""Paths of the Open Inference Protocol (v2) that replicas support."""

from __future__ import annotations

from registry_tui.contracts.names import problem

#: The paths to list for people who requested another one.
SHOWN = ("v2/health/ready", "v2/models/NAME", "v2/models/NAME/infer")


def method_of(path: str) -> str | None:
    """The method of a path; None for one outside the protocol."""
    parts = path.split("/")
    if parts[0] != "v2":
        return None
    if parts[1:] in ([], ["health", "live"], ["health", "ready"]):
        return "GET"
    if len(parts) < 3 or parts[1] != "models" or problem(parts[2]):
        return None
    rest = parts[3:]
    if len(rest) >= 2 and rest[0] == "versions" and rest[1].isdigit():
        rest = rest[2:]
    return {(): "GET", ("ready",): "GET", ("infer",): "POST"}.get(tuple(rest))
