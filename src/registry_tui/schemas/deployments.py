"""Deployments: versions served as endpoints from a project; their replicas, revisions and API keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from registry_tui.schemas.base import ChangeSchema, RequestSchema, Schema
from registry_tui.schemas.canaries import Canary, KeptRollout, Rollout
from registry_tui.schemas.places import BackendKind
from registry_tui.schemas.scaling import MAX_GPUS, MAX_REPLICAS, Autoscaling, AutoscalingChange, KeptAutoscaling

GIB = 1 << 30
MIB = 1 << 20
#: Bytes that a replica gets at least: MLflow itself takes about 200 MB.
MIN_MEMORY = 256 * MIB

_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


class DeploymentState(StrEnum):
    PENDING = "pending"
    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class BuildState(StrEnum):
    PENDING = "pending"
    BUILDING = "building"
    BUILT = "built"
    FAILED = "build failed"


class RevisionState(StrEnum):
    """`active` serves now; `replaced` did; `failed` never did, or was rolled back; `cancelled` by a person."""

    PENDING = "pending"
    ACTIVE = "active"
    REPLACED = "replaced"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Batching(StrEnum):
    """Whether requests that wait together share a call of the model; `auto`: where it is known and tried to make no
    difference to any answer."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


def _batching(value: Any) -> Any:
    """Older responses and clients have a boolean: whether it was allowed."""
    return {True: Batching.AUTO, False: Batching.OFF}[value] if isinstance(value, bool) else value


BatchingField = Annotated[Batching, BeforeValidator(_batching)]


