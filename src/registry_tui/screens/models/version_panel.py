"""The side panel of a version: what is known of it, as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.tones import styled
from registry_tui.widgets.awaited import LOADING
from registry_tui.wording.differences import column_text
from registry_tui.wording.text import safe, safe_lines
from registry_tui.wording.words import absolute, both, deployment_state, number, size, version_status

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Deployment, DeploymentSuggestion
    from registry_tui.schemas.models import ModelVersion
    from registry_tui.schemas.tracking import RunDetails


class Fitted(Static):
    """Text that is made for the cells it has, and again when they change."""

    def __init__(self, id: str) -> None:
        super().__init__("", id=id, markup=False)
        self._make: Callable[[int], Content] = lambda room: Content("")
        self._room = 0

    def show(self, make: Callable[[int], Content]) -> None:
        """Shows what `make` says for a number of cells; without a size, once it has one."""
        self._make = make
        if self._room:
            self.update(make(self._room))

    def on_resize(self) -> None:
        if self.size.width != self._room:
            self._room = self.size.width
            self.show(self._make)


def _beside(value: str, room: int, indent: int = 13) -> str:
    """A value in lines that fit beside its name."""
    lines = [
        part
        for line in safe_lines(value, 1000).splitlines()
        for part in wrap(line, max(12, room), break_on_hyphens=False) or [""]
    ]
    return ("\n" + " " * indent).join(lines)


def panel(
    row: ModelVersion,
    room: int,
    *,
    run: RunDetails | None = None,
    described: DeploymentSuggestion | None = None,
    deployments: Sequence[Deployment] = (),
    asking: bool = False,
) -> Content:
    """Everything about a version in lines of `room` cells; with run, signature and deployments once they are known.

    `asking`: whether some of that is being asked for.
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
    facts = [
        ("Notes", row.notes),
        ("Tags", ", ".join(f"{key}={value}" for key, value in sorted(row.tags.items()))),
        ("Aliases", ", ".join(row.aliases)),
        ("Creator", row.creator),
        ("Created", both(row.created_at)),
        ("Checked", _checked(row)),
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
    styles = {"Checked": "$error" if row.archive_damage else "", "Not servable": "$warning"}
    for name, value in facts:
        if value:
            style = styles.get(name, "")
            parts += [(f"\n{name:<13}", "$foreground-muted"), (_beside(value, room - 13), style)]
    if deployments:
        parts.append(("\n\nDeployed", "bold $accent"))
        for each in deployments:
            state = deployment_state(each.state)
            parts += [
                (f"\n  {safe(each.name, 40):<22}", ""),
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
                    parts += [(f"\n  {safe(key, 30):<22}", "$foreground-muted"), (safe(values[key], 60), "")]
    if asking and (described is None or run is None):
        parts.append((f"\n\n{LOADING}", "$foreground-muted"))
    return Content.assemble(*parts)


def _checked(row: ModelVersion) -> str:
    """When the archive was read last, and whether it was as stored."""
    if row.verified_at is None:
        return ""
    if row.archive_damage:
        return f"✗ {row.archive_damage}, {absolute(row.verified_at)}"
    return f"all sums, {absolute(row.verified_at)}"


def _described(described: DeploymentSuggestion, room: int) -> list[tuple[str, str]]:
    """Signature and requirements."""
    parts: list[tuple[str, str]] = []
    for name, title in (("inputs", "Inputs"), ("outputs", "Outputs"), ("params", "Params of predict")):
        columns = (described.signature or {}).get(name)
        if isinstance(columns, list) and columns:
            parts.append((f"\n\n{title}", "bold $accent"))
            shown = ", ".join(column_text(each) for each in columns[:60])
            parts.append((f"\n  {_beside(shown, room - 2, 2)}", ""))
    if described.signature is None:
        parts.append(("\n\nNo signature", "$warning"))
    if described.requirements:
        parts.append(("\n\nRequirements", "bold $accent"))
        parts += [(f"\n  {safe(each, 80)}", "") for each in described.requirements[:60]]
    return parts
