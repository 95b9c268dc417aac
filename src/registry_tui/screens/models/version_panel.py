"""The side panel of a version: its details, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.tones import styled
from registry_tui.widgets.awaited import LOADING
from registry_tui.widgets.facts import beside, facts
from registry_tui.wording.differences import column_text
from registry_tui.wording.scans import scan_verdict
from registry_tui.wording.text import padded, safe
from registry_tui.wording.words import absolute, both, deployment_state, number, size, version_status

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Deployment, DeploymentSuggestion
    from registry_tui.schemas.models import ModelVersion
    from registry_tui.schemas.tracking import RunDetails


def panel(
    row: ModelVersion,
    room: int,
    *,
    run: RunDetails | None = None,
    described: DeploymentSuggestion | None = None,
    deployments: Sequence[Deployment] = (),
    asking: bool = False,
) -> Content:
    """All details of a version in lines of `room` cells; with run, signature and deployments once they are known.

    `asking`: whether some of that is still loading.
    """
    status = version_status(row.status)
    parts: list[tuple[str, str]] = [(f"Version {row.version}  ", "bold"), styled(status)]
    if row.archive_bytes is not None:
        parts.append((f"  {size(row.archive_bytes)} in {counted(row.archive_files or 0, 'file')}", "$foreground-muted"))
    parts.append(("\n", ""))
    if row.status_message:
        parts.append(
            (f"{safe(row.status_message, 1000)}\n", "$error" if row.status != "READY" else "$foreground-muted")
        )
    origin = row.origin
    known = [
        ("Stage", _stage(row)),
        ("Scan", scan_verdict(row.scan).text),
        ("Notes", row.notes),
        ("Tags", ", ".join(f"{key}={value}" for key, value in sorted(row.tags.items()))),
        ("Aliases", ", ".join(row.aliases)),
        ("Creator", row.creator),
        ("Created", both(row.created_at)),
        ("Checked", _checked(row)),
        ("Signed", _signed(row)),
        ("Environment", origin.environment_name or ""),
        ("Workspace", origin.workspace_name or ""),
        ("Project", origin.project_name or ""),
        ("Experiment", origin.experiment_name or origin.experiment_id or ""),
        ("Run", origin.run_name or origin.run_id or ""),
        ("Model folder", origin.artifact_path or ""),
        ("ID", row.id),
        ("Archive", row.archive_uri or ""),
        ("Not servable", "" if row.servable else row.not_servable_reason or "it cannot be deployed"),
    ]
    styles = {
        "Checked": "$error" if row.archive_damage else "",
        "Signed": "" if row.signatures else "$warning",
        "Not servable": "$warning",
    }
    *listed, (last, style) = facts(known, 13, room, styles)
    parts += [("\n", ""), *listed, (last.removesuffix("\n"), style)]
    if deployments:
        parts.append(("\n\nDeployed", "bold $accent"))
        for each in deployments:
            state = deployment_state(each.state)
            parts += [
                (f"\n  {padded(safe(each.name, 40), 22)}", ""),
                styled(state),
                (f"  {safe(each.project_name, 30)}", "$foreground-muted"),
            ]
    if described is not None:
        parts += _described(described, room)
    if run is not None:
        for title, values in (
            ("Metrics", {key: number(value) for key, value in run.metrics.items()}),
            ("Params", run.params),
        ):
            if values:
                parts.append((f"\n\n{title} of its run", "bold $accent"))
                for key in sorted(values)[:20]:
                    parts += [(f"\n  {padded(safe(key, 30), 22)}", "$foreground-muted"), (safe(values[key], 60), "")]
    if asking and (described is None or run is None):
        parts.append((f"\n\n{LOADING}", "$foreground-muted"))
    return Content.assemble(*parts)


def _stage(row: ModelVersion) -> str:
    """The version's stage with its status and its description."""
    status = f", {row.stage_status}" if row.stage_status else ""
    if row.stage == "None":
        return status.removeprefix(", ")
    return f"{row.stage}{status}" + (f": {row.stage_description}" if row.stage_description else "")


def _checked(row: ModelVersion) -> str:
    """When the archive was last read, and whether it was as stored."""
    if row.verified_at is None:
        return ""
    if row.archive_damage:
        return f"✗ {row.archive_damage}, {absolute(row.verified_at)}"
    return f"all sums, {absolute(row.verified_at)}"


def _signed(row: ModelVersion) -> str:
    """The signers with the times; without any, how to sign it."""
    if row.status != "READY":
        return ""
    if not row.signatures:
        return f"not yet: it was registered before versions were; `models sign {row.model_name} {row.version}`"
    return "; ".join(f"by {each.key_name}, {absolute(each.signed_at)}" for each in row.signatures)


def _described(described: DeploymentSuggestion, room: int) -> list[tuple[str, str]]:
    """Signature and requirements."""
    parts: list[tuple[str, str]] = []
    for name, title in (("inputs", "Inputs"), ("outputs", "Outputs"), ("params", "Params of predict")):
        columns = (described.signature or {}).get(name)
        if isinstance(columns, list) and columns:
            parts.append((f"\n\n{title}", "bold $accent"))
            shown = ", ".join(column_text(each) for each in columns[:60])
            parts.append((f"\n  {beside(shown, room - 2, 2)}", ""))
    if described.signature is None:
        parts.append(("\n\nNo signature", "$warning"))
    if described.requirements:
        parts.append(("\n\nRequirements", "bold $accent"))
        parts += [(f"\n  {safe(each, 80)}", "") for each in described.requirements[:60]]
    return parts
