"""`models manifest`, `verify`, `scan`, `bom`, `search`, `diff`, `download`: the archives of versions."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.client.saving import archive_files, partial_folder, save_all
from registry_tui.client.version_sides import Side, read_side
from registry_tui.contracts.counts import counted
from registry_tui.schemas.boms import VersionBom, VersionUse
from registry_tui.schemas.models import ArchiveCheck, Manifest, ModelVersion
from registry_tui.schemas.scans import ScannedFile, VersionScan
from registry_tui.wording import words
from registry_tui.wording.bom_differences import BomLine, bom_difference, use_text
from registry_tui.wording.differences import Line, difference


def manifest(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the files of a version's archive with their SHA-256 sums, in the form that `sha256sum -c` reads."""

    async def run(client: RegistryClient) -> Manifest:
        return await client.manifest(await session.registry_for_model(client, registry, model), model, number)

    found = session.ask(run)
    if as_json:
        output.print_json(found)
        return
    for entry in found.files:
        output.write(f"{entry.sha256}  {output.cell(entry.path)}\n")
    output.flush()


def verify(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Read a version's whole archive and compare it with its manifest. Exits with 1 when they differ."""

    async def run(client: RegistryClient) -> ArchiveCheck:
        return await client.verify_archive(await session.registry_for_model(client, registry, model), model, number)

    found = session.ask(run)
    fields = {
        "sound": found.sound,
        "files": found.files,
        "bytes": found.bytes,
        "missing": found.missing,
        "changed": found.changed,
        "unexpected": found.unexpected,
        "checked": found.checked_at,
    }
    output.print_one(found, fields, as_json=as_json)
    if not found.sound:
        raise RegistryError(
            f"The archive of {model} version {number} is not as it was stored",
            action="Register the model again from its run, or restore the bucket from a backup",
        )


def scan(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    again: Annotated[bool, typer.Option("--again", help="Scan the archive now.")] = False,
    as_json: session.JsonOption = False,
) -> None:
    """Show the file formats in a version's archive and the imports that loading them causes. Loads nothing.

    Verdicts: safe format, known imports, runs code, unknown, not scanned. None of them proves that a model is harmless.
    """

    async def run(client: RegistryClient) -> VersionScan:
        place = await session.registry_for_model(client, registry, model)
        return await (client.scan_version if again else client.scan)(place, model, number)

    found = session.ask(run)
    if as_json:
        output.print_json(found)
        return
    output.note(f"{found.verdict}{': ' if found.reason else ''}{found.reason}")
    output.Table(_SCAN_COLUMNS).print(found.files)
    if found.total_files > len(found.files):
        output.note(f"{counted(found.total_files - len(found.files), 'more file')}, none of them worse")


_SCAN_COLUMNS: list[Column[ScannedFile]] = [
    Column("FILE", lambda file: file.path, flexible=True),
    Column("FORMAT", lambda file: file.format),
    Column("VERDICT", lambda file: file.verdict.value),
    Column("WHY", lambda file: file.reason or ", ".join(file.imports[:3]), flexible=True),
]


def bom(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    against: Annotated[
        int | None, typer.Option("--against", metavar="VERSION", min=1, help="Show the differences from this version.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Make it again first, from the archive and the run.")] = False,
    as_json: session.JsonOption = False,
) -> None:
    """Write a version's bill of materials as CycloneDX JSON: packages, data sets, base models, metrics.

    It is made when the version is registered. With --against, lists the differences between two versions.

    Example: registry-tui models bom WineModel 2 > wine-2.cdx.json
    """

    async def run(client: RegistryClient) -> list[VersionBom]:
        place = await session.registry_for_model(client, registry, model)
        own = await (client.make_bom if again else client.bom)(place, model, number)
        return [own] if against is None else [await client.bom(place, model, against), own]

    found = session.ask(run)
    if against is None:
        output.print_json(found[0].document)
        return
    lines = bom_difference(found[0].document, found[1].document)
    if as_json:
        output.print_json([asdict(line) for line in lines])
    elif lines:
        output.Table(_bom_columns(against, number)).print(lines)
    else:
        output.note("Nothing differs")


def _bom_columns(one: int, other: int) -> list[Column[BomLine]]:
    return [
        Column("KIND", lambda line: line.kind),
        Column("NAME", lambda line: line.name, flexible=True),
        Column(f"VERSION {one}", lambda line: line.one, flexible=True),
        Column(f"VERSION {other}", lambda line: line.other, flexible=True),
    ]


def search(
    uses: Annotated[
        list[str],
        typer.Option(
            "--uses", help="'numpy<2', 'python<3.12', dataset:NAME or base-model:NAME; repeatable, all have to fit."
        ),
    ],
    registry: Annotated[
        str | None,
        typer.Option("--registry", "-r", help="Only of this one.", autocompletion=session.complete_registry),
    ] = None,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the versions that use something, in all registries, newest first.

    A package finds versions whose requirement allows that package version, and versions that do not limit the package.

    Example: registry-tui models search --uses 'numpy<2' --uses dataset:wine
    """
    session.ask(
        lambda client: output.print_list(
            partial(client.versions_using, uses, registry=registry),
            _USES_COLUMNS,
            as_json=as_json,
            limit=limit,
            empty="No version uses it",
        )
    )


_USES_COLUMNS: list[Column[VersionUse]] = [
    Column("REGISTRY", lambda use: use.registry_name),
    Column("MODEL", lambda use: use.model_name, flexible=True),
    Column("VERSION", lambda use: use.version, right=True),
    Column("REGISTERED", lambda use: use.registered_at),
    Column(
        "USES",
        lambda use: "; ".join(map(use_text, use.components)),
        flexible=True,
    ),
]


def diff(
    model: session.ModelArgument,
    one: Annotated[int, typer.Argument(min=1, help="A version's number.")],
    other: Annotated[int, typer.Argument(min=1, help="Another's.")],
    registry: session.RegistryOption = None,
    all_: Annotated[bool, typer.Option("--all", help="Also list equal values.")] = False,
    as_json: session.JsonOption = False,
) -> None:
    """Show the differences between two versions: params, metrics, signature, requirements, and files by their sums.

    Example: registry-tui models diff WineModel 3 4
    """

    async def run(client: RegistryClient) -> list[Side]:
        found = await session.registry_for_model(client, registry, model)
        return list(await asyncio.gather(*(read_side(client, found, model, number) for number in (one, other))))

    sides = session.ask(run)
    lines = [line for line in difference(sides) if all_ or not line.same]
    for text in (text for side in sides for text in side.unknown):
        output.note(text)
    if as_json:
        output.print_json([_line_fields(line) for line in lines])
    elif lines:
        output.Table(_difference_columns(one, other)).print(lines)
    else:
        output.note("Nothing differs")


def _line_fields(line: Line) -> dict[str, object]:
    return {**line.fields(("one", "other")), "same": line.same}


def _difference_columns(one: int, other: int) -> list[Column[Line]]:
    return [
        Column("KIND", lambda line: line.kind),
        Column("KEY", lambda line: line.key, flexible=True),
        Column(f"VERSION {one}", lambda line: line.cells[0].text, flexible=True),
        Column(f"VERSION {other}", lambda line: line.cells[1].text, flexible=True),
    ]


def download(
    model: session.ModelArgument,
    number: session.VersionArgument,
    target: Annotated[Path | None, typer.Argument(help="A new folder; default: MODEL-VERSION, in this folder.")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="The folder, as an option.")] = None,
    registry: session.RegistryOption = None,
) -> None:
    """Download a version's archive, checked against its manifest and that against its signature; print where it is.

    A failed download keeps the fetched files; run the same command again to resume it.

    Example: registry-tui models download WineModel 1 --to ./wine && mlflow models predict -m ./wine -i input.json
    """
    if target is not None and to is not None:
        raise typer.BadParameter("Name the folder once: as an argument or with --to")
    into = target or to or Path(f"{model}-{number}".replace("/", "-"))

    async def run(client: RegistryClient) -> None:
        found = await session.registry_for_model(client, registry, model)
        await _download(client, await client.version(found, model, number), into)

    session.ask(run)
    output.write(f"{into}\n")
    output.flush()


async def _download(client: RegistryClient, version: ModelVersion, into: Path) -> int:
    """Downloads the archive's files into a new folder, all or none; returns how many. Another call resumes a failed
    download.

    Raises RegistryError when the folder already exists, or when a file does not match the manifest.
    """
    status = output.Status()
    began: list[tuple[float, int]] = []

    def tell(done: int, total: int | None, files: int) -> None:
        began.append((time.monotonic(), done)) if not began else None
        passed, moved = time.monotonic() - began[0][0], done - began[0][1]
        rate = f", {words.size(round(moved / passed))}/s" if passed > 1 else ""
        status.count(f"{counted(files, 'file')}, {words.size(done)} of {words.size(total)}{rate}", files)

    try:
        return await save_all(archive_files(client, version, output.note), into, tell, resume=True)
    except OSError as error:
        raise RegistryError(f"{error.filename or into}: {error.strerror or error}") from error
    finally:
        status.close()
        if partial_folder(into).exists():
            output.note(f"The downloaded part stays in {partial_folder(into)}; the same command continues it")
