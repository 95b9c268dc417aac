"""`models evidence`: the folder for an auditor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.client.evidence import evidence_files
from registry_tui.client.saving import save_all
from registry_tui.contracts.counts import counted
from registry_tui.wording import words


def evidence(
    model: session.ModelArgument,
    number: session.VersionArgument,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new folder.")],
    with_model: Annotated[bool, typer.Option("--with-model", help="Add the files of its archive.")] = False,
    registry: session.RegistryOption = None,
) -> None:
    """Write all facts about a version into a new folder, with sums and instructions to verify them offline.

    Card, bill of materials, manifest, scan, run with metrics and data sets, approvals, stages, verdicts of the rules,
    lineage, and the events with the hash chain over them.

    Example: registry-tui models evidence WineModel 3 --to ./evidence --with-model
    """

    async def run(client: RegistryClient) -> int:
        status = output.Status()

        def tell(done: int, total: int | None, files: int) -> None:
            status.count(f"{counted(files, 'file')}, {words.size(done)}", files)

        status.show("Requesting the facts", key="")
        try:
            version = await client.version(await session.registry_for_model(client, registry, model), model, number)
            return await save_all(evidence_files(client, version, with_model=with_model), to, tell)
        except OSError as error:
            raise RegistryError(f"{error.filename or to}: {error.strerror or error}") from error
        finally:
            status.close()

    count = session.ask(run)
    output.note(f"{counted(count, 'file')}; {to / 'README.md'} describes them and how to verify them")
    output.write(f"{to}\n")
    output.flush()
