"""The sampled request log of a deployment: its rules and its entries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema

_MIB = 1 << 20
_Columns = Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(max_length=1000)]


class RequestLogRules(RequestSchema):
    """The parts of a deployment's requests to keep from now on. Headers and secrets of API keys are never kept."""

    share: float = Field(ge=0, le=1, description="Of the requests, chosen by chance; 0 keeps none")
    days: float = Field(default=7.0, gt=0, le=366, description="How long requests are kept at most")
    max_bytes: int = Field(default=64 * _MIB, ge=_MIB, le=1 << 40, description="Then the oldest go")
    leave_out: _Columns = Field(default=[], description="Columns that are never kept; case does not matter")
    mask: _Columns = Field(default=[], description="Columns of which only is kept that they were there")


class RequestLog(Schema):
    """A deployment's rules, and the size of its log."""

    deployment_id: str
    deployment_name: str
    rules: RequestLogRules
    #: Since the deployment was made: requests that were kept, and that were dropped because the queue was full.
    kept: int
    dropped: int
    #: The current size.
    bytes: int


class LoggedRequest(Schema):
    """A logged request, with its columns if it could be parsed; otherwise `note` has the reason."""

    id: str
    at: datetime
    path: str
    status: int
    seconds: float
    replica: str
    #: The model's version that answered, and the ID of the caller's API key, empty where the deployment asks for none;
    #: None for requests that were kept before both were noted.
    version: int | None = None
    key_id: str | None = None
    #: All of the request's; at most 1,000 of each column are kept.
    rows: int | None = None
    inputs: dict[str, list[Any]] | None = None
    outputs: dict[str, list[Any]] | None = None
    note: str = ""
