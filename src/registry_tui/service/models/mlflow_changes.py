"""Changes of aliases and stages that MLflow's server is asked for: it asks here whether they may pass."""

from __future__ import annotations

from dataclasses import dataclass

from registry_tui.schemas.stages import from_mlflow
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.errors import Missing, NotPermitted
from registry_tui.service.models import promoting
from registry_tui.service.promotion import admission, stages


@dataclass(frozen=True)
class Change:
    """What a person asks MLflow's server for, with what that server knows of the model and the version."""

    registry_id: str
    user: str
    owner: str
    creator: str
    alias: str
    model_id: str
    version_id: str
    name: str
    #: MLflow's stages.
    before: str
    after: str


def handle(service: Service, principal: Principal, what: str, change: Change) -> None:
    """Checks `alias` and `stage`; keeps what was done for `staged` and `deleted`.

    Raises NotPermitted, WrongState, Missing for anything else.
    """
    if not principal.administrator:
        raise NotPermitted("Only MLflow's server of this installation asks this")
    person = identity.acting_principal(service, change.user, principal.request_id)
    with service.database.session() as session:
        if what == "alias":
            admission.check_alias(session, person, change.registry_id, change.owner, change.alias)
        elif what == "stage":
            before, after = from_mlflow(change.before), from_mlflow(change.after)
            admission.check_stage(
                session,
                person,
                change.registry_id,
                change.version_id,
                before,
                after,
                owner=change.owner,
                creator=change.creator,
            )
        elif what == "deleted":
            stages.forget(session, change.model_id, change.version_id or None)
        elif what != "staged":
            raise Missing(f"There is no question {what!r}")
    if what == "staged":
        ids = (change.model_id, change.version_id, change.name)
        promoting.note_from_mlflow(service, person, change.registry_id, ids, change.before, change.after)
