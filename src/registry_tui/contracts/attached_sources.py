"""Sources of versions that come from an attached MLflow server: the service makes them, the plugin takes them from it.

`registry-tui-attached:/PROJECT/runs/RUN/PATH` is a folder of a run's artifacts,
`registry-tui-attached:/PROJECT/models/MODEL` a logged model.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from registry_tui.contracts import names

SCHEME = "registry-tui-attached"
_RUNS, _MODELS = "runs", "models"


@dataclass(frozen=True)
class AttachedSource:
    """A model behind an attached server: of a run the folder `path`, or a logged model."""

    #: The ID of the project that shows the server.
    project_id: str
    run_id: str | None = None
    path: str = ""
    model_id: str | None = None

    @property
    def uri(self) -> str:
        """The source as text. Raises UnusableName."""
        if self.model_id is not None:
            return f"{SCHEME}:/{self.project_id}/{_MODELS}/{names.segment(self.model_id)}"
        parts = [names.segment(self.run_id or ""), *(names.segment(part) for part in self.path.split("/") if part)]
        return f"{SCHEME}:/{self.project_id}/{_RUNS}/{'/'.join(parts)}"


def is_attached(source: str) -> bool:
    """Whether a source comes from an attached server."""
    return source.startswith(f"{SCHEME}:/")


def parse(source: str) -> AttachedSource | None:
    """The source that a text names; None for every other text."""
    if not is_attached(source):
        return None
    project, kind, id_, *path = [*source.removeprefix(f"{SCHEME}:/").split("/"), "", ""]
    plain = [unquote(part) for part in (id_, *path) if part]
    if not project or not plain:
        return None
    if kind == _MODELS and len(plain) == 1:
        return AttachedSource(project, model_id=plain[0])
    if kind == _RUNS:
        return AttachedSource(project, run_id=plain[0], path="/".join(plain[1:]))
    return None
