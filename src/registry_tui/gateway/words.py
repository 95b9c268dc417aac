"""Why a deployment does not respond, in the words that the gateway, the service and so all clients use."""

from __future__ import annotations


def unanswered(name: str, state: str, *, has_replicas: bool) -> tuple[str, str]:
    """A sentence, and the remedy. `has_replicas`: processes are kept running for it, though none responds now."""
    if state == "failed":
        return (
            f"The deployment {name} has failed",
            f"See why: `registry-tui deployments show {name}`; then change or restart it",
        )
    if has_replicas:
        return (
            f"No replica of {name} answers at the moment; they are being started again",
            f"Try again in a moment; if it lasts, see `registry-tui deployments logs {name}`",
        )
    return f"The deployment {name} is {state}", f"Start it: `registry-tui deployments restart {name}`"
