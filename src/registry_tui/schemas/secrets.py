"""The platform's own secrets, which are named by their kinds and never shown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema


class SecretKind(StrEnum):
    #: The object store's keys of the administrator and of MLflow's server.
    OBJECT_STORE = "object-store"
    #: The object store's keys of Model Registries' machine users.
    MACHINE_USERS = "machine-users"
    #: The service's password on MLflow's server, and the key of its pages' sessions.
    MLFLOW = "mlflow"
    #: Everybody's password on MLflow's server.
    PEOPLE = "people"


class SecretsRotate(RequestSchema):
    """Replaces secrets by new ones."""

    kinds: list[SecretKind] = Field(default=[], max_length=10, description="Empty: all of them")


class SecretsRotated(Schema):
    """The replaced kinds of secrets: the old ones no longer work."""

    kinds: list[SecretKind]
    rotated_at: datetime
