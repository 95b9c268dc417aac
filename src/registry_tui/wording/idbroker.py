"""IDBroker mappings in words, for the screens and the command line."""

from __future__ import annotations

from registry_tui.schemas.idbroker import IdBrokerMapping, IdBrokerMappings, IdBrokerSyncStatus, SyncStatus
from registry_tui.wording.words import absolute

_WORDS = {
    SyncStatus.NEVER_RUN: "never synchronized",
    SyncStatus.REQUESTED: "waits for a synchronization that is under way",
    SyncStatus.REJECTED: "the synchronization was rejected",
    SyncStatus.RUNNING: "is being synchronized",
    SyncStatus.COMPLETED: "synchronized",
    SyncStatus.FAILED: "the synchronization failed",
    SyncStatus.TIMEDOUT: "the synchronization took too long",
}


def as_lines(mappings: IdBrokerMappings) -> str:
    """One mapping a line: a CRN, with ` = ` and its role unless that is the Data Access Role."""
    return "\n".join(
        each.accessor_crn if each.role == mappings.data_access_role else f"{each.accessor_crn} = {each.role}"
        for each in mappings.mappings
    )


def parsed(text: str, data_access_role: str) -> list[IdBrokerMapping]:
    """The mappings in lines: `CRN = role`, or a CRN alone for the Data Access Role."""
    found = []
    for line in text.splitlines():
        crn, _, role = line.partition("=")
        if line.strip():
            found.append(IdBrokerMapping(accessor_crn=crn.strip(), role=role.strip() or data_access_role))
    return found


def synchronized(status: IdBrokerSyncStatus) -> str:
    """How the last synchronization went, with its error, and whether mappings were changed since."""
    runs = list(status.statuses.values())
    words = _WORDS[status.global_status]
    if status.global_status is SyncStatus.COMPLETED and runs and runs[0].end_date is not None:
        words = f"{words} {absolute(runs[0].end_date)}"
    words = f"{words} ({status.global_status.value})"
    if status.sync_needed:
        words = f"{words}, changes have no effect yet"
    errors = [each.error_detail for each in runs if each.error_detail]
    return f"{words[:1].upper()}{words[1:]}{': ' if errors else ''}{'; '.join(errors)}"
