"""A metric's curve as a chart's series, asked of the service for the part of x that is shown."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from registry_tui.widgets.plotting import Series
from registry_tui.widgets.text import safe

if TYPE_CHECKING:
    from registry_tui.client.client import RegistryClient
    from registry_tui.schemas.tracking import MetricCurve

#: Buckets of x that are asked for: more than a wide terminal has dots.
BUCKETS = 1000


async def read_curve(
    client: RegistryClient,
    project: str,
    run: str,
    metric: str,
    *,
    name: str,
    by_time: bool = False,
    began: float | None = None,
    window: tuple[float, float] | None = None,
) -> tuple[Series, MetricCurve]:
    """The series over steps, or over seconds since `began` (its own first point's time when None)."""
    low, high = window if window is not None else (None, None)
    if by_time and low is not None and high is not None and began is not None:
        low, high = (low + began) * 1000, (high + began) * 1000
    curve = await client.metric_curve(
        project, run, metric, points=BUCKETS, x="time" if by_time else "step", low=low, high=high
    )
    if began is None:
        began = 0.0 if curve.began_at is None else curve.began_at.timestamp()
    xs = array("d", [point.timestamp.timestamp() - began if by_time else float(point.step) for point in curve.points])
    series = Series(safe(name, 60), xs, array("d", [point.value for point in curve.points]), curve.not_finite)
    return series, curve
