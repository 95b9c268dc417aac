"""Converts calls of MLflow's deployments API to requests to the service, and errors to MLflow's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import unquote

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    NOT_IMPLEMENTED,
    PERMISSION_DENIED,
    RESOURCE_CONFLICT,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)
from pydantic import Field, ValidationError

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import Conflict, InvalidName, NotFound, Refused, ServiceUnavailable, WrongInput
from registry_tui.platform.errors import PlatformError
from registry_tui.schemas.base import RequestSchema
from registry_tui.schemas.deployments import (
    BatchingField,
    DeploymentCreate,
    DeploymentUpdate,
    EnvironmentVariable,
    TestRequest,
)
from registry_tui.schemas.stages import Stage
from registry_tui.wording import words
from registry_tui.wording.mistakes import mistakes

#: Every deployment serves a model by its functions in Python.
FLAVOR: Final = "python_function"
#: Before the name of a variable of the replicas in `-C env.NAME=VALUE`.
_VARIABLE: Final = "env."
_PROJECT_VARIABLE: Final = "REGISTRY_TUI_PROJECT"
#: Keys of MLflow's scoring protocol.
_PROTOCOL: Final = frozenset({"dataframe_split", "dataframe_records", "instances", "inputs", "params"})

HELP: Final = f"""\
Deploys versions of registered models to a registry-tui platform.

Targets:
  registry-tui            the service that the command line works with: the context that was chosen with
                          `registry-tui login` or `contexts use`, REGISTRY_TUI_CONTEXT, or a home of this machine
                          (REGISTRY_TUI_HOME)
  registry-tui:/CONTEXT   a context of `registry-tui contexts list`; `local` is this machine's

