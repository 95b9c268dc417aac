"""Registered models: details, changes, aliases. Lists are in `model_list.py`, versions in `versions.py`.

MLflow's server keeps them in the registry's own MLflow workspace; our facts about them are tags
(`schemas/mlflow_tags.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from registry_tui.contracts.mlflow_routes import ID_PATTERN
from registry_tui.contracts.permissions import RULES, Action, Holder
from registry_tui.schemas import mlflow_tags, names
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.models import ModelUpdate, RegisteredModel, Tag, VersionStatus, Visibility
from registry_tui.service.adapters.mlflow_words import moment, offset_token, quoted, unquotable
from registry_tui.service.core import events, idempotency, identity, tag_rules
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.no_change import require_change
from registry_tui.service.database.tables import UserRow
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted
from registry_tui.service.models.changes import changed
from registry_tui.service.promotion import admission
from registry_tui.service.registries.place import RegistryPlace, enter_registry

#: MLflow's largest page of models.
_BATCH = 1000
#: IDs in one query.
_ASKED = 100


# -- reading -----------------------------------------------------------------------------------------


def get_model(service: Service, principal: Principal, registry: str, model: str) -> RegisteredModel:
    """One model, by name or ID. Raises Missing, also for other people's private models; WrongState, PartUnavailable."""
    return find_model(service, principal, enter_registry(service, registry, reader=principal), model)


def find_model(service: Service, principal: Principal, place: RegistryPlace, model: str) -> RegisteredModel:
    """As `get_model`, in a registry that is known already."""
    found = fetch_model(service, place, model, seen_by=principal.sight)
    if found is None:
        raise Missing(
            f"Model Registry {place.name} has no model {model!r}", action=f"See `registry-tui models list {place.name}`"
        )
    return found


def fetch_model(
    service: Service, place: RegistryPlace, model: str, *, seen_by: str | None = None
) -> RegisteredModel | None:
    """A model by name or ID: one that the person `seen_by` may see, or any without. Raises PartUnavailable."""
    if not model:
        return None
    # MLflow's search reads the last version only, its "get" all. It leaves out prompts, and remains of refused
    # registrations.
    filters = [f"name {'LIKE' if unquotable(model) else '='} {quoted(model)}"]
    if ID_PATTERN.fullmatch(model):
        filters.append(f"tags.`{mlflow_tags.MODEL_ID}` = '{model}'")
    for filter_ in filters:
        for _, found in scan(service, place, filter_, batch=2, seen_by=seen_by):
            if model in (found.name, found.id):
                return found
    return None


def fetch_models(
    service: Service, place: RegistryPlace, model_ids: Sequence[str], *, seen_by: str | None = None
) -> dict[str, RegisteredModel]:
    """Models by their IDs, with one query for a hundred; those that the person `seen_by` may see, or all without.

    Raises PartUnavailable.
    """
    found = dict[str, RegisteredModel]()
    for first in range(0, len(model_ids), _ASKED):
        some = model_ids[first : first + _ASKED]
        filter_ = f"tags.`{mlflow_tags.IDS}` = '{','.join(some)}'"
        found |= {each.id: each for _, each in scan(service, place, filter_, batch=len(some), seen_by=seen_by)}
    return found


# -- changing ----------------------------------------------------------------------------------------


