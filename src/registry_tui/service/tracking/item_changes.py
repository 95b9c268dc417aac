"""One request about several items: each is changed on its own, and the response has an entry for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.tracking import ItemChange, ItemChanges, ItemProblem
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import NotPermitted, PartUnavailable, ServiceError
from registry_tui.service.tracking.project import ProjectPlace, enter_project

#: Changes the item of an ID; notes its name in the recording once it is known.
Change = Callable[[str, events.Recording], None]


def enter_to_change(service: Service, principal: Principal, project: str, action: str) -> ProjectPlace:
    """The project, when the principal may change its runs and experiments; a refusal is recorded as an event.

    Raises Missing, InvalidInput, NotPermitted.
    """
    try:
        return enter_project(service, principal, project, Action.TRACKING_CHANGE)
    except NotPermitted:
        with events.recording(service, principal, action, Resource("project", project, project)):
            raise


def change_each(
    service: Service, principal: Principal, action: str, resource: Resource, ids: Iterable[str], change: Change
) -> ItemChanges:
    """Changes each item once, with an event of its own; a failed one does not prevent the others.

    `resource` names the kind of item, and the registry that its events belong to. Raises PartUnavailable when nothing
    was changed before, so that the whole request can be sent again.
    """
    done: list[ItemChange] = []
    for id_ in dict.fromkeys(ids):
        name, problem = "", None
        try:
            blank = Resource(resource.type, id_, id_, resource.registry_id)
            with events.recording(service, principal, action, blank) as event:
                try:
                    change(id_, event)
                finally:
                    name = "" if event.resource is blank else event.resource.name
        except ServiceError as error:
            if isinstance(error, PartUnavailable) and all(each.problem is not None for each in done):
                raise
            problem = ItemProblem(code=error.code, detail=error.detail, action=error.action)
        done.append(ItemChange(id=id_, name=name, problem=problem))
    return ItemChanges(items=done)
