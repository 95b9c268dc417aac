"""`secrets`: the platform's own passwords and keys."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.secrets import SecretKind, SecretsRotate
from registry_tui.wording import secrets

app = session.new_app("The platform's own passwords and keys.")


@app.command()
def rotate(
    kind: Annotated[
        list[SecretKind] | None, typer.Option("--kind", help="Only secrets of this kind; repeatable.")
    ] = None,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
    as_json: session.JsonOption = False,
) -> None:
    """Replace the platform's own passwords and keys while it works. The old ones then no longer work.

    `object-store`: the object store's keys of the administrator and of MLflow's server. `machine-users`: the object
    store's keys of Model Registries' machine users. `mlflow`: the service's password at MLflow's server, and the key of
    its pages' sessions. `people`: everybody's password at MLflow's server, which `registry-tui env` prints.

    No kind replaces the key of the certificate for other machines (`up --listen … --new-certificate` does), API keys
    and tokens of people, the password for an outside Ranger (`ranger source set`), the passphrase of MLflow's encrypted
    values (keys of language models), the keys that sign versions (`signing keys rotate`), and the key of answers to
    repeated requests.

    Example: registry-tui secrets rotate --kind object-store
    """
    request = session.build(SecretsRotate, kinds=kind or [])
    named = ", ".join(request.kinds or SecretKind)
    about = [reference("secrets", each) for each in request.kinds or SecretKind]
    session.confirm_deletion(f"Replace these secrets: {named}?", about, yes=yes, dry_run=dry_run)
    rotated = session.ask(lambda client: client.rotate_secrets(request))
    if as_json:
        output.print_json(rotated)
    else:
        output.note(secrets.replaced(rotated.kinds))
