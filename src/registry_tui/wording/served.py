"""The state of a deployment at a time, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from registry_tui.schemas.deployments import Served, ServedAt, ServedState
from registry_tui.wording.words import absolute


def sentences(found: ServedAt) -> Iterator[str]:
    """The state first, then the rollout in progress, the runs before and after, and the deletion."""
    at, name = absolute(found.time), f"{found.deployment_name} of project {found.project_name}"
    if found.serving is not None:
        yield f"{at}: {name} served {version(found.serving)}, {let(found.serving)}"
    elif found.state is ServedState.NOT_YET:
        yield f"{at}: {name} was not deployed yet"
    elif found.state is ServedState.DELETED:
        yield f"{at}: {name} was deleted already"
    else:
        yield f"{at}: {name} served nothing"
    if found.rolling_out is not None:
        yield f"being rolled out: {version(found.rolling_out)}, {let(found.rolling_out)}{_ended(found.rolling_out)}"
    if found.before is not None:
        yield f"before: {version(found.before)}, {let(found.before)}{_ended(found.before)}"
    if found.after is not None:
        yield f"after: {version(found.after)}, {let(found.after)}"
    if found.deleted_at is not None:
        yield f"deleted: {absolute(found.deleted_at)} {by(found.deleted_by) or 'with its project'}"


def version(served: Served) -> str:
    """The version with its revision."""
    return f"{served.model_name} v{served.version} (revision {served.revision})"


def let(served: Served) -> str:
    """The user who deployed it, since when, and the comment."""
    since = f" since {absolute(served.began_at)}" if served.began_at is not None else ""
    moved = f"; {served.alias_moved_by} moved alias {served.alias} to it" if served.alias_moved_by else ""
    comment = f"; {served.comment}" if served.comment else ""
    return f"deployed {by(served.let_by)}{since}{moved}{comment}"


def _ended(served: Served) -> str:
    if served.ended_at is None:
        return ""
    why = " ".join(word for word in (served.end, by(served.ended_by)) if word)
    return f", until {absolute(served.ended_at)}" + (f": {why}" if why else "")


def by(name: str) -> str:
    return f"by {name}" if name else ""
