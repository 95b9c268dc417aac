"""Types of the messages that webhooks get, for forms and the command line; the service decides when to send them."""

from __future__ import annotations

from collections.abc import Sequence

#: Grouped by noun. A webhook may subscribe to one (`version.ready`), to all of a noun (`version.*`), or to `*`.
NAMES: tuple[str, ...] = (
    *("version.registered", "version.ready", "version.failed", "version.promoted", "version.deleted"),
    *("version.alias_set", "version.alias_removed", "version.stage_changed"),
    *("approval.asked", "approval.approved", "approval.rejected", "approval.withdrawn"),
    *("deployment.started", "deployment.ready", "deployment.failed", "deployment.rolled_back"),
    *("deployment.canary_step", "deployment.drifted", "deployment.drift_ended", "deployment.updated"),
    *("deployment.stopped", "deployment.deleted", "webhook.paused"),
    *("workflow.started", "workflow.succeeded", "workflow.failed", "workflow.cancelled"),
)
NOUNS: tuple[str, ...] = tuple(dict.fromkeys(name.partition(".")[0] for name in NAMES))


def offered(typed: str) -> Sequence[str]:
    """Completions of the last of some patterns, separated by commas: nouns, or the types of a typed noun."""
    last = typed.rpartition(",")[2].strip().removesuffix("*")
    found = [name for name in NAMES if last and name.startswith(last)]
    if len({name.partition(".")[0] for name in found}) == 1:
        return found
    return ["*", *(f"{noun}.*" for noun in NOUNS)]
