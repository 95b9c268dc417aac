"""Experiments, runs and artifacts of MLflow."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, ChangeSchema, RequestSchema, Schema
from registry_tui.schemas.models import Tag


class Experiment(Schema):
    id: str
    name: str
    lifecycle_stage: str
    artifact_location: str
    created_at: datetime | None
    updated_at: datetime | None
    tags: dict[str, str] = {}


#: MLflow's own limits.
MAX_EXPERIMENT_NAME = 500
MAX_RUN_NAME = 250
MAX_NOTE = 8000
#: Runs or experiments that one request may change.
MAX_CHANGED = 1000

ItemId = Annotated[str, Field(min_length=1, max_length=MAX_EXPERIMENT_NAME)]


class ExperimentCreate(RequestSchema):
    name: str = Field(min_length=1, max_length=MAX_EXPERIMENT_NAME)
    note: str = Field(default="", max_length=MAX_NOTE)


class ExperimentUpdate(ChangeSchema):
    name: str = Field(min_length=1, max_length=MAX_EXPERIMENT_NAME)


class ExperimentsChosen(RequestSchema):
    """Experiments to delete or restore, by ID."""

    experiment_ids: list[ItemId] = Field(min_length=1, max_length=MAX_CHANGED)


class RunsChosen(RequestSchema):
    """Runs to delete or restore, by ID."""

    run_ids: list[ItemId] = Field(min_length=1, max_length=MAX_CHANGED)


class RunsUpdate(RunsChosen):
    """Makes the same changes in every named run.

    None or empty leaves a field unchanged; an empty note removes the note.
    """

    name: str | None = Field(default=None, min_length=1, max_length=MAX_RUN_NAME)
    note: str | None = Field(default=None, max_length=MAX_NOTE)
    set_tags: list[Tag] = Field(default=[], max_length=100)
    delete_tags: list[Annotated[str, Field(min_length=1, max_length=250)]] = Field(default=[], max_length=100)


class ItemProblem(Schema):
    """Why one item was left unchanged; `code` is that of problem details."""

    code: str
    detail: str
    action: str | None = None


class ItemChange(Schema):
    """One item of a request about several: changed, or left as it was because of a problem."""

    id: str
    #: Empty when it was not found.
    name: str
    problem: ItemProblem | None = None


class ItemChanges(Schema):
    """An entry for each item that a request named, in its order; some may be changed and others not."""

    items: list[ItemChange]

    @property
    def failed(self) -> list[ItemChange]:
        """The items that were left as they were."""
        return [each for each in self.items if each.problem is not None]


class RegisteredAs(Schema):
    """A registered version that came from a run: "registered as X v3"."""

    registry_id: str
    model_name: str
    version: int
    status: str


class RunVersionsAsked(RequestSchema):
    """Runs whose registered versions are requested."""

    run_ids: list[Annotated[str, Field(pattern=r"^[\w-]{1,64}$")]] = Field(min_length=1, max_length=100)


class RunVersions(Schema):
    """By run ID the versions registered from it, the newest first; runs without one are left out."""

    runs: dict[str, list[RegisteredAs]]


class Run(Schema):
    """A row of a list of runs. NaN and infinities are the strings "NaN", "Infinity", "-Infinity" in JSON."""

    id: str
    name: str
    experiment_id: str
    user: str
    status: str
    lifecycle_stage: str
    started_at: datetime | None
    ended_at: datetime | None
    #: Latest value of each metric.
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    #: Whether a model was logged with it.
    holds_model: bool = False

    model_config = {"frozen": True, "ser_json_inf_nan": "strings"}


class RunSearch(RequestSchema):
    """MLflow's filter language and order_by, a page at a time."""

    experiment_ids: list[str] = Field(min_length=1)
    filter: str = ""
    order_by: list[str] = []
    deleted: bool = False
    #: Leaves out runs that are nested in others; behind them come nested ones whose parent is not found, of the first
    #: thousand in order. A page may then be short although there are more.
    top_level: bool = False
    #: Beyond 1000, a page may be shorter although there are more: attached servers answer with 1000 at once, and runs
    #: with very many or very long metrics, params and tags come in smaller pages.
    page_size: int = Field(default=DEFAULT_PAGE_SIZE, ge=1, le=10_000)
    page_token: str | None = None


class RunPurge(RequestSchema):
    """Which deleted runs to remove for good: those named, else all that were deleted so many days ago or earlier."""

    run_ids: list[str] = Field(default=[], max_length=10_000)
    older_than_days: float = Field(default=0, ge=0, le=36_500)


class RunGrouping(RequestSchema):
    """The runs to group, the param to group by, and the metric to show for each group."""

    experiment_ids: list[str] = Field(min_length=1)
    filter: str = ""
    param: str
    metric: str | None = None


class RunGroup(Schema):
    """The runs that have one value of a param; None: those without it. Numbers leave NaN and infinities out."""

    value: str | None
    runs: int
    mean: float | None = None
    lowest: float | None = None
    highest: float | None = None


class RunGroups(Schema):
    """Groups, the largest first, of so many of the newest runs; `complete` when that were all."""

    groups: list[RunGroup]
    runs: int
    complete: bool


class DatasetInput(Schema):
    name: str
    digest: str
    source_type: str
    source: str
    dataset_schema: str | None = None
    profile: str | None = None
    tags: dict[str, str] = {}


class RunDetails(Run):
    artifact_uri: str
    datasets: list[DatasetInput] = []
    registered_as: list[RegisteredAs] = []


class MetricPoint(Schema):
    value: float
    step: int
    timestamp: datetime

    model_config = {"frozen": True, "ser_json_inf_nan": "strings"}


class MetricCurve(Schema):
    """A metric's history reduced for a chart; `count` is of all points, also of those left out."""

    count: int
    not_finite: int
    #: Finite values that are not above 0: a log axis cannot show them.
    not_positive: int = 0
    one_step: bool
    began_at: datetime | None
    points: list[MetricPoint]


class Artifact(Schema):
    """One entry of a run's artifact folder; `size` is bytes, None for folders."""

    path: str
    is_folder: bool
    size: int | None = None
    #: The logged model that it belongs to; None for the run's own.
    logged_model_id: str | None = None

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


class ArtifactTotals(Schema):
    """Files and bytes in a folder and below; at least so many when not `complete`, because counting has a bound."""

    path: str
    files: int
    bytes: int
    complete: bool
    #: Of a folder that holds a model: files and bytes that registering it stores, and the names of the first others.
    model_files: int = 0
    model_bytes: int = 0
    outside_model: list[str] = []
    outside_model_files: int = 0


class ArtifactFolder(Schema):
    """The entries of a folder; `is_model`: it holds an `MLmodel` file, so it can be registered."""

    path: str
    entries: list[Artifact]
    is_model: bool = False
    #: The logged model that a part of the entries, or all, belong to.
    logged_model_id: str | None = None
    #: Paths of the run's own files or folders, hidden by the logged model's of the same path.
    hidden: list[str] = []
