"""`secrets`: the platform's own passwords and keys."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.schemas.secrets import SecretKind, SecretsRotate

app = session.new_app("The platform's own passwords and keys.")


@app.command()
def rotate(
    kind: Annotated[
        list[SecretKind] | None, typer.Option("--kind", help="Only of this kind; may be given several times.")
    ] = None,
    yes: session.YesOption = False,
    as_json: session.JsonOption = False,
) -> None:
    """Replace the platform's own passwords and keys while it works. The old ones then no longer work.

    After `people`, everybody's exports are old: `registry-tui env` prints the new ones. API keys and tokens stay.

    Example: registry-tui secrets rotate --kind object-store
    """
    request = session.build(SecretsRotate, kinds=kind or [])
    named = ", ".join(request.kinds or SecretKind)
    session.confirm(f"Replace these secrets: {named}?", yes=yes)
    rotated = session.ask(lambda client: client.rotate_secrets(request))
    if as_json:
        output.print_json(rotated)
    else:
        output.note(f"Replaced: {', '.join(rotated.kinds)}")