class EnvironmentVariable(Schema):
    """A variable of the replicas' environment. The value of a secret one is never shown again."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)
    value: str | None = Field(default=None, max_length=30_000)
    secret: bool = False


class DeploymentCreate(RequestSchema):
    """Serves a version of a registered model from a project. Either `version` or `alias` selects the version."""

    name: str = Field(pattern=_NAME, description="Lowercase letters, digits and hyphens, at most 63")
    project: str
    registry: str | None = Field(default=None, description="Default: the registry of the project's environment")
    model: str
    version: int | None = Field(default=None, ge=1)
    alias: str | None = None
    follow_alias: bool = Field(default=False, description="Rolls to the alias's version when it moves")
    follow_rollout: Rollout | None = Field(
        default=None, description="How callers come to versions that the followed alias moves to; default: all at once"
    )
    description: str = Field(default="", max_length=10_000)
    authentication: bool = Field(default=True, description="Callers need an API key")
    replicas: int = Field(default=1, ge=1, le=MAX_REPLICAS, description="Their number, unless autoscaling finds it")
    autoscaling: Autoscaling | None = Field(default=None, description="In a cluster: it finds their number")
    gpus: int = Field(default=0, ge=0, le=MAX_GPUS, description="Of each replica, in a cluster")
    cpu: float = Field(default=1.0, gt=0, le=256, description="Threads of numerical libraries, rounded up")
    memory_bytes: int | None = Field(default=None, ge=MIN_MEMORY, description="Of each replica; default: suggested")
    environment: list[EnvironmentVariable] = Field(default=[], max_length=200)
    batching: BatchingField = Field(
        default=Batching.AUTO,
        description="Whether requests that wait together share a call; auto: where no answer can differ by it",
    )
    strict_json: bool = Field(default=False, description="NaN and infinities are answered as null, not as MLflow does")
    own_port: bool = Field(default=False, description="Also answers on a port of its own")
    comment: str = Field(default="", max_length=10_000)

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        if self.autoscaling is not None and self.replicas != 1:
            raise ValueError("give either replicas, or autoscaling")
        return self


class DeploymentUpdate(ChangeSchema):
    """Fields that are None stay unchanged.

    A change of version, resources or environment starts new replicas before old ones go. Given environment variables
    replace all; a secret one without a value keeps its value.
    """

    ABOUT_IT: ClassVar[frozenset[str]] = frozenset({"comment"})

    version: int | None = Field(default=None, ge=1)
    alias: str | None = None
    follow_alias: bool | None = None
    follow_rollout: Rollout | None = Field(
        default=None, description="How callers come to versions that the followed alias moves to, from now on"
    )
    description: str | None = Field(default=None, max_length=10_000)
    authentication: bool | None = None
    replicas: int | None = Field(default=None, ge=1, le=MAX_REPLICAS, description="A fixed number from now on")
    autoscaling: AutoscalingChange | None = Field(
        default=None, description="The cluster finds their number from now on"
    )
    gpus: int | None = Field(default=None, ge=0, le=MAX_GPUS)
    cpu: float | None = Field(default=None, gt=0, le=256)
    memory_bytes: int | None = Field(default=None, ge=MIN_MEMORY)
    environment: list[EnvironmentVariable] | None = Field(default=None, max_length=200)
    batching: BatchingField | None = None
    strict_json: bool | None = None
    rollout: Rollout | None = Field(default=None, description="How callers come to it; default: all at once")
    comment: str = Field(default="", max_length=10_000)

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        if self.autoscaling is not None and self.replicas is not None:
            raise ValueError("give either replicas, or autoscaling")
        return self


class Traffic(Schema):
    """Requests through the gateway: totals since it was deployed; rate (1/s), error rate and latencies (s) of the last
    minute. `seconds` has [time, requests, failures, p95] of each of the last 300 seconds that had any."""

    requests: int = 0
    failures: int = 0
    per_second: float = 0.0
    error_rate: float = 0.0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    retries: int = 0
    by_status: dict[str, int] = {}
    by_replica: dict[str, int] = {}
    seconds: list[tuple[int, int, int, float | None]] = []


class ReplicaState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    FAILED = "failed"


class ReplicaStatus(Schema):
    """One process that serves."""

    name: str
    index: int
    revision: int
    version: int
    state: ReplicaState
    #: Why it is not ready, or why it was restarted last.
    detail: str = ""
    pid: int | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int
    restarts: int = 0
    uptime_seconds: float | None = None
    requests: int = 0


class Revision(Schema):
    """One setting of a deployment, numbered from 1, with its build."""

    number: int
    version: int
    alias: str | None = None
    #: With autoscaling the least.
    replicas: int
    autoscaling: KeptAutoscaling | None = None
    gpus: int = 0
    cpu: float
    memory_bytes: int
    environment: list[EnvironmentVariable] = []
    batching: BatchingField
    strict_json: bool = False
    comment: str
    creator: str
    created_at: datetime
    state: RevisionState
    #: Why it failed.
    error: str = ""
    build: BuildState
    #: Which environment its replicas run in: `platform`, or the key of one made from the model's requirements.
    python_environment: str = ""
    build_seconds: float | None = None
    workflow_id: str | None = None


class Deployment(Schema):
    """A version of a registered model, served from a project."""

    id: str
    name: str
    description: str
    project_id: str
    project_name: str
    workspace_name: str
    environment_name: str
    #: Where its replicas run: that of its environment.
    backend: BackendKind = BackendKind.LOCAL
    registry_id: str
    registry_name: str | None = None
    model_name: str
    version: int
    alias: str | None = None
    follow_alias: bool = False
    #: How callers come to versions that the alias moves to; None: all at once.
    follow_rollout: KeptRollout | None = None
    state: DeploymentState
    #: Why it failed, or why the last change was rolled back.
    reason: str = ""
    revision: int
    #: With autoscaling those that the cluster runs now.
    replicas_wanted: int
    replicas_ready: int = 0
    #: How a cluster finds their number; None where it is fixed.
    autoscaling: KeptAutoscaling | None = None
    #: Of each replica.
    gpus: int = 0
    cpu: float
    #: Of each replica: its limit; and the memory that all use now.
    memory_bytes: int
    memory_used_bytes: int = 0
    batching: Batching = Batching.AUTO
    #: Whether requests share calls now, and why; empty while no replica has decided.
    batching_decision: str = ""
    strict_json: bool = False
    #: Where replicas read the model's files: from its registry's NFS, or from this machine, and why; empty where the
    #: registry has no NFS.
    model_files: str = ""
    authentication: bool
    access_key: str
    #: Where callers `POST` `{"accessKey": …, "request": …}`, and the base of MLflow's protocol (`/invocations`, …).
    model_url: str
    endpoint_url: str
    port: int | None = None
    #: Why that port is not open.
    port_error: str = ""
    creator: str
    created_at: datetime
    updated_at: datetime
    workflow_id: str | None = None
    traffic: Traffic = Traffic()
    #: The version that is tried on callers' requests now.
    canary: Canary | None = None

    def among(self, history: Sequence[Revision]) -> Revision:
        """The revision that serves; of one that never did, the newest, which comes first."""
        return next((each for each in history if each.number == self.revision), history[0])


class ServedState(StrEnum):
    """The state of a deployment at a time."""

    NOT_YET = "not deployed yet"
    SERVING = "serving"
    ROLLING_OUT = "rolling out"
    STOPPED = "not serving"
    DELETED = "deleted"


class Served(Schema):
    """A version that a deployment served, or was to serve, for a while; names stay after deletion."""

    revision: int
    model_name: str
    version: int
    alias: str | None = None
    #: The person who deployed it, and the one who moved the alias to it, if known.
    let_by: str
    alias_moved_by: str | None = None
    comment: str = ""
    #: When it was requested, and when callers began and stopped reaching it.
    asked_at: datetime
    began_at: datetime | None = None
    ended_at: datetime | None = None
    #: The reason for its end, and the person who ended it.
    end: str = ""
    ended_by: str = ""


class ServedAt(Schema):
    """The version that a deployment served at a time; during a rollout, `rolling_out` is the next one."""

    deployment_id: str
    deployment_name: str
    project_name: str
    time: datetime
    state: ServedState
    serving: Served | None = None
    rolling_out: Served | None = None
    before: Served | None = None
    after: Served | None = None
    deleted_at: datetime | None = None
    #: Empty if deleted with its project.
    deleted_by: str = ""


class SuggestedRequest(Schema):
    """A request in one of an endpoint's protocols: JSON text for a path of the endpoint."""

    protocol: str
    path: str
    body: str


