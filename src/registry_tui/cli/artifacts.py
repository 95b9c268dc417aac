"""`runs artifacts`: the artifacts of runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, RegistryError, ServiceProblem
from registry_tui.client.saving import future_place, place_below, require_listed, safe_target
from registry_tui.contracts import new_files
from registry_tui.schemas.tracking import Artifact
from registry_tui.wording import text, words

app = session.new_app("Artifacts of a run: list, download, print.")

COLUMNS = [
    Column[Artifact]("SIZE", lambda each: "folder" if each.is_folder else words.size(each.size), right=True),
    Column[Artifact]("PATH", lambda each: each.path),
]
#: Bytes that `cat` requests at a time.
CHUNK = 4 << 20
#: HTTP's status when no byte is left (RFC 9110, 15.5.17).
BEHIND_THE_END = 416
RunArgument = Annotated[str, typer.Argument(help="ID of the run.")]


OF_MODEL = Column[Artifact]("LOGGED MODEL", lambda each: each.logged_model_id)


async def _tree(client: RegistryClient, project: str, run: str, path: str) -> list[Artifact]:
    found = []
    for entry in await _entries(client, project, run, path):
        require_listed(_plain(path), entry.path)
        found.append(entry)
        if entry.is_folder:
            with suppress(NotFound):  # a logged model without files, or one that was deleted meanwhile
                found += await _tree(client, project, run, entry.path)
    return found


def _plain(path: str) -> str:
    """A folder's path as the service lists it: `./model/` is `model`."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


async def _entries(client: RegistryClient, project: str, run: str, path: str) -> list[Artifact]:
    """The entries of a folder; reports which of the run's own are hidden by those of a logged model."""
    folder = await client.artifacts(project, run, path)
    for name in folder.hidden:
        output.note(f"The run's own {name} is left out: the logged model {folder.logged_model_id} has the same path")
    return folder.entries


@app.command("list")
def list_(
    run: RunArgument,
    project: session.ProjectOption,
    path: Annotated[str, typer.Argument(help="A folder; default: the top.")] = "",
    recursive: Annotated[bool, typer.Option("--recursive", "-R", help="Include everything below.")] = False,
    as_json: session.JsonOption = False,
) -> None:
    """List a folder of a run's artifacts."""

    async def fetch(client: RegistryClient) -> list[Artifact]:
        if recursive:
            return await _tree(client, project, run, path)
        return await _entries(client, project, run, path)

    found = session.ask(fetch)
    if as_json:
        output.print_json(found)
    elif found:
        output.Table([*COLUMNS, *([OF_MODEL] if any(each.logged_model_id for each in found) else [])]).print(found)
    else:
        output.note("Nothing there")


@app.command()
def get(
    run: RunArgument,
    path: Annotated[str, typer.Argument(help="A file or a folder.")],
    project: session.ProjectOption,
    target: Annotated[
        Path | None, typer.Argument(help="Where to put it; default: its own name, in this folder.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that have the same names.")] = False,
) -> None:
    """Download a file, or a folder with everything below, and print where it is.

    Fails before the first download if a file of the same name exists, unless --overwrite is given.

    Example: registry-tui runs artifacts get RUN model ./model --project default
    """
    into = target or safe_target(Path(), PurePosixPath(path).name or run)
    if target is None and into.is_symlink():
        raise RegistryError(f"{into} is a link", action="Name where to put the files, behind the path")
    base = _plain(path)

    async def fetch(client: RegistryClient) -> None:
        status = output.Status()
        try:
            try:
                below = [entry.path for entry in await _tree(client, project, run, path) if not entry.is_folder]
            except NotFound:
                below = []  # not a folder; if it is not a file either, the download reports that
            if not below:
                name = PurePosixPath(path).name
                place = safe_target(into, name) if name and into.is_dir() else into
                _require_free([place], overwrite)
                await _download(client, project, run, path, place, status, overwrite)
            paths = {each: each.removeprefix(f"{base}/") if base else each for each in below}
            _require_free([future_place(into, each) for each in paths.values()], overwrite)
            for each, inside in paths.items():
                await _download(client, project, run, each, place_below(into, inside), status, overwrite)
        except OSError as error:
            raise RegistryError(f"{error.filename or into}: {error.strerror or error}") from error
        finally:
            status.close()

    session.ask(fetch)
    output.write(f"{into}\n")
    output.flush()


def _require_free(places: Iterable[Path], overwrite: bool) -> None:
    """Raises RegistryError for the first path where a file exists, unless it may be replaced."""
    taken = None if overwrite else next((place for place in places if os.path.lexists(place)), None)
    if taken is not None:
        raise RegistryError(f"{taken} already exists", action="Choose another place, or add --overwrite")


async def _download(
    client: RegistryClient, project: str, run: str, path: str, place: Path, status: output.Status, overwrite: bool
) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)

    def progress(done: int, total: int | None) -> None:
        status.show(f"{path}  {words.size(done)} of {words.size(total)}", key=path)

    if overwrite:
        await client.download_artifact(project, run, path, place, progress)
        return
    partial = new_files.partial_of(place)
    try:
        await client.download_artifact(project, run, path, partial, progress)
        new_files.publish(partial, place)
    finally:
        partial.unlink(missing_ok=True)


@app.command()
def cat(
    run: RunArgument,
    path: Annotated[str, typer.Argument(help="A file.")],
    project: session.ProjectOption,
    start: Annotated[int, typer.Option(min=0, help="Byte to begin with.")] = 0,
    length: Annotated[int | None, typer.Option(min=0, help="At most this many bytes.")] = None,
) -> None:
    """Write a file's bytes, or a part of them, to stdout. On a terminal control characters are made visible.

    Example: registry-tui runs artifacts cat RUN report.json --project default | jq .accuracy
    """

    async def fetch(client: RegistryClient) -> None:
        at, left = start, length
        while left is None or left > 0:
            wanted = CHUNK if left is None else min(CHUNK, left)
            try:
                data = await client.read_artifact(project, run, path, start=at, length=wanted)
            except ServiceProblem as error:
                if error.problem.status == BEHIND_THE_END and (at > start or at == 0):
                    return
                raise
            if sys.stdout.isatty():
                output.write(text.safe_lines(data.decode(errors="replace"), limit=len(data)))
                output.flush()
            else:
                output.write_bytes(data)
            at += len(data)
            if left is not None:
                left -= len(data)
            if len(data) < wanted:
                return

    session.ask(fetch)
