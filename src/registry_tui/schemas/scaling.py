"""How a cluster finds the number of a deployment's replicas."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from registry_tui.schemas.base import RequestSchema

#: Replicas of one deployment at most.
MAX_REPLICAS = 32
#: GPUs of one replica at most.
MAX_GPUS = 64
#: Default of the requests under way in each replica. Ray Serve's own default is 2, for slow models.
TARGET_REQUESTS = 8.0
#: Requests under way in a replica at most: more would wait, which no replica more could help.
_MAX_TARGET = 256.0


class Autoscaling(RequestSchema):
    """The cluster runs as many replicas as it takes for each to have about `target_requests` under way."""

    min_replicas: int = Field(default=1, ge=1, le=MAX_REPLICAS)
    max_replicas: int = Field(ge=1, le=MAX_REPLICAS)
    target_requests: float = Field(default=TARGET_REQUESTS, ge=0.1, le=_MAX_TARGET)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas is {self.min_replicas}: max_replicas cannot be less")
        return self


class KeptAutoscaling(Autoscaling):
    """The same, as answers have it: fields of a newer service are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class AutoscalingChange(RequestSchema):
    """Another number of replicas for the cluster to choose from; fields that are None stay."""

    min_replicas: int | None = Field(default=None, ge=1, le=MAX_REPLICAS)
    max_replicas: int | None = Field(default=None, ge=1, le=MAX_REPLICAS)
    target_requests: float | None = Field(default=None, ge=0.1, le=_MAX_TARGET)
