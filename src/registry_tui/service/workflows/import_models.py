"""Importing registered models of an attached server: list them, make the new versions, wait for their archives."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.schemas import mlflow_tags, names
from registry_tui.schemas.models import Origin, RegisteredModel, VersionStatus
from registry_tui.schemas.operations import Progress, WorkflowKind, WorkflowStatus
from registry_tui.service.adapters.attached_mlflow import AttachedMlflow
from registry_tui.service.adapters.mlflow_answers import OddAnswer, as_mlflow_does
from registry_tui.service.adapters.mlflow_words import pairs, quoted, unquotable
from registry_tui.service.admission import rules
from registry_tui.service.database.tables import WorkflowRow
from registry_tui.service.engine import permits
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.errors import AlreadyThere, InvalidInput, Missing, NotPermitted, WrongState
from registry_tui.service.models import changes as model_changes
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.promotion import admission
from registry_tui.service.registering import archiving, attached, importing
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.tracking.project import ProjectPlace, attached_place
from registry_tui.service.tracking.server import client_of

#: Seconds between two checks of the archives, and those after which an import that blocks others ends.
_LOOK, _ALONE = 0.5, 120.0
#: Errors of one model or version alone; all others fail the workflow, which can be retried.
_OF_ONE = (Missing, InvalidInput, NotPermitted, AlreadyThere, OddAnswer, importing.Unreadable)


@dataclass
class _Import:
    """The state and counts of one run of the step *make versions*."""

    context: StepContext
    place: ProjectPlace
    registry: RegistryPlace
    client: AttachedMlflow
    total: int
    brought: int = 0
    before: int = 0
    skipped: int = 0
    #: Name and number of each version whose archive is not stored yet.
    waiting: list[tuple[str, int]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.client.address.url

    @property
    def known_as(self) -> str:
        """The server's identity, also after it has moved."""
        return self.client.address.known_as

    def skip(self, what: str, why: str, versions_: int) -> None:
        """Logs that something is left out, with so many versions."""
        self.skipped += versions_
        self.context.log(f"Skipped {what}: {why.rstrip('.')}", "warning")
        self.advance()

    def advance(self) -> None:
        """Reports how many versions were processed."""
        done = self.brought + self.before + self.skipped
        self.context.progress(Progress(files_done=min(done, self.total), files_total=self.total))


def _list(context: StepContext) -> Mapping[str, Any]:
    client = _client(context, _place(context))
    found = context.arguments["models"] or importing.model_names(client, context.check_cancelled)
    counts: dict[str, int] = {}
    for name in found:
        context.check_cancelled()
        try:
            counts[name] = len(_versions_there(context, client, name))
        except (OddAnswer, importing.Unreadable):
            # The next step leaves it out, and logs the reason.
            counts[name] = 0
    total = counted(sum(counts.values()), "version")
    context.log(f"{counted(len(counts), 'registered model')} with {total} at {client.address.url}")
    return {"models": counts}


def _make(context: StepContext) -> Mapping[str, Any]:
    place = _place(context)
    registry = _registry(context)
    counts: Mapping[str, int] = context.state["models"]
    work = _Import(context, place, registry, _client(context, place), sum(counts.values()))
    attached.prepare(context.service, place)
    for name, count in counts.items():
        context.check_cancelled()
        # The service looks for versions without a workflow meanwhile; those that are made here start their own.
        with archiving.being_registered(context.service, registry.id, name):
            try:
                _bring_model(work, name)
            except _OF_ONE as error:
                work.skip(f"model {name!r}", error.detail, max(0, count))
        model_changes.changed(context.service, registry.id)
    context.log(
        f"{counted(work.brought, 'new version')}, {work.before} here before, {work.skipped} left out; "
        f"{counted(len(work.waiting), 'archive')} to be stored"
    )
    return {"waiting": [list(each) for each in work.waiting]}


