"""Runs grouped by a param. MLflow has no such call: only the newest ones are read, and the response states that."""

from __future__ import annotations

import math
from collections import defaultdict

from registry_tui.schemas.base import MAX_PAGE_SIZE
from registry_tui.schemas.tracking import Run, RunGroup, RunGrouping, RunGroups, RunSearch
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.tracking.runs import search_runs

#: Pages of runs that are read; MLflow needs about a second for each.
PAGES = 3


def group_runs(service: Service, principal: Principal, project: str, request: RunGrouping) -> RunGroups:
    """The groups, the largest first. Raises InvalidInput for a wrong filter, Missing, NotPermitted, PartUnavailable."""
    runs: list[Run] = []
    token: str | None = None
    for _ in range(PAGES):
        search = RunSearch(
            experiment_ids=request.experiment_ids,
            filter=request.filter,
            order_by=["attributes.start_time DESC"],
            page_size=MAX_PAGE_SIZE,
            page_token=token,
        )
        page = search_runs(service, principal, project, search)
        runs += page.items
        token = page.next_page_token
        if token is None:
            break
    return RunGroups(groups=groups_of(runs, request.param, request.metric), runs=len(runs), complete=token is None)


def groups_of(runs: list[Run], param: str, metric: str | None) -> list[RunGroup]:
    """Runs by their value of a param, the largest group first."""
    by_value: defaultdict[str | None, list[Run]] = defaultdict(list)
    for run in runs:
        by_value[run.params.get(param)].append(run)
    groups = []
    for value, members in by_value.items():
        numbers = [] if metric is None else [run.metrics[metric] for run in members if metric in run.metrics]
        finite = [number for number in numbers if math.isfinite(number)]
        groups.append(
            RunGroup(
                value=value,
                runs=len(members),
                mean=math.fsum(finite) / len(finite) if finite else None,
                lowest=min(finite, default=None),
                highest=max(finite, default=None),
            )
        )
    return sorted(groups, key=lambda group: (-group.runs, group.value is None, group.value or ""))