Models: models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/STAGE (MLflow's stages too), models:/NAME/latest.
A model of a run is registered first.

Settings (-C NAME=VALUE, or a dict in Python):
  project       project to deploy from, for `create`; default: {_PROJECT_VARIABLE}
  registry      Model Registry, for `create`; default: the project's
  follow        true: rolls to the alias's version when it moves; with models:/NAME@ALIAS
  replicas, cpu, memory (512M, 2G), authentication, batching, strict_json, own_port, description, comment
  min_replicas, max_replicas, target_requests, gpus
                of deployments in a Ray cluster
  env.NAME      a variable of the replicas; those of `update` replace all. It is shown to whoever sees the
                deployment: `registry-tui deployments update --secret-env` sets one that is never shown
  wait          false: only starts the work

Every deployment has an endpoint of its own, with the same name. `predict` sends one request as you;
programs call the `endpoint_url` that `get` shows, with a key of `registry-tui keys create`.
"""


@dataclass(frozen=True)
class Model:
    """A registered model's name, and which version of it: its number, alias or stage, or `latest`."""

    name: str
    version: str
    alias: str | None = None


@dataclass(frozen=True)
class Chosen:
    """The version to serve; neither leaves it as it is."""

    version: int | None = None
    alias: str | None = None


class Options(RequestSchema):
    """The settings of one call; None keeps the default, or the current value."""

    project: str | None = None
    registry: str | None = None
    follow: bool | None = None
    replicas: int | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    target_requests: float | None = None
    gpus: int | None = None
    cpu: float | None = None
    memory: str | None = None
    authentication: bool | None = None
    batching: BatchingField | None = None
    strict_json: bool | None = None
    own_port: bool | None = None
    description: str | None = None
    comment: str | None = None
    wait: bool = True
    environment: list[EnvironmentVariable] | None = Field(default=None)

    @classmethod
    def read(cls, config: Mapping[str, Any] | None) -> Self:
        """The settings of `-C NAME=VALUE` or a dict. Raises MlflowException."""
        given: dict[str, Any] = dict(config or {})
        if unknown := given.keys() & {"environment"}:
            raise wrong(f"The plugin takes no setting {', '.join(unknown)}: give variables as `env.NAME=VALUE`")
        variables = {key: given.pop(key) for key in list(given) if key.startswith(_VARIABLE)}
        if variables:
            given["environment"] = [
                {"name": key.removeprefix(_VARIABLE), "value": str(value)} for key, value in variables.items()
            ]
        if isinstance(given.get("memory"), int):
            given["memory"] = str(given["memory"])
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise _refused(error) from error

    def project_or_default(self) -> str:
        """The project to deploy from. Raises MlflowException."""
        if found := self.project or os.environ.get(_PROJECT_VARIABLE):
            return found
        raise wrong(f"Say from which project to deploy: `-C project=NAME`, or the variable {_PROJECT_VARIABLE}")

    def require_unchanged(self) -> None:
        """Raises MlflowException for settings that a deployment keeps for its whole life."""
        for name in ("project", "registry", "own_port"):
            if getattr(self, name) is not None:
                raise wrong(f"`{name}` cannot change: create another deployment")

    def require_only(self, name: str) -> None:
        """Raises MlflowException for any other setting."""
        if others := self.model_fields_set - {name}:
            raise wrong(f"The plugin takes no setting {', '.join(sorted(others))} here, only `{name}`")

    def creation(self, name: str, project: str, model: str, chosen: Chosen) -> DeploymentCreate:
        """The request for a new deployment. Raises MlflowException."""
        fields = {"name": name, "project": project, "registry": self.registry, "model": model}
        try:
            return DeploymentCreate.model_validate({**fields, **self._fields(chosen)})
        except ValidationError as error:
            raise _refused(error) from error

    def change(self, chosen: Chosen) -> DeploymentUpdate:
        """The request for a change. Raises MlflowException."""
        try:
            return DeploymentUpdate.model_validate(self._fields(chosen))
        except ValidationError as error:
            raise _refused(error) from error

    def _fields(self, chosen: Chosen) -> dict[str, Any]:
        scaling = {name: getattr(self, name) for name in ("min_replicas", "max_replicas", "target_requests")}
        scaling = {name: value for name, value in scaling.items() if value is not None}
        own = (
            "replicas",
            "gpus",
            "cpu",
            "authentication",
            "batching",
            "strict_json",
            "own_port",
            "description",
            "comment",
        )
        fields = {
            **{name: getattr(self, name) for name in own},
            "autoscaling": scaling or None,
            "environment": self.environment,
            "follow_alias": self.follow,
            "memory_bytes": self._memory_bytes(),
            "version": chosen.version,
            "alias": chosen.alias,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _memory_bytes(self) -> int | None:
        try:
            return None if self.memory is None else words.parse_size(self.memory)
        except ValueError as error:
            raise wrong(f"memory: {error}") from error


def read_model(uri: str) -> Model:
    """The registered model that a URI names. Raises MlflowException."""
    rest = uri.removeprefix("models:/").strip("/")
    if not uri.startswith("models:/") or not rest:
        raise wrong(
            f"{uri!r} does not name a registered model: register it first "
            "(`mlflow.register_model`, `registry-tui models register`), then give models:/NAME/VERSION or "
            "models:/NAME@ALIAS"
        )
    name, _, version = rest.partition("/")
    if not version:
        name, _, alias = rest.rpartition("@")
        if name and alias:
            return Model(unquote(name), "", alias)
    if not name or not version or "/" in version:
        raise wrong(f"{uri!r} does not say which version: models:/NAME/VERSION or models:/NAME@ALIAS")
    return Model(unquote(name), version)


async def found_version(client: RegistryClient, model: Model, project: str, registry: str | None) -> Chosen:
    """The version that a URI names now. Raises MlflowException, RegistryError."""
    if model.alias is not None:
        return Chosen(alias=model.alias)
    if model.version.isdecimal():
        return Chosen(version=int(model.version))
    registry = registry or (await client.project(project)).registry_id
    if registry is None:
        raise wrong(f"The project {project} has no Model Registry: `registry-tui registries synchronize REGISTRY`")
    stage = _stage(model.version)
    # Newest first.
    async for each in client.every(client.versions, registry, model.name):
        if stage is None or each.stage is stage:
            return Chosen(version=each.version)
    raise MlflowException(
        f"No version of {model.name} is in the stage {model.version}", error_code=RESOURCE_DOES_NOT_EXIST
    )


def _stage(word: str) -> Stage | None:
    """A stage by our name or MLflow's, in any case as MLflow takes them; None for `latest`."""
    names = {each.value.lower(): each for each in Stage} | {"staging": Stage.PRE_PRODUCTION}
    if word.lower() == "latest":
        return None
    if word.lower() not in names:
        raise wrong(f"{word!r} is neither the number of a version nor a stage: {', '.join(Stage)}, or `latest`")
    return names[word.lower()]


def prediction(inputs: Any) -> TestRequest:
    """A request in MLflow's scoring protocol. Raises MlflowException."""
    try:
        # pandas is not imported here: callers with a frame have imported it.
        if hasattr(inputs, "to_frame") and not hasattr(inputs, "columns"):
            inputs = inputs.to_frame()
        if hasattr(inputs, "to_json") and hasattr(inputs, "columns"):
            split = json.loads(inputs.to_json(orient="split", date_format="iso", double_precision=15))
            return TestRequest(body=json.dumps({"dataframe_split": {k: split[k] for k in ("columns", "data")}}))
        if hasattr(inputs, "tolist"):
            inputs = inputs.tolist()
        body = inputs if isinstance(inputs, dict) and inputs.keys() & _PROTOCOL else {"inputs": inputs}
        return TestRequest(body=json.dumps(body))
    except ValidationError as error:
        raise wrong(
            "The request is too large to be tried here: send it to the deployment's `endpoint_url` with an API key"
        ) from error
    except (TypeError, ValueError) as error:
        raise wrong(f"The inputs cannot be written as JSON: {error}") from error


def require_flavor(flavor: str | None) -> None:
    """Raises MlflowException for another flavor."""
    if flavor not in (None, FLAVOR):
        raise unsupported(f"models are served by their {FLAVOR} flavor: leave `flavor` out")


def wrong(message: str) -> MlflowException:
    """The error of a call that cannot be carried out as it is."""
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)


def unsupported(reason: str) -> MlflowException:
    """The error of a call that there is not, with the reason."""
    return MlflowException(f"registry-tui does not offer this call: {reason}", error_code=NOT_IMPLEMENTED)


#: MLflow's code for each error of the client, the more special ones first.
_CODES = (
    (NotFound, RESOURCE_DOES_NOT_EXIST),
    (Refused, PERMISSION_DENIED),
    (Conflict, RESOURCE_CONFLICT),
    (WrongInput, INVALID_PARAMETER_VALUE),
    (InvalidName, INVALID_PARAMETER_VALUE),
    (PlatformError, INVALID_PARAMETER_VALUE),
    (ServiceUnavailable, TEMPORARILY_UNAVAILABLE),
)


def as_mlflow(error: Exception) -> MlflowException:
    """An error of the client or the contexts, with the remedy."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), INTERNAL_ERROR)
    action = getattr(error, "action", None)
    return MlflowException(f"{error}. {action}" if action else str(error), error_code=code)


def _refused(error: ValidationError) -> MlflowException:
    return wrong(f"The settings are wrong: {'; '.join(mistakes(error))}")
