"""Rows of forms for features of clusters only: autoscaling, and GPUs for replicas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from textual.widget import Widget
from textual.widgets import Input

from registry_tui.screens.base.form import row, whole

if TYPE_CHECKING:
    from textual.screen import Screen

    from registry_tui.schemas.scaling import Autoscaling

#: `schemas.scaling.MAX_REPLICAS` and `MAX_GPUS`, which are read once a form sends.
_MOST, _GPUS = 32, 64


def rows(autoscaling: Autoscaling | None = None, gpus: int = 0) -> Iterable[Widget]:
    """The rows, filled in with the current values."""
    most = "" if autoscaling is None else str(autoscaling.max_replicas)
    requests = "" if autoscaling is None else f"{autoscaling.target_requests:g}"
    hint = "as many; more: the cluster chooses by requests"
    yield row("Replicas at most", Input(most, compact=True, id="most", type="integer", placeholder=hint))
    hint = "8: under way, before there is one more"
    yield row("Requests in each", Input(requests, compact=True, id="target", type="number", placeholder=hint))
    yield row("GPUs of each", Input(str(gpus), compact=True, id="gpus", type="integer"))


def show_rows(form: Screen[Any], *, cluster: bool) -> None:
    """Shows the rows that have an effect now. `cluster`: whether the deployment runs in one."""
    for id_ in ("most", "gpus"):
        _row_of(form, id_).display = cluster
    _row_of(form, "target").display = cluster and bool(_text(form, "most"))


def problem(form: Screen[Any]) -> str | None:
    """The problem with the text typed in these rows; None if there is none, or if the rows have no effect."""
    least, most = whole(_text(form, "replicas")) or 0, _shown(form, "most")
    if most and not least <= (whole(most) or 0) <= _MOST:
        return f"replicas at most: a number from {least} to {_MOST}"
    try:
        if (target := _shown(form, "target")) and not 0.1 <= float(target) <= 256:
            return "requests in each: a number from 0.1 to 256"
    except ValueError:
        return "requests in each: a number from 0.1 to 256"
    if (gpus := _shown(form, "gpus")) and (whole(gpus) is None or int(gpus) > _GPUS):
        return f"GPUs: a number from 0 to {_GPUS}"
    return None


def autoscaling(form: Screen[Any]) -> Autoscaling | None:
    """How the cluster is to find the number of replicas; None where it is fixed. Call it where `problem` has none."""
    from registry_tui.schemas.scaling import Autoscaling

    most, target = _shown(form, "most"), _shown(form, "target")
    if not most:
        return None
    wanted = Autoscaling(min_replicas=int(_text(form, "replicas")), max_replicas=int(most))
    return wanted.model_copy(update={"target_requests": float(target)}) if target else wanted


def gpus(form: Screen[Any]) -> int:
    """How many GPUs each replica gets."""
    return whole(_shown(form, "gpus")) or 0


def _shown(form: Screen[Any], id_: str) -> str:
    """The text typed in a row; empty if the row has no effect."""
    return _text(form, id_) if _row_of(form, id_).display else ""


def _text(form: Screen[Any], id_: str) -> str:
    return form.query_one(f"#{id_}", Input).value.strip()


def _row_of(form: Screen[Any], id_: str) -> Widget:
    parent = form.query_one(f"#{id_}").parent
    assert isinstance(parent, Widget)
    return parent