def update_model(
    service: Service, principal: Principal, registry: str, model: str, request: ModelUpdate
) -> RegisteredModel:
    """Changes description, visibility, owner and tags. Raises Missing, NotPermitted, InvalidInput, PartUnavailable."""
    place = enter_registry(service, registry, reader=principal)
    with changing(service, principal, place, model, "model.update", "change it") as found:
        require_change(request)
        check_tags(request.set_tags, request.delete_tags)
        ours = {}
        if request.visibility is not None:
            ours[mlflow_tags.VISIBILITY] = request.visibility.value
        if request.owner is not None:
            identity.check_user_name(service, request.owner)
            _require_user(service, request.owner)
            ours[mlflow_tags.OWNER] = request.owner
        body = {"name": found.name}
        if request.description is not None:
            service.mlflow.call(
                "PATCH",
                "registered-models/update",
                workspace=place.workspace,
                json={**body, "description": request.description},
            )
        for key, value in {**{tag.key: tag.value for tag in request.set_tags}, **ours}.items():
            service.mlflow.call(
                "POST",
                "registered-models/set-tag",
                workspace=place.workspace,
                json={**body, "key": key, "value": value},
            )
        for key in request.delete_tags:
            if key in found.tags:
                service.mlflow.call(
                    "DELETE", "registered-models/delete-tag", workspace=place.workspace, json={**body, "key": key}
                )
    return reread(service, place, found)


def set_alias(
    service: Service,
    principal: Principal,
    registry: str,
    model: str,
    alias: str,
    version: int,
    permit: Callable[[RegistryPlace, RegisteredModel], None],
) -> RegisteredModel:
    """Points an alias to a version, unless `permit` raises.

    Raises Missing, NotPermitted, InvalidInput, PartUnavailable. Everybody else calls `admission.aliases.set_alias`.
    """
    place = enter_registry(service, registry, reader=principal)
    detail = alias_detail(alias, version)
    with changing(service, principal, place, model, "model.set-alias", None, detail) as found:
        _check_alias(service, principal, place, found, alias)
        if problem := names.alias_problem(alias):
            raise InvalidInput(problem, errors=[FieldProblem(field="alias", message=problem)])
        permit(place, found)
        try:
            service.mlflow.call(
                "POST",
                "registered-models/alias",
                workspace=place.workspace,
                json={"name": found.name, "alias": alias, "version": str(version)},
            )
        except Missing as error:
            raise Missing(f"Model {found.name} has no version {version}") from error
    return reread(service, place, found)


def delete_alias(service: Service, principal: Principal, registry: str, model: str, alias: str) -> RegisteredModel:
    """Removes an alias. Raises Missing, NotPermitted, PartUnavailable."""
    place = enter_registry(service, registry, reader=principal)
    with changing(service, principal, place, model, "model.delete-alias", None, alias) as found:
        _check_alias(service, principal, place, found, alias)
        if alias not in found.aliases:
            raise Missing(f"Model {found.name} has no alias {alias!r}")
        idempotency.takes_elsewhere(service, f"{found.id} {alias} {found.aliases[alias]}")
        service.mlflow.call(
            "DELETE",
            "registered-models/alias",
            workspace=place.workspace,
            json={"name": found.name, "alias": alias},
        )
    return reread(service, place, found)


def _check_alias(
    service: Service, principal: Principal, place: RegistryPlace, model: RegisteredModel, alias: str
) -> None:
    with service.database.reading() as session:
        admission.check_alias(session, principal, place.id, model.owner, alias)


@contextmanager
def changing(
    service: Service,
    principal: Principal,
    place: RegistryPlace,
    model: str,
    action: str,
    doing: str | None,
    detail: str = "",
) -> Iterator[RegisteredModel]:
    """Records an event about the block, which gets the model when the principal owns it; `detail` is the event's.

    Raises Missing, NotPermitted with `doing` ("only its owner may …"); without it the block checks permissions.
    """
    with events.recording(service, principal, action, Resource("model", model, model, place.id)) as event:
        event.detail = detail
        found = find_model(service, principal, place, model)
        event.resource = Resource("model", found.id, found.name, place.id)
        if doing is not None:
            require_owner(principal, found, doing)
        try:
            yield found
        finally:
            changed(service, place.id)


def alias_detail(alias: str, version: int) -> str:
    """The detail of the event of a moved alias; the history of deployments finds the event by this."""
    return f"{alias}: version {version}"


