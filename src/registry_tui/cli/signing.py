"""`signing keys`, `models signature`, `models sign`: the signers of versions, and the trusted keys."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.client.saving import Remote, save_one
from registry_tui.contracts import signatures
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.signatures import (
    CheckedSignature,
    SigningKey,
    SigningKeyAdd,
    SignVersion,
    VersionSignatures,
)

app = session.new_app("Signatures of versions: the keys that make them, and those that are trusted.")
keys = session.new_app("The keys that an environment trusts; one of them signs new versions.")
app.add_typer(keys, name="keys")

KeyArgument = Annotated[str, typer.Argument(help="A key, by name or fingerprint.")]
KEYS = [
    Column[SigningKey]("NAME", lambda each: each.name),
    Column[SigningKey]("FINGERPRINT", lambda each: signatures.short(each.fingerprint)),
    Column[SigningKey]("OF", lambda each: "the registry" if each.own else "somebody else"),
    Column[SigningKey]("SIGNS", lambda each: "yes" if each.active else "no"),
    Column[SigningKey]("BY", lambda each: each.creator),
    Column[SigningKey]("ADDED", lambda each: each.created_at),
]
SIGNATURES = [
    Column[CheckedSignature]("BY", lambda each: each.kind),
    Column[CheckedSignature]("KEY", lambda each: each.key_name),
    Column[CheckedSignature]("FINGERPRINT", lambda each: signatures.short(each.fingerprint)),
    Column[CheckedSignature]("SIGNED", lambda each: each.signed_at),
    Column[CheckedSignature]("FOR", lambda each: each.creator),
    Column[CheckedSignature]("CHECK", lambda each: each.problem or "valid", flexible=True),
]


@keys.command("list")
def list_keys(
    environment: session.EnvironmentArgument, limit: session.LimitOption = None, as_json: session.JsonOption = False
) -> None:
    """List the keys whose signatures count in an environment, the oldest first."""
    session.ask(
        lambda client: output.print_list(
            lambda **page: client.signing_keys(environment, **page), KEYS, as_json=as_json, limit=limit
        )
    )


@keys.command()
def show(
    environment: session.EnvironmentArgument,
    key: Annotated[
        str | None, typer.Argument(help="A key, by name or fingerprint; default: the one that signs.")
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Print a public key as PEM, for `model_signing verify key --public_key`.

    Example: registry-tui signing keys show prod > prod.pem
    """

    async def run(client: RegistryClient) -> SigningKey:
        return await _find(client, environment, key)

    found = session.ask(run)
    if as_json:
        output.print_one(found, {}, as_json=True)
        return
    output.write(found.public_key)
    output.flush()


@keys.command()
def add(
    environment: session.EnvironmentArgument,
    name: Annotated[str, typer.Argument(help="The key's name here.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="Its public half as PEM, or - for standard input.")],
    as_json: session.JsonOption = False,
) -> None:
    """Trust somebody's public key: P-256, P-384 or P-521.

    Example: registry-tui signing keys add prod fraud-team team.pem
    """
    text = file if file.lstrip().startswith("-----BEGIN") else session.text_from(file, "FILE")
    request = session.build(SigningKeyAdd, name=name, public_key=text)
    found = session.ask(lambda client: client.add_signing_key(environment, request))
    if as_json:
        output.print_one(found, {}, as_json=True)
    else:
        output.note(f"{found.environment_name} trusts {found.name} ({signatures.short(found.fingerprint)}) now")


@keys.command()
def remove(
    environment: session.EnvironmentArgument,
    key: KeyArgument,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
) -> None:
    """Trust a key no more: versions that only it signed are not deployed, and their replicas do not start again."""
    question = f"Trust the key {key} no more? Versions that only it signed cannot be deployed then."
    session.confirm_deletion(question, reference("signing-key", environment, key), yes=yes, dry_run=dry_run)
    session.ask(lambda client: client.remove_signing_key(environment, key))
    output.note(f"The key {key} is not trusted any more")


@keys.command()
def rotate(
    environment: session.EnvironmentArgument, yes: session.YesOption = False, as_json: session.JsonOption = False
) -> None:
    """Make a new key, which signs from now on. Signatures of earlier keys stay valid until those are removed."""
    session.confirm(f"Sign new versions in {environment} with a new key from now on?", yes=yes)
    found = session.ask(lambda client: client.rotate_signing_key(environment))
    if as_json:
        output.print_one(found, {}, as_json=True)
    else:
        output.note(f"{found.name} ({signatures.short(found.fingerprint)}) signs in {found.environment_name} now")


def signature(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Write the signature there, for `model_signing verify`."),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="With --save: the key's fingerprint; default: the first that counts.")
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Show a version's signers, and check each signature now. Exits with 1 when none counts.

    Example: registry-tui models signature WineModel 3 --save wine.sig
    """
    if key is not None and save is None:
        raise typer.BadParameter("needs --save", param_hint="--key")

    async def run(client: RegistryClient) -> VersionSignatures:
        place = await session.registry_for_model(client, registry, model)
        found = await client.signatures(place, model, number)
        if save is not None:
            chosen = key or next((each.fingerprint for each in found.valid), "")
            if not chosen:
                message = f"{model} version {number} has no signature that counts"
                raise RegistryError(message, action=_sign_it(model, number))
            fetch = partial(client.download_signature, place, model, number, chosen)
            try:
                await save_one(Remote(save.name, None, fetch), save, lambda _done, _total, _files: None)
            except OSError as error:
                raise RegistryError(f"{error.filename or save}: {error.strerror or error}") from error
        return found

    found = session.ask(run)
    if as_json:
        output.print_one(found, {}, as_json=True)
    elif found.signatures:
        output.Table(SIGNATURES).print(found.signatures)
    else:
        output.note(f"{model} version {number} is not signed: it was registered before versions were")
    if not found.valid:
        if not as_json:
            output.note(_sign_it(model, number))
        raise typer.Exit(1)


def sign(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    signature_file: Annotated[
        str | None,
        typer.Option(
            "--signature",
            metavar="FILE",
            help="A signature of somebody else, as `model_signing sign key` writes it; - for standard input.",
        ),
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Sign a version with the environment's key once all its files have their sums; or add somebody's signature.

    Example: registry-tui models sign WineModel 3 --signature wine.sig
    """
    text = None
    if signature_file is not None:
        given = signature_file.lstrip().startswith("{")
        text = signature_file if given else session.text_from(signature_file, "--signature")
    request = session.build(SignVersion, signature=text)

    async def run(client: RegistryClient) -> VersionSignatures:
        place = await session.registry_for_model(client, registry, model)
        return await client.sign_version(place, model, number, request)

    found = session.ask(run)
    if as_json:
        output.print_one(found, {}, as_json=True)
    else:
        output.Table(SIGNATURES).print(found.signatures)


async def _find(client: RegistryClient, environment: str, key: str | None) -> SigningKey:
    page = await client.signing_keys(environment, page_size=200)
    for each in page.items:
        if each.active if key is None else key in (each.name, each.fingerprint):
            return each
    listed = f"`registry-tui signing keys list {environment}`"
    if key is None:
        raise RegistryError(
            f"{environment} has no key of its own yet: the first version that is registered makes it",
            action=f"Make one now: `registry-tui signing keys rotate {environment}`",
        )
    raise RegistryError(f"{environment} trusts no key {key!r}", action=f"See {listed}")


def _sign_it(model: str, number: int) -> str:
    return f"Sign it: `registry-tui models sign {model} {number}`"
