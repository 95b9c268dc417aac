"""Steps that several kinds of workflow have in common."""

from __future__ import annotations

from registry_tui.service.adapters import vacuum
from registry_tui.service.engine.steps import StepContext
from registry_tui.service.errors import PartUnavailable

#: When the object store gives back by itself what was deleted.
LATER = "the disk gets them back within a quarter of an hour"


def give_back(context: StepContext, deleted: int) -> None:
    """Compacts the store after bytes were deleted, and logs what the disk got back and what is still to come."""
    if not deleted:
        context.log("nothing to give back to the disk")
        return
    try:
        freed = vacuum.reclaim(context.service.home, context.service.ports, deleted)
    except PartUnavailable as error:
        context.log(f"{error.detail}; {LATER}", "warning")
        return
    context.log(f"{freed} bytes of the disk are free again")
    if freed < deleted:
        context.log(f"{deleted - freed} more bytes lie in volumes that are in use; {LATER}")