def require_owner(principal: Principal, model: RegisteredModel, doing: str, also: str | None = None) -> None:
    """Raises NotPermitted unless the principal owns the model, is `also`, or an administrator."""
    held = (Holder.MODEL_OWNER,) if principal.name in (model.owner, also) else ()
    if principal.administrator or RULES[Action.MODEL_CHANGE].allows(held):
        return
    raise NotPermitted(
        f"{model.name} belongs to {model.owner or 'nobody'}; only its owner may {doing}",
        action="Ask its owner, or the administrator",
    )


def check_tags(given: Iterable[Tag], delete: Iterable[str] = ()) -> None:
    """Raises InvalidInput for a tag that models and versions cannot have; MLflow marks prompts by tags."""
    tag_rules.check_tags(given, delete, "mlflow.prompt.", " would make it a prompt")


def reread(service: Service, place: RegistryPlace, model: RegisteredModel) -> RegisteredModel:
    """The model as it is now. Raises Missing when it was deleted meanwhile."""
    found = fetch_model(service, place, model.name)
    if found is None:
        raise Missing(f"Model {model.name} was deleted just now")
    return found


# -- MLflow's objects ----------------------------------------------------------------------------------


def to_model(registry_id: str, found: Mapping[str, Any]) -> RegisteredModel:
    """MLflow's `RegisteredModel` as ours."""
    tags = {tag["key"]: tag.get("value", "") for tag in found.get("tags", ())}
    latest = max(found.get("latest_versions", ()), key=lambda version: int(version["version"]), default=None)
    return RegisteredModel(
        id=tags.get(mlflow_tags.MODEL_ID, found["name"]),
        name=found["name"],
        registry_id=registry_id,
        description=found.get("description", ""),
        owner=tags.get(mlflow_tags.OWNER, ""),
        visibility=_visibility(tags.get(mlflow_tags.VISIBILITY)),
        location=tags.get(mlflow_tags.LOCATION, ""),
        created_at=moment(found.get("creation_timestamp")),
        updated_at=moment(found.get("last_updated_timestamp")),
        latest_version=None if latest is None else int(latest["version"]),
        latest_status=None if latest is None else VersionStatus(latest.get("status", "READY")),
        aliases={alias["alias"]: int(alias["version"]) for alias in found.get("aliases", ())},
        tags=own_tags(tags),
        contributors=sorted(
            key.removeprefix(mlflow_tags.CONTRIBUTOR) for key in tags if key.startswith(mlflow_tags.CONTRIBUTOR)
        ),
    )


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that people set."""
    return {key: value for key, value in tags.items() if not key.startswith(mlflow_tags.PREFIX)}


def _visibility(value: str | None) -> Visibility:
    return Visibility.PUBLIC if value == Visibility.PUBLIC.value else Visibility.PRIVATE


def scan(
    service: Service,
    place: RegistryPlace,
    filter_: str = "",
    order: str = "name ASC",
    start: int = 0,
    batch: int = _BATCH,
    seen_by: str | None = None,
) -> Iterator[tuple[int, RegisteredModel]]:
    """Models in MLflow's order from the place `start` on, each with its place; requests `batch` at a time.

    With `seen_by` those that this person may see (`mlflow_plugin/visibility.py`).
    """
    while True:
        params = {
            "filter": filter_,
            "order_by": [order],
            "max_results": min(batch, _BATCH),
            "page_token": offset_token(start) if start else None,
        }
        answer = service.mlflow.call(
            "GET", "registered-models/search", workspace=place.workspace, params=params, seen_by=seen_by
        )
        for found in answer.get("registered_models", ()):
            yield start, to_model(place.id, found)
            start += 1
        if not answer.get("next_page_token"):
            return


def _require_user(service: Service, name: str) -> None:
    with service.database.reading() as session:
        if session.get(UserRow, name) is None:
            raise InvalidInput(
                f"There is no user {name!r} in this installation",
                errors=[FieldProblem(field="owner", message="must be a user of this installation")],
            )
