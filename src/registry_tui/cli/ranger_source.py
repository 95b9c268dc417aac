"""`ranger source`: the external Ranger that an environment uses, instead of its own policies."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.ranger import RangerService, RangerSourceChange
from registry_tui.wording.words import both

app = session.new_app("An outside Ranger Admin whose policies an environment obeys, read-only here.")


async def _environments(client: RegistryClient) -> list[str]:
    return [each.configs.get("environment", "") for each in await client.ranger_services()]


EnvironmentArgument = Annotated[
    str, typer.Argument(help="A RAZ-enabled environment.", autocompletion=session.completes(_environments))
]


@app.command("show")
def show(environment: EnvironmentArgument, as_json: session.JsonOption = False) -> None:
    """Show where an environment's policies come from, and how the last question went."""
    _print(session.ask(lambda client: client.ranger_service(environment)), as_json)


@app.command("set")
def set_source(
    environment: EnvironmentArgument,
    url: Annotated[str, typer.Option("--url", help="Its address, e.g. https://ranger.example.com:6182.")],
    service: Annotated[str, typer.Option("--service", "-s", help="The name of the service there.")] = "cm_s3",
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="The user to sign in as there, with a password.")
    ] = None,
    password_file: Annotated[
        str | None,
        typer.Option(
            "--password-file",
            metavar="FILE",
            help="Holds that user's password; - for standard input. Left out, the one that was given before stays.",
        ),
    ] = None,
    every: Annotated[float, typer.Option("--every", help="Seconds between questions.", min=1, max=3600)] = 30.0,
    as_json: session.JsonOption = False,
) -> None:
    """Let an environment obey a service of an outside Ranger. Its policies are fetched and enforced at once.

    Example: registry-tui ranger source set cloud --url https://ranger.example.com:6182 --user plugin --password-file -
    """
    change = RangerSourceChange(
        url=url,
        service=service,
        user=user,
        password=None if password_file is None else session.secret_from(password_file, "--password-file"),
        every=every,
    )
    _print(session.ask(lambda client: client.set_ranger_source(environment, change)), as_json)


@app.command("delete")
def delete(
    environment: EnvironmentArgument, yes: session.YesOption = False, dry_run: session.DryRunOption = False
) -> None:
    """Bring the environment's own policies back."""
    question = f"Let {environment} obey its own policies again, at once?"
    session.confirm_deletion(question, reference("ranger-source", environment), yes=yes, dry_run=dry_run)
    session.ask(lambda client: client.delete_ranger_source(environment))
    output.note(f"Environment {environment} obeys its own policies")


def _print(service: RangerService, as_json: bool) -> None:
    source = service.source
    if source is None:
        output.print_one(service, {"service": service.name, "policies": "its own"}, as_json=as_json)
        return
    fields: dict[str, object] = {
        "service": service.name,
        "policies": f"of {source.service}, version {source.policy_version}; read-only here",
        "Ranger": source.url,
        "user": source.user,
        "asked": f"every {source.every:g} s",
        "fetched": both(source.fetched_at),
        "not given since": None if source.failing_since is None else both(source.failing_since),
        "because": source.problem or None,
        "notes": source.notes,
    }
    output.print_one(source, fields, as_json=as_json)
