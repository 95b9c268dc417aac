"""Options for a store's address and credentials, and trying it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_type_hints

import typer

from registry_tui.cli import output, session
from registry_tui.schemas.store_access import access_needed
from registry_tui.schemas.store_addresses import NotAnAddress, store_at
from registry_tui.schemas.stores import (
    Addressing,
    Encryption,
    EnvironmentStore,
    Store,
    StoreCheck,
    StoreProblem,
    StoreReport,
    StoreSettings,
)

StoreArgument = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        help="s3://BUCKET/PREFIX, az://ACCOUNT/CONTAINER/PREFIX, or a directory of the service's machine.",
    ),
]


RegionOption = Annotated[str, typer.Option("--region", help="S3: the bucket's region.")]
EndpointOption = Annotated[
    str, typer.Option("--endpoint", help="The store's address, where it is not the cloud's own.")
]
AddressingOption = Annotated[Addressing, typer.Option("--addressing", help="S3: where requests name the bucket.")]
ProfileOption = Annotated[
    str, typer.Option("--profile", help="S3: a profile in the AWS configuration of the service's account.")
]
AccessKeyOption = Annotated[str, typer.Option("--access-key-id", help="S3: the access key.")]
TenantOption = Annotated[str, typer.Option("--tenant-id", help="Azure: the tenant of a service principal.")]
ClientOption = Annotated[
    str, typer.Option("--client-id", help="Azure: a service principal, or which managed identity.")
]
SasOption = Annotated[bool, typer.Option("--sas", help="Azure: the secret is a SAS, not the account key.")]
SecretOption = Annotated[
    str | None,
    typer.Option(
        "--secret-file",
        metavar="FILE",
        help="Holds the secret key (S3), account key, SAS or client secret (Azure), or a service account's JSON "
        "(Google); - for standard input. Without any credentials the machine's own role counts.",
    ),
]
BundleOption = Annotated[
    str, typer.Option("--ca-bundle", help="A PEM file on the service's machine with the authorities to trust.")
]
EncryptionOption = Annotated[Encryption, typer.Option("--encryption", help="S3: the encryption of stored objects.")]
KmsOption = Annotated[str, typer.Option("--kms-key", help="S3: the ID or ARN of the KMS key.")]


#: Creates a store from an address, with the options that a command got.
Reached = Callable[[str], Store]


def described(
    store: str,
    *,
    region: RegionOption = "us-east-1",
    endpoint: EndpointOption = "",
    addressing: AddressingOption = Addressing.AUTO,
    profile: ProfileOption = "",
    access_key_id: AccessKeyOption = "",
    tenant_id: TenantOption = "",
    client_id: ClientOption = "",
    sas: SasOption = False,
    secret_file: SecretOption = None,
    ca_bundle: BundleOption = "",
    encryption: EncryptionOption = Encryption.BUCKET,
    kms_key: KmsOption = "",
) -> Store:
    """The store for an address and these options; its secret is read from a file or from standard input."""
    secret = "" if secret_file is None else _secret(secret_file)
    known = session.build(
        StoreSettings,
        region=region,
        endpoint=endpoint,
        addressing=addressing,
        profile=profile,
        access_key_id=access_key_id,
        tenant_id=tenant_id,
        client_id=client_id,
        sas=sas,
        ca_bundle=ca_bundle,
        encryption=encryption,
        kms_key=kms_key,
    )
    try:
        return session.build(store_at, address=store, settings=known, secret=secret)
    except NotAnAddress as error:
        raise typer.BadParameter(str(error), param_hint="STORE") from error


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of a store to a command, before `--json`; its parameter `reached` creates a store from an
    address."""
    of_store = inspect.signature(described).parameters.values()
    hints = get_type_hints(described, include_extras=True) | get_type_hints(command, include_extras=True)
    options = [each for each in of_store if each.kind is inspect.Parameter.KEYWORD_ONLY]
    parameters: list[inspect.Parameter] = []
    for each in inspect.signature(command).parameters.values():
        parameters += options if each.name == "as_json" else []
        parameters += [each] if each.name != "reached" else []

    @functools.wraps(command)
    def run(**given: Any) -> None:
        chosen = {option.name: given.pop(option.name) for option in options}
        command(**given, reached=functools.partial(described, **chosen))

    typed = [each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    run.__signature__ = inspect.Signature(typed)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in typed}
    return run


@with_options
def check_store(
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE|ENVIRONMENT",
            help="A store's address, as for change-store; or an environment, whose own store is tried as it is used.",
        ),
    ],
    reached: Reached,
    as_json: session.JsonOption = False,
) -> None:
    """Try a store with an object of its own, before or while it is used; ends with 1 when it cannot be used.

    Example: registry-tui environments check-store s3://acme-models/registry --region eu-west-1 --profile acme
    """
    if not _is_address(store):
        own = session.ask(lambda client: client.check_environment_store(store)).store
        assert own is not None, "the service refuses an environment without a store of its own"
        _print(own, own.uri, own.notes, as_json)
        usable = own.usable
    else:
        found = reached(store)
        report = session.ask(lambda client: client.check_store(StoreCheck(store=found)))
        _print(report, report.uri or store, report.problems, as_json)
        usable = report.usable
    if not usable:
        raise typer.Exit(1)


def store_access(
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE|ENVIRONMENT",
            help="A store's address, as for change-store; or an environment that has a store of its own.",
        ),
    ],
    kms_key: KmsOption = "",
) -> None:
    """Print the minimal permissions that the credentials of an environment's own store need.

    For S3 it is an IAM policy, which opens the KMS key too: give it to a user, make a key of that user, and give the
    key to `environments create` or `change-store`. Sends no request to the store.

    Example: registry-tui environments store-access s3://acme-models/registry
    """
    if _is_address(store):
        encryption = Encryption.KMS if kms_key else Encryption.BUCKET
        found = described(store, encryption=encryption, kms_key=kms_key)
    else:
        own = session.ask(lambda client: client.environment(store)).store
        if own is None:
            raise typer.BadParameter("this environment has no store of its own", param_hint="STORE")
        signing_in = {"profile": "", "access_key_id": "", "tenant_id": "", "client_id": "", "sas": False}
        chosen = {"encryption": Encryption.KMS, "kms_key": kms_key} if kms_key else {}
        settings = own.settings.model_copy(update=signing_in | chosen)
        found = store_at(address=own.uri.rstrip("/"), settings=settings, secret="")
    output.write(f"{access_needed(found)}\n")


def _is_address(text: str) -> bool:
    return "/" in text or ":" in text


def _print(report: StoreReport | EnvironmentStore, uri: str, problems: Sequence[StoreProblem], as_json: bool) -> None:
    fields: dict[str, object] = {"store": uri, "can be used": "yes" if report.usable else "no"}
    output.print_one(report, fields | found_there(problems), as_json=as_json)


def found_there(problems: Sequence[StoreProblem]) -> dict[str, object]:
    """The rows of a trial's findings."""
    return {
        f"{'problem' if each.fatal else 'note'} {number}": f"{each.text}\n{each.action}" if each.action else each.text
        for number, each in enumerate(problems, 1)
    }


def _secret(file: str) -> str:
    secret = session.text_from(file, "--secret-file").strip()
    if not secret:
        raise typer.BadParameter("it holds no secret", param_hint="--secret-file")
    return secret
