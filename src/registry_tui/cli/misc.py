"""`whoami` and `completion`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.users import held
from registry_tui.client.client import RegistryClient
from registry_tui.platform import contexts
from registry_tui.schemas.people import User


class Shell(StrEnum):
    """A shell with known completion."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


async def _who(client: RegistryClient) -> tuple[User, str]:
    """The user, and how this machine's clock differs from the service's."""
    return await client.whoami(), client.clock.difference


def whoami(as_json: session.JsonOption = False) -> None:
    """Show your user name and your rights in this installation: entitlements, groups, roles and projects."""
    context = contexts.chosen()
    found, clock = session.ask(_who)
    fields = {
        "name": found.name,
        "at": "this machine's platform" if context is None else f"{context.url} (context {context.name})",
        "CRN": found.crn,
        "entitlements": found.entitlements,
        **held(found),
        "known since": found.created_at,
    }
    if clock:
        fields["this machine's clock"] = clock
    output.print_one(found, fields, as_json=as_json)


def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> None:
    """Print the script that completes commands, options and names in your shell.

    Example: registry-tui completion bash > ~/.local/share/bash-completion/completions/registry-tui
    """
    # A private name of typer: only this command fails where it is missing.
    from typer._completion_shared import get_completion_script

    script = get_completion_script(prog_name="registry-tui", complete_var="_REGISTRY_TUI_COMPLETE", shell=shell.value)
    output.write(f"{script}\n")
    output.flush()
