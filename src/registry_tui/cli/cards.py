"""`models card`: the description of a version for people, in Markdown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import click
import typer

from registry_tui.cli import output, session
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.schemas.cards import MAX_CARD, CardChange, ModelCard


def card(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    edit: Annotated[bool, typer.Option("--edit", help="Edit the present card in $EDITOR.")] = False,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="A Markdown file with the card; - for standard input.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="The card's Markdown.")] = None,
    instead_of: Annotated[
        int | None,
        typer.Option(min=0, help="The number of the card that this one replaces; refused when it changed meanwhile."),
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Show a version's model card, or write it. Until a person writes one, it is generated from the version's facts.

    Example: registry-tui models card WineModel 3 --edit
    """
    if edit + (file is not None) + (text is not None) > 1:
        raise typer.BadParameter("Give one of --edit, --file and --text")

    async def read(client: RegistryClient) -> ModelCard:
        return await client.card(await session.registry_for_model(client, registry, model), model, number)

    if edit:
        before = session.ask(read)
        text = click.edit(before.text, extension=".md", require_save=True)
        if text is None or text == before.text or not text.strip():
            output.note("Nothing was changed")
            return
        instead_of = before.number
    elif file is not None:
        text = _content(file)
    elif text is None:
        found = session.ask(read)
        if as_json:
            output.print_json(found)
            return
        output.write(found.text if found.text.endswith("\n") else f"{found.text}\n")
        output.flush()
        if found.author is None:
            output.note("Nobody has written this card; it is generated from the version's data")
        return

    change = session.build(CardChange, text=text, instead_of=instead_of)

    async def write(client: RegistryClient) -> ModelCard:
        return await client.set_card(await session.registry_for_model(client, registry, model), model, number, change)

    made = session.ask(write)
    if as_json:
        output.print_json(made)
    else:
        output.note(f"Card {made.number} of {model} version {number}")


def _content(file: Path) -> str:
    try:
        content = sys.stdin.buffer.read(4 * MAX_CARD + 1) if file == Path("-") else file.read_bytes()
        text = content.decode()
    except OSError as error:
        raise RegistryError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RegistryError(f"{file} is not a text in UTF-8") from error
    return text
