"""Changes of aliases and stages through MLflow's server, which checks here whether they are allowed."""

from __future__ import annotations

from dataclasses import dataclass

from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.stages import from_mlflow
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import Missing, NotPermitted
from registry_tui.service.models import boms, cards, profiles, promoting, renaming, scans
from registry_tui.service.models.changes import changed
from registry_tui.service.models.registered import alias_detail
from registry_tui.service.promotion import admission, stages

#: The events about aliases moved or removed by MLflow's own calls.
_ALIASES = {"aliased": "model.set-alias", "unaliased": "model.delete-alias"}


@dataclass(frozen=True)
class Change:
    """A person's request to MLflow's server, with the server's facts about the model and the version."""

    registry_id: str
    user: str
    owner: str
    creator: str
    alias: str
    model_id: str
    version_id: str
    name: str
    #: MLflow's stages; of an alias, the number of the version that it names then; of a model, its previous name.
    before: str
    after: str


def handle(service: Service, principal: Principal, what: str, change: Change) -> None:
    """Checks `alias` and `stage`; records `staged`, `aliased`, `unaliased`, `renamed` and `deleted`.

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
            boms.forget(session, change.model_id, change.version_id or None)
            cards.forget(session, change.model_id, change.version_id or None)
            profiles.forget(session, change.model_id, change.version_id or None)
            stages.forget(session, change.model_id, change.version_id or None)
        elif what == "renamed":
            # MLflow's word for no stage stands where nothing is given.
            known_as = "" if change.before == "None" else change.before
            renaming.rename(session, change.registry_id, change.model_id, known_as, change.name)
        elif what not in ("staged", *_ALIASES):
            raise Missing(f"There is no question {what!r}")
    if what == "deleted":
        scans.forget(service, change.model_id, change.version_id or None)
    if what == "staged":
        ids = (change.model_id, change.version_id, change.name)
        promoting.note_from_mlflow(service, person, change.registry_id, ids, change.before, change.after)
    elif what in _ALIASES:
        resource = Resource("model", change.model_id, change.name, change.registry_id)
        moved = what == "aliased" and change.after.isdecimal()
        detail = alias_detail(change.alias, int(change.after)) if moved else change.alias
        events.record(
            service, person, action=_ALIASES[what], resource=resource, outcome=EventOutcome.SUCCEEDED, detail=detail
        )
        changed(service, change.registry_id)
