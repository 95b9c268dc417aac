"""`models export`, `models import`: versions for networks without a connection, and models from elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from registry_tui.cli import output, session
from registry_tui.cli.version_view import print_version
from registry_tui.client import bundles, uploading
from registry_tui.client.bundle_facts import RunFacts, read_bom
from registry_tui.client.bundles import Bundle
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, RegistryError, may_be_done
from registry_tui.client.intents import Intent
from registry_tui.client.model_folders import read_folder
from registry_tui.client.saving import Tell
from registry_tui.client.uploading import FOLDER, Upload
from registry_tui.contracts import modelpack
from registry_tui.contracts.counts import counted
from registry_tui.schemas.cards import MAX_CARD, CardChange
from registry_tui.schemas.models import Manifest, ManifestEntry, ModelVersion, RegisterModel, Tag, Visibility
from registry_tui.schemas.signatures import SignVersion
from registry_tui.wording import words
from registry_tui.wording.bom_differences import bom_difference


def export(
    model: session.ModelArgument,
    number: session.VersionArgument,
    to: Annotated[Path, typer.Option("--to", metavar="FILE|FOLDER", help="A new .tar file, or a new folder.")],
    registry: session.RegistryOption = None,
    wheels: Annotated[
        bool, typer.Option("--wheels", help="With the wheels of its requirements, from where pip gets them here.")
    ] = False,
) -> None:
    """Write a version as one OCI image layout (ModelPack), each part by its digest.

    It holds the version's files, manifest, signatures, bill of materials and model card.

    A failed export keeps the fetched files; run the same command again to resume it.

    Example: registry-tui models export WineModel 3 --to wine-3.tar
    """

    async def run(client: RegistryClient) -> int:
        here = await session.registry_for_model(client, registry, model)
        version = await client.version(here, model, number)
        with tempfile.TemporaryDirectory() as folder:
            packages = await _wheels(client, version, Path(folder)) if wheels else []
            with _telling("exported") as tell:
                return await bundles.export(client, version, to, tell, packages)

    try:
        files = session.ask(run)
    except OSError as error:
        raise RegistryError(f"{error.filename or to}: {error.strerror or error}") from error
    output.note(
        f"{counted(files, 'file')} of {model} version {number}, with manifest, signatures, bill of materials and card"
    )
    output.write(f"{to}\n")
    output.flush()


async def _wheels(client: RegistryClient, version: ModelVersion, folder: Path) -> list[Path]:
    """The wheels of a version's requirements. Raises RegistryError where pip does not get them all."""
    registry, model, number = version.registry_id, version.model_id, version.version
    if "requirements.txt" not in {entry.path for entry in (await client.manifest(registry, model, number)).files}:
        raise RegistryError(
            f"{version.model_name} v{number} does not state its requirements: its archive lacks requirements.txt",
            action="Export it without --wheels",
        )
    content = await client.read_archive(registry, model, number, "requirements.txt")
    listed, target = folder / "requirements.txt", folder / "wheels"
    listed.write_bytes(content)
    command = [*_pip(), "download", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input"]
    # For the model's Python, whichever Python pip itself runs with.
    command += ["--python-version", await _python(client, version)]
    output.note("Fetching the wheels of its requirements")
    done = await asyncio.to_thread(
        subprocess.run, [*command, "-r", str(listed), "-d", str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module" in line]
        raise RegistryError(
            f"pip could not fetch the wheels: {(lines or done.stderr.splitlines() or ['no reason given'])[-1][:500]}",
            action="See that pip reaches the package index from this machine, or export it without --wheels",
        )
    return sorted(target.glob("*.whl"))


def _pip() -> list[str]:
    """The command for pip: this environment's own where it has one, else the machine's. Raises RegistryError."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if (found := shutil.which("pip3") or shutil.which("pip")) is not None:
        return [found]
    raise RegistryError(
        "Wheels are fetched by pip, which this machine does not have",
        action="Install pip (Debian: `apt-get install python3-pip`), or export it without --wheels",
    )


async def _python(client: RegistryClient, version: ModelVersion) -> str:
    """The Python version that the model was logged with, from its bill of materials, or the running one."""
    with suppress(NotFound):
        document = (await client.bom(version.registry_id, version.model_id, version.version)).document
        for each in document["components"]:
            if each["type"] == "platform" and each["name"] == "python":
                return str(each["version"])
    return platform.python_version()


def import_(
    source: Annotated[
        Path, typer.Argument(metavar="FILE|FOLDER", help="A bundle, or a folder of MLflow or of Hugging Face.")
    ],
    name: Annotated[str | None, typer.Option(help="Name of the model; default: the bundle's or the folder's.")] = None,
    project: session.ProjectOption = "default",
    visibility: Annotated[
        Visibility | None, typer.Option(help="Visibility of the model; a new one is private.")
    ] = None,
    wheels_to: Annotated[
        Path | None, typer.Option("--wheels-to", metavar="FOLDER", help="A new folder for the bundle's wheels.")
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Register a model from a bundle of `models export`, from a folder that MLflow wrote, or from one of Hugging Face.

    All files are checked before the upload, and the version is ready only when the stored files have the same sums.
    Of a bundle, metrics, params and data sets of its bill of materials go on as those of the run, and the card that a
    person wrote as the version's. The same command goes on with an import that was cut off. A model that has a version
    with these files already gets no other one: that version is the answer, and stays as it is.
    A folder of Hugging Face (safetensors with its card) is kept, but cannot be served.

    Example: registry-tui models import wine-3.tar --project default
    """
    if not source.exists():
        raise typer.BadParameter(f"{source} does not exist", param_hint="FILE|FOLDER")
    try:
        found = session.ask(partial(_import, source, name, project, visibility, wheels_to))
    except OSError as error:
        raise RegistryError(f"{error.filename or source}: {error.strerror or error}") from error
    print_version(found, as_json)


async def _import(
    source: Path,
    name: str | None,
    project: str,
    visibility: Visibility | None,
    wheels_to: Path | None,
    client: RegistryClient,
) -> ModelVersion:
    if bundles.is_bundle(source):
        bundle = Bundle(source)
        try:
            return await _import_bundle(client, bundle, name, project, visibility, wheels_to)
        finally:
            bundle.close()
    if wheels_to is not None:
        raise typer.BadParameter("a folder has no wheels", param_hint="--wheels-to")
    found = await asyncio.to_thread(read_folder, source)
    with _telling("read") as tell:
        await asyncio.to_thread(found.measure, tell)
    files = {path: Upload(found.sums[path][0], partial(_opened, at)) for path, at in found.files.items()}
    files |= {path: Upload(len(content), partial(BytesIO, content)) for path, content in found.added.items()}
    request = RegisterModel(
        name=name or found.name,
        content=_content(found.sums),
        notes=f"Imported from a folder of {found.kind}",
        tags=[Tag(key=key, value=value) for key, value in found.tags.items()],
        visibility=visibility,
    )
    return await _register(client, project, request, files, RunFacts(), _nothing_else)


async def _nothing_else(_version: ModelVersion) -> None:
    """A folder has nothing to add to its files."""


async def _import_bundle(
    client: RegistryClient,
    bundle: Bundle,
    name: str | None,
    project: str,
    visibility: Visibility | None,
    wheels_to: Path | None,
) -> ModelVersion:
    with _telling("checked") as tell:
        await asyncio.to_thread(bundle.check, tell)
    layers = bundle.model_files()
    described = [ModelVersion.model_validate_json(bundle.read(each)) for each in bundle.of_type(modelpack.VERSION)]
    content = _content({each.path: (each.size, each.sha256) for each in layers})
    for each in bundle.of_type(modelpack.ARCHIVE_MANIFEST):
        if Manifest.model_validate_json(bundle.read(each)).content != content:
            raise RegistryError("The bundle's files are not those of its manifest; nothing was imported")
    bom, facts = _bom(bundle)
    card = _card(bundle)
    before = described[0] if described else None
    if name is None and before is None:
        raise typer.BadParameter("the bundle does not say: give --name", param_hint="--name")
    if wheels_to is not None:
        await asyncio.to_thread(_unpack_wheels, bundle, wheels_to)
    request = RegisterModel(
        name=name or ("" if before is None else before.model_name),
        content=content,
        notes="" if before is None else before.notes,
        tags=[] if before is None else [Tag(key=key, value=value) for key, value in before.tags.items()],
        visibility=visibility,
    )
    files = {each.path: Upload(each.size, partial(bundle.open, each)) for each in layers}

    async def keep(made: ModelVersion) -> None:
        """Stores the signatures and the card. Repeating it has no further effect."""
        here = (made.registry_id, made.model_id, made.version)
        for each in bundle.of_type(modelpack.SIGNATURE):
            try:
                await client.sign_version(*here, SignVersion(signature=bundle.read(each).decode()))
            except (RegistryError, ValueError) as error:
                output.note(f"{each.path} was not kept: {error}")
        if card is not None and (await client.card(*here)).text != card.text:
            await client.set_card(*here, card)
        if bom is not None:
            await _tell_differences(client, made, bom)

    return await _register(client, project, request, files, facts, keep)


def _bom(bundle: Bundle) -> tuple[dict[str, Any] | None, RunFacts]:
    """The bill of materials, and its facts about the run. Raises RegistryError."""
    manifests = bundle.of_type(modelpack.ARCHIVE_MANIFEST)
    for each in bundle.of_type(modelpack.BOM) if manifests else ():
        return read_bom(bundle.read(each), manifests[0].sha256)
    return None, RunFacts()


def _card(bundle: Bundle) -> CardChange | None:
    """The card that a user wrote. Raises RegistryError."""
    for each in bundle.of_type(modelpack.CARD):
        try:
            return CardChange(text=bundle.read(each).decode())
        except ValueError as error:
            raise RegistryError(
                f"The bundle's {each.path} is not a model card of at most {MAX_CARD} characters; nothing was imported",
                action="Export it again: `models export`",
            ) from error
    return None


async def _tell_differences(client: RegistryClient, made: ModelVersion, before: dict[str, Any]) -> None:
    """Reports the differences between the bundle's bill of materials and the one made here."""
    try:
        here = (await client.bom(made.registry_id, made.model_id, made.version)).document
    except NotFound:
        return  # the workflow's log has the reason for its absence
    for line in bom_difference(before, here):
        output.note(f"{line.kind} {line.name}: {line.one or 'none'} in the bundle, {line.other or 'none'} here")


async def _register(
    client: RegistryClient,
    project: str,
    request: RegisterModel,
    files: dict[str, Upload],
    facts: RunFacts,
    keep: Callable[[ModelVersion], Awaitable[None]],
) -> ModelVersion:
    credentials = await client.credentials(project)
    there = await _there(client, project, request)
    if there is not None:
        run = await uploading.begun(credentials, request.name, request.content or "")
        if run is not None and run == there.origin.run_id:
            await keep(there)
            await uploading.end(credentials, run)
        else:
            output.note(f"{there.model_name} v{there.version} has these files already: nothing was sent")
        return await client.version(there.registry_id, there.model_id, there.version)
    with _telling("sent") as tell:
        run = await uploading.log_files(credentials, request.name, request.content or "", files, facts, tell)
    asked = request.model_copy(update={"run_id": run, "artifact_path": FOLDER})
    intent = Intent(f"import-{run}-{hashlib.sha256(asked.model_dump_json().encode()).hexdigest()[:16]}")
    try:
        with intent:
            accepted = await client.register_model(project, asked)
    except RegistryError as error:
        if not may_be_done(error):
            await uploading.discard(credentials, run)
        raise
    try:
        await session.wait(client, accepted.workflow)
    except RegistryError:
        if (await client.workflow(accepted.workflow.id)).status.finished:
            # The workflow can be retried by itself, and the same import starts over.
            await uploading.end(credentials, run)
        raise
    made = accepted.resource
    await keep(made)
    found = await client.version(made.registry_id, made.model_id, made.version)
    await uploading.end(credentials, run)  # the last step: a process killed after it leaves nothing to clean up
    return found


async def _there(client: RegistryClient, project: str, request: RegisterModel) -> ModelVersion | None:
    """The oldest stored version of the model with the files of the import."""
    registry = (await client.project(project)).registry_id
    if registry is None:
        return None  # registering reports the error with the fix
    with suppress(NotFound):
        listed = await client.versions(
            registry, request.name, status="READY", content=request.content, order_by="version", page_size=10
        )
        sound = (each for each in listed.items if each.model_name == request.name and not each.archive_damage)
        return next(sound, None)
    return None


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def _content(sums: dict[str, tuple[int, str]]) -> str:
    """As `Manifest.content`, of files with their size and SHA-256."""
    return Manifest.content_of(ManifestEntry(path=path, size=size, sha256=sha) for path, (size, sha) in sums.items())


def _unpack_wheels(bundle: Bundle, folder: Path) -> None:
    folder.mkdir()
    for each in bundle.of_type(modelpack.WHEEL):
        with (folder / Path(each.path).name).open("xb") as file:
            file.write(bundle.read(each))


@contextmanager
def _telling(done_word: str) -> Iterator[Tell]:
    status = output.Status()

    def tell(done: int, total: int | None, files: int) -> None:
        status.count(f"{counted(files, 'file')} {done_word}, {words.size(done)} of {words.size(total)}", files)

    try:
        yield tell
    finally:
        status.close()
