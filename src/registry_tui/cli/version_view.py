"""A version with all its details, as commands print it."""

from __future__ import annotations

from registry_tui.cli import output
from registry_tui.contracts.counts import counted
from registry_tui.schemas.models import ModelVersion
from registry_tui.wording import words


def print_version(found: ModelVersion, as_json: bool) -> None:
    """Prints a version with all its details."""
    origin, promoted = found.origin, found.origin.promoted_from
    places = (origin.environment_name, origin.workspace_name, origin.project_name, origin.experiment_name)
    fields = {
        "model": found.model_name,
        "version": found.version,
        "ID": found.id,
        "status": f"{found.status.value} {found.status_message}".strip(),
        "stage": f"{found.stage.value} {found.stage_status.value if found.stage_status else ''}".strip(),
        "about the stage": found.stage_description,
        "notes": found.notes,
        "aliases": found.aliases,
        "tags": found.tags,
        "created": f"{output.cell(found.created_at)} by {found.creator}",
        "from": " / ".join(each for each in places if each),
        "promoted from": promoted and f"{promoted.registry_name}: {promoted.model_name} v{promoted.version}",
        "run": " ".join(each for each in (origin.run_id, origin.run_name) if each),
        "artifact": origin.artifact_path,
        "archive": found.archive_uri,
        "size": words.size(found.archive_bytes)
        + ("" if found.archive_files is None else f" in {counted(found.archive_files, 'file')}"),
        "verified": found.verified_at,
        "damage": found.archive_damage,
        "not servable": found.not_servable_reason,
    }
    output.print_one(found, fields, as_json=as_json)