def _bring_model(work: _Import, name: str) -> None:
    service, registry = work.context.service, work.registry
    found = importing.asked_again(work.client, lambda: importing.get_model(work.client, name))
    there = _versions_there(work.context, work.client, name)
    if problem := importing.problem_of(found):
        work.skip(f"model {name!r}", problem, len(there))
        return
    came = importing.imported_from(service, registry.workspace, name)
    if came is None:
        _create_model(work, found, there)
    elif came != work.known_as:
        work.skip(f"model {name!r}", "a model of this name is here, which was not imported from there", len(there))
        return
    model = models.fetch_model(service, registry, name, seen_by=work.context.principal.sight)
    if model is None:
        work.skip(f"model {name!r}", "its name belongs to a private model of somebody else here", len(there))
        return
    here = {int(each["version"]): each for each in _versions_here(work, name)}
    for version in there:
        work.context.check_cancelled()
        try:
            number = importing.number_of(version)
            _bring_version(work, model, here.get(number), number, version)
        except _OF_ONE as error:
            work.skip(f"{name} v{str(version.get('version'))[:40]}", error.detail, 1)
    _set_aliases(work, model, found)


def _create_model(work: _Import, found: Mapping[str, Any], there: Sequence[Mapping[str, Any]]) -> None:
    principal = work.context.principal
    body = {
        "name": found["name"],
        "description": found.get("description", ""),
        "tags": _tags(importing.model_tags(principal, work.known_as, found, there)),
    }
    work.context.service.mlflow.call(
        "POST", "registered-models/create", workspace=work.place.workspace, json=body, seen_by=principal.sight
    )
    work.context.log(f"Made model {found['name']}")


def _bring_version(
    work: _Import, model: RegisteredModel, here: Mapping[str, Any] | None, number: int, there: Mapping[str, Any]
) -> None:
    context, registry = work.context, work.registry
    shown = f"{model.name} v{number}"
    if here is not None:
        if pairs(here.get("tags", ())).get(mlflow_tags.REQUEST) != importing.mark(work.known_as, model.name, number):
            work.skip(shown, "another version has this number here", 1)
            return
        if here.get("status") == VersionStatus.FAILED_REGISTRATION:
            if (found := _source_there(work, shown, there)) is None:
                return
            here = _begin_again(work, model, here, found[1])
        work.before += 1
        if here.get("status") != VersionStatus.READY:
            _store(work, model, here)
        work.advance()
        return
    if (status := there.get("status") or VersionStatus.READY) != VersionStatus.READY:
        work.skip(shown, f"it is {status} there", 1)
        return
    if (found := _source_there(work, shown, there)) is None:
        return
    source, origin = found
    body = {
        "name": model.name,
        "source": source,
        "run_id": origin.run_id,
        "description": there.get("description") or "",
        "tags": _tags(importing.version_tags(context.principal, work.known_as, there, origin)),
    }
    answer = context.service.mlflow.call(
        "POST",
        "model-versions/create",
        workspace=work.place.workspace,
        json={key: value for key, value in body.items() if value is not None},
        seen_by=context.principal.sight,
    )
    work.brought += 1
    _store(work, model, answer["model_version"])
    model_changes.changed(context.service, registry.id)
    work.advance()


def _versions_there(context: StepContext, client: AttachedMlflow, name: str) -> list[Mapping[str, Any]]:
    return importing.asked_again(client, lambda: importing.versions_of(client, name, context.check_cancelled))


def _source_there(work: _Import, shown: str, there: Mapping[str, Any]) -> tuple[str, Origin] | None:
    """The place of a version's model, with its origin; None if skipped, as the server does not reach it."""
    with as_mlflow_does(work.url):
        found = importing.asked_again(
            work.client, lambda: importing.source_of(work.context.service, work.place, work.client, there)
        )
        pairs(there.get("tags", ()))
    if found is None:
        work.skip(shown, f"the server's API reaches no model at {str(there.get('source'))[:200]}", 1)
    return found


