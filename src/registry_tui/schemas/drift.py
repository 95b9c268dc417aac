"""Drift: profiles of versions' training data, and how far a deployment's requests and answers are from them."""

from __future__ import annotations

import math
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from registry_tui.schemas.base import RequestSchema, Schema

#: Values of a column that a profile has at most.
_MOST = 2_000
_Share = Annotated[float, Field(ge=0, le=1)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class Side(StrEnum):
    """Whether a column is one of requests or of answers."""

    INPUT = "input"
    OUTPUT = "output"


class ProfiledColumn(RequestSchema):
    """A column's distribution in the training data, as `contracts.profiles.ColumnProfile`."""

    side: Side = Side.INPUT
    name: str = Field(min_length=1, max_length=500)
    numeric: bool
    count: int = Field(ge=1, le=2**53)
    missing: int = Field(default=0, ge=0, le=2**53)
    shares: list[_Share] = Field(min_length=1, max_length=_MOST)
    edges: list[_Number] = Field(default=[], max_length=_MOST)
    points: list[_Number] = Field(default=[], max_length=_MOST)
    categories: list[Annotated[str, Field(max_length=200)]] = Field(default=[], max_length=_MOST)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        bins = len(self.edges) if self.numeric else len(self.categories)
        if len(self.shares) != bins + 1:
            raise ValueError("shares has one more entry than edges, or than categories")
        if not math.isclose(sum(self.shares), 1.0, abs_tol=1e-6):
            raise ValueError("the shares add up to 1")
        if self.numeric and (not self.points or self.edges != sorted(self.edges) or self.points != sorted(self.points)):
            raise ValueError("a numeric column has points, and points and edges rise")
        return self


class ProfileChange(RequestSchema):
    """A profile of the data that a version was trained with."""

    source: str = Field(min_length=1, max_length=1000, description="What it was made from, for people")
    rows: int = Field(ge=1, le=2**53)
    columns: list[ProfiledColumn] = Field(min_length=1, max_length=2000)


class VersionProfile(Schema):
    """The profile that a version's requests are compared with."""

    version_id: str
    source: str
    rows: int
    columns: list[ProfiledColumn]
    author: str
    made_at: datetime


class DriftRules(RequestSchema):
    """Which requests are compared, from which distance on a column drifts, and whether drift is reported."""

    max_psi: float | None = Field(default=0.25, gt=0, le=100, description="None: PSI is shown, and decides nothing")
    max_ks: float | None = Field(default=None, gt=0, le=1, description="None: KS is shown, and decides nothing")
    hours: float = Field(default=24.0, gt=0, le=24 * 366, description="The window: requests of so many hours")
    requests: int = Field(default=5_000, ge=1, le=50_000, description="… and so many at most, the newest")
    min_rows: int = Field(default=100, ge=1, le=10**9, description="With fewer rows nothing drifts")
    watch: bool = Field(
        default=False, description="Writes an event and sends it to webhooks when drift begins and ends"
    )


class ColumnDrift(Schema):
    """How far a column is from the training data. `expected` and `actual` are the shares of the bins of `labels`."""

    side: Side
    name: str
    numeric: bool
    drifted: bool
    psi: float
    ks: float | None = None
    #: How likely so large a `ks` is by chance.
    p_value: float | None = None
    trained: int
    count: int
    missing: int
    labels: list[str]
    expected: list[float]
    actual: list[float]
    #: The PSI of each of the answer's `slices`; None where the column has no value there.
    psi_by_slice: list[float | None] = []


class DriftSlice(Schema):
    """A part of the window: requests that follow each other, with rows enough to be judged by themselves."""

    since: datetime
    until: datetime
    rows: int


class NotCompared(Schema):
    """Requests that are not compared, and why."""

    why: str
    requests: int


class Drift(Schema):
    """A deployment's requests and answers, compared with the training data of the version that serves."""

    deployment_id: str
    deployment_name: str
    model_name: str
    version: int
    rules: DriftRules
    #: The data that the profile was made from; None if the version has no profile.
    profile_source: str | None = None
    #: The compared requests with content, their rows, and when the first and last one came.
    requests: int = 0
    rows: int = 0
    since: datetime | None = None
    until: datetime | None = None
    #: Why nothing is judged; empty where it is.
    problem: str = ""
    columns: list[ColumnDrift] = []
    #: Columns of requests and answers that the profile does not have.
    unknown: list[str] = []
    #: The window in parts, the oldest first; empty where it has rows for one part alone.
    slices: list[DriftSlice] = []
    #: The most frequent reasons why requests or their answers are not compared, for people.
    not_compared: list[NotCompared] = []

    @property
    def drifted(self) -> list[ColumnDrift]:
        """The columns that are too far away."""
        return [each for each in self.columns if each.drifted]
