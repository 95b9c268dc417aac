"""Artifacts in environments' own stores, for MLflow's server, which has no key there.

Its proxy has checked the person's rights in the project; it acts as the installation's owner.
"""

from __future__ import annotations

from collections.abc import Iterable

from registry_tui.contracts import file_paths
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.tracking import Artifact
from registry_tui.service.core.artifact_places import delete_in, embedded_bucket
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.own_stores import claimed_store
from registry_tui.service.database.tables import ProjectRow
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted, WrongState
from registry_tui.service.stores import content
from registry_tui.service.stores.bucket_files import StoreFolder


def entries(service: Service, principal: Principal, project_id: str, path: str) -> list[Artifact]:
    """The entries of a folder; empty if it does not exist. Raises Missing, NotPermitted, PartUnavailable."""
    folder = folder_of(service, principal, project_id)
    clean = content.clean_path(path)
    return content.entries_of(folder.below(clean) if clean else folder, "")


def open_file(
    service: Service, principal: Principal, project_id: str, path: str, range_header: str | None = None
) -> content.Content:
    """A file, or a part of it. Raises Missing, InvalidInput for a folder, RangeNotSatisfiable, PartUnavailable."""
    return content.open_file(folder_of(service, principal, project_id), named(path), range_header)


def store_file(
    service: Service,
    principal: Principal,
    project_id: str,
    path: str,
    body: bytes | Iterable[bytes],
    size: int | None = None,
) -> None:
    """Stores a file; on an exception of its pieces nothing is stored. `size` is in bytes, if known.

    Raises Missing, InvalidInput where a folder has its name, or a file the name of its folder, PartUnavailable.
    """
    folder, name = folder_of(service, principal, project_id), named(path)
    require_free(folder, name)
    folder.store.put(folder.key(name), body, size=size)
    require_kept(service, project_id, folder, name)


def delete(service: Service, principal: Principal, project_id: str, path: str) -> None:
    """Deletes a file, or a folder with everything below it; missing ones are ignored."""
    folder = folder_of(service, principal, project_id)
    clean = content.clean_path(path)
    if clean:
        folder.store.delete([folder.key(clean)])
    delete_in(folder.store, (folder.below(clean) if clean else folder).prefix)


def require_free(folder: StoreFolder, name: str) -> None:
    """Raises InvalidInput for a name that is a folder's, or that is inside a folder with a file's name."""
    if taken := _in_the_way(folder, name):
        raise InvalidInput(
            f"'{name}' cannot be stored: {taken}. A file and a folder cannot have the same name",
            action="Choose another name",
        )


def require_kept(service: Service, project_id: str, folder: StoreFolder, name: str) -> None:
    """Removes a file that was stored while its project was deleted, and raises Missing."""
    with service.database.reading() as session:
        row = session.get(ProjectRow, project_id)
        if row is not None and row.state != "deleting":
            return
    folder.store.delete([folder.key(name)])
    raise _no_project(project_id)


def _in_the_way(folder: StoreFolder, name: str) -> str | None:
    if _holds_below(folder, name):
        return "it is a folder"
    parent = name.rpartition("/")[0]
    if not parent or _holds_below(folder, parent):
        return None  # the first of them was let in, so none of its folders is a file
    for above in file_paths.folders_of(name):
        try:
            folder.store.head(folder.key(above))
        except Missing:
            continue
        return f"'{above}' is a file"
    return None


def _holds_below(folder: StoreFolder, name: str) -> bool:
    return next(iter(folder.store.list(folder.below(name).prefix)), None) is not None


def named(path: str) -> str:
    """A file's path below a project. Raises InvalidInput when it is missing or leaves the project."""
    clean = content.clean_path(path)
    if not clean:
        raise InvalidInput("A file's path is missing", errors=[FieldProblem(field="path", message="must not be empty")])
    return clean


def folder_of(service: Service, principal: Principal, project_id: str) -> StoreFolder:
    """The folder of a project's artifacts, in whichever store. Raises Missing, NotPermitted, PartUnavailable."""
    if not principal.administrator:
        raise NotPermitted("Only MLflow's server asks for artifacts so")
    with service.database.reading() as session:
        row = session.get(ProjectRow, project_id)
        if row is None or row.state == "deleting":
            raise _no_project(project_id)
        kept, environment, workspace = row.artifacts_folder, row.workspace.environment, row.mlflow_workspace
    store = claimed_store(service, environment.id) if kept else embedded_bucket(service, environment.bucket)
    if store is None:
        raise WrongState("The environment's own store is not known any more")
    return StoreFolder(store, f"{kept or f'workspaces/{workspace}'}/")


def _no_project(project_id: str) -> Missing:
    return Missing(f"There is no project {project_id}", action="`registry-tui projects list` shows the projects")