class DeploymentSuggestion(Schema):
    """The Deploy form's suggestions, from the version."""

    name: str
    description: str
    memory_bytes: int
    #: Where it would run: for a cluster, this machine's memory does not count.
    backend: BackendKind = BackendKind.LOCAL
    #: Bytes of memory that this machine has, and that deployments may still claim.
    machine_memory_bytes: int
    free_memory_bytes: int
    machine_cpus: int
    signature: dict[str, Any] | None = None
    #: A request as JSON text, from the model's input example or else its signature.
    example: str = ""
    example_from: str = ""
    #: Whether it is the one that the model was logged with.
    example_is_logged: bool = False
    #: For a deployment with ready replicas: a request for each protocol with an example in its description.
    requests: list[SuggestedRequest] = []
    requirements: list[str] = []
    warnings: list[str] = []
    #: Why the version cannot be deployed; None when it can.
    not_servable_reason: str | None = None


class TestRequest(RequestSchema):
    """A request to try: JSON text as a caller would send it to a path of the endpoint."""

    __test__ = False  # no test of pytest's

    body: str = Field(max_length=900_000)
    content_type: str = "application/json"
    path: str = Field(default="/invocations", max_length=600)


class TestAnswer(Schema):
    """A deployment's response; `body` is the replica's response as text."""

    __test__ = False

    status: int
    seconds: float
    replica: str
    body: str
    curl: str
    python: str


class ReplicaLogFile(Schema):
    """A log that a deployment has: of one replica, over all its restarts, also when it is gone."""

    #: The replica's generation and number, `2-0`.
    name: str
    version: int
    size_bytes: int
    updated_at: datetime
    #: Whether the replica is there.
    serving: bool


class ReplicaLog(Schema):
    """Lines of a replica's log, oldest first; `next_offset` is where the next ones begin."""

    lines: list[str]
    next_offset: int


class KeyLimits(RequestSchema):
    """Limits of an API key for all deployments together. None: unlimited."""

    per_second: float | None = Field(default=None, ge=0.001, le=1_000_000, description="Requests a second")
    burst: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Requests at once; default: those of a second, at least 1"
    )
    per_day: int | None = Field(default=None, ge=1, le=10**12, description="Requests of a day (UTC)")
    per_month: int | None = Field(default=None, ge=1, le=10**12, description="Requests of a month (UTC)")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.burst is not None and self.per_second is None:
            raise ValueError("burst is of a rate: give per_second too")
        return self

    @property
    def at_once(self) -> int:
        """Requests at once; 0 without a rate."""
        return 0 if self.per_second is None else self.burst or max(1, math.ceil(self.per_second))

    def __bool__(self) -> bool:
        return any(each is not None for each in (self.per_second, self.per_day, self.per_month))


class ApiKeyCreate(RequestSchema):
    name: str = Field(min_length=1, max_length=200)
    #: Default: one year from now.
    expires_at: datetime | None = None
    #: The same in days from now, so that a request that is sent again is the same request.
    days: int | None = Field(default=None, ge=1, le=3650)
    limits: KeyLimits = KeyLimits()


class ApiKey(Schema):
    """An API key without its secret."""

    id: str
    name: str
    owner: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    limits: KeyLimits = KeyLimits()
    #: The person who set them; empty for the owner.
    limits_by: str = ""
    #: Requests of this day and month (UTC), where limits are set.
    used_today: int = 0
    used_this_month: int = 0


class NewApiKey(Schema):
    """The only response with the key itself."""

    api_key: ApiKey
    key: str
