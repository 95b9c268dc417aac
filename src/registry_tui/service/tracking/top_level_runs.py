"""Runs that are at the top of a tree: those not nested, then nested ones whose parent the list does not have."""

from __future__ import annotations

from collections.abc import Sequence

from registry_tui.schemas.base import Page
from registry_tui.schemas.mlflow_tags import PARENT_RUN
from registry_tui.schemas.tracking import Run, RunSearch
from registry_tui.service.adapters import mlflow_words
from registry_tui.service.core import paging
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.tracking import runs
from registry_tui.service.tracking.project import enter_project
from registry_tui.service.tracking.server import server_of

#: The tag that names a nested run's parent (`mlflow.utils.mlflow_tags.MLFLOW_PARENT_RUN_ID`).
#: How a token of the second part begins; the rest is MLflow's, behind the number of pages before.
_SECOND = "nested:"
#: Pages of nested runs, and runs in each, that are searched for those without their parent.
_PAGES, _RUNS = 5, 200


def top_level_runs(service: Service, principal: Principal, project: str, request: RunSearch) -> Page[Run]:
    """One page. A parent is missing when it is deleted or the filter leaves it out. Raises as `search_runs`."""
    token = request.page_token or ""
    if not server_of(service, enter_project(service, principal, project)).abilities.null_filters:
        return _looked_at(service, principal, project, request)
    if token.startswith(_SECOND):
        return _without_parent(service, principal, project, request, token.removeprefix(_SECOND))
    page = _ask(service, principal, project, request, "IS NULL", page_token=request.page_token)
    if page.next_page_token is not None:
        return page
    rest = _without_parent(service, principal, project, request, "0:")
    return Page(items=[*page.items, *rest.items], next_page_token=rest.next_page_token)


def _without_parent(service: Service, principal: Principal, project: str, request: RunSearch, token: str) -> Page[Run]:
    """The nested runs of one page whose parents are not found with the same filter."""
    number, _, given = token.partition(":")
    if not number.isdigit() or len(number) > 2:
        raise paging.wrong_token()
    page = _ask(service, principal, project, request, "IS NOT NULL", page_size=_RUNS, page_token=given or None)
    items = _orphans(service, principal, project, request, page.items)
    following = page.next_page_token if int(number) + 1 < _PAGES else None
    return Page(items=items, next_page_token=following and f"{_SECOND}{int(number) + 1}:{following}")


def _looked_at(service: Service, principal: Principal, project: str, request: RunSearch) -> Page[Run]:
    """A page of a server that cannot filter by missing tags: nested runs are taken out of it here, so it is shorter."""
    page = runs.search_runs(service, principal, project, request)
    nested = [run for run in page.items if run.tags.get(PARENT_RUN)]
    orphans = {run.id for run in _orphans(service, principal, project, request, nested)}
    items = [run for run in page.items if not run.tags.get(PARENT_RUN) or run.id in orphans]
    return Page(items=items, next_page_token=page.next_page_token)


def _orphans(
    service: Service, principal: Principal, project: str, request: RunSearch, nested: Sequence[Run]
) -> list[Run]:
    """Those of nested runs whose parents are not found with the same filter."""
    wanted = sorted({run.tags[PARENT_RUN] for run in nested})
    if not wanted:
        return []
    named = ", ".join(mlflow_words.quoted(each) for each in wanted)
    search = RunSearch(
        experiment_ids=request.experiment_ids,
        filter=_joined(request.filter, f"attributes.run_id IN ({named})"),
        deleted=request.deleted,
        page_size=len(wanted),
    )
    there = {run.id for run in runs.search_runs(service, principal, project, search).items}
    return [run for run in nested if run.tags[PARENT_RUN] not in there]


def _ask(
    service: Service, principal: Principal, project: str, request: RunSearch, parent: str, **changed: object
) -> Page[Run]:
    changed = {"filter": _joined(request.filter, f"tags.`{PARENT_RUN}` {parent}"), "top_level": False, **changed}
    return runs.search_runs(service, principal, project, request.model_copy(update=changed))


def _joined(filter_: str, more: str) -> str:
    return f"{filter_} and {more}" if filter_.strip() else more