def _begin_again(work: _Import, model: RegisteredModel, version: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    """The version whose archive could not be stored, waiting for it again, from the current place of its model.

    The server may have been detached and attached again meanwhile, with a new project.
    """
    mlflow, workspace, number = work.context.service.mlflow, work.registry.workspace, int(version["version"])
    tags = {mlflow_tags.ORIGIN: origin.model_dump_json()}
    mlflow.set_version_tags(workspace, model.name, number, tags)
    pending = VersionStatus.PENDING_REGISTRATION.value
    mlflow.set_version_status(workspace, model.name, number, pending, "Imported again")
    return {**version, "status": pending, "tags": _tags({**pairs(version.get("tags", ())), **tags})}


def _store(work: _Import, model: RegisteredModel, version: Mapping[str, Any]) -> None:
    """Begins to store a version's archive, unless a workflow already does."""
    archiving.start(work.context.service, work.context.principal, work.registry, versions.to_version(model, version))
    work.waiting.append((model.name, int(version["version"])))


def _set_aliases(work: _Import, model: RegisteredModel, found: Mapping[str, Any]) -> None:
    """Gives the model the aliases that it lacks; those that it has here may have been moved on purpose."""
    context, registry = work.context, work.registry
    here = {int(each["version"]) for each in _versions_here(work, model.name)}
    for each in found.get("aliases", ()):
        alias, number = str(each["alias"]), int(each["version"])
        if model.aliases.get(alias) == number:
            continue
        if alias in model.aliases:
            problem: str | None = f"it names version {model.aliases[alias]} here, and version {number} there"
        elif number not in here:
            problem = f"version {number} is not here"
        else:
            problem = names.alias_problem(alias)
        if problem is None:
            try:
                with context.service.database.reading() as session:
                    admission.check_alias(session, context.principal, registry.id, model.owner, alias)
                rules.require_by_number(context.service, context.principal, registry, model, number, alias)
                body = {"name": model.name, "alias": alias, "version": str(number)}
                context.service.mlflow.call("POST", "registered-models/alias", workspace=registry.workspace, json=body)
            except _OF_ONE as error:
                problem = error.detail
        if problem is not None:
            context.log(f"Skipped alias {alias} of {model.name}: {problem.rstrip('.')}", "warning")


def _wait(context: StepContext) -> None:
    """Waits until the archives are stored, or could not be; each has a workflow of its own, which continues anyway."""
    registry = _registry(context)
    wanted = {(name, int(number)) for name, number in context.state["waiting"]}
    alone_since: float | None = None
    while True:
        context.check_cancelled()
        pending = {
            (each["name"], int(each["version"]))
            for each in context.service.mlflow.search_pending_versions(registry.workspace)
        }
        left = wanted & pending
        context.progress(Progress(files_done=len(wanted) - len(left), files_total=len(wanted)))
        if not left:
            break
        # An import holds a thread; when all threads are held by imports, the archives would never have their turn.
        if _others_run(context):
            alone_since = None
        elif alone_since is None:
            alone_since = time.monotonic()
        elif time.monotonic() - alone_since > _ALONE:
            context.log(f"{counted(len(left), 'archive')} will be stored in the background", "warning")
            return
        time.sleep(_LOOK)
    failed = 0
    for name in sorted({name for name, _ in wanted}):
        for each in _search_here(context, registry, name):
            number = int(each["version"])
            if (name, number) in wanted and each.get("status") == VersionStatus.FAILED_REGISTRATION:
                failed += 1
                context.log(f"{name} v{number} could not be stored: {each.get('status_message', '')}", "error")
    context.log(f"{counted(len(wanted) - failed, 'archive')} stored, {failed} failed")


def _others_run(context: StepContext) -> bool:
    query = select(WorkflowRow.id).where(
        WorkflowRow.status == WorkflowStatus.RUNNING.value, WorkflowRow.kind != WorkflowKind.IMPORT.value
    )
    with context.service.database.reading() as session:
        return session.scalars(query.limit(1)).first() is not None


def _versions_here(work: _Import, name: str) -> list[dict[str, Any]]:
    return _search_here(work.context, work.registry, name)


def _search_here(context: StepContext, registry: RegistryPlace, name: str) -> list[dict[str, Any]]:
    filter_ = f"name {'LIKE' if unquotable(name) else '='} {quoted(name)}"
    found = context.service.mlflow.search_versions(registry.workspace, filter=filter_)
    return [each for each in found if each["name"] == name]


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _place(context: StepContext) -> ProjectPlace:
    return attached_place(context.service, context.resource.id)


def _registry(context: StepContext) -> RegistryPlace:
    return enter_registry(context.service, context.resource.registry_id or "")


def _client(context: StepContext, place: ProjectPlace) -> AttachedMlflow:
    client = client_of(context.service, place)
    if client is None:
        raise WrongState(f"Project {place.name} shows no MLflow server elsewhere")
    return client


IMPORT = Definition(
    kind=WorkflowKind.IMPORT,
    action="attached-server.import",
    permit=permits.in_project(Action.MODEL_REGISTER),
    steps=(
        Step("list models", _list),
        Step("make versions", _make),
        Step("wait for archives", _wait),
    ),
)
