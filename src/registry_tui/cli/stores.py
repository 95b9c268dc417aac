"""Options that say where a store is and how to sign in there, and `environments check-store`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from registry_tui.cli import output, session
from registry_tui.schemas.store_access import access_needed
from registry_tui.schemas.stores import (
    Addressing,
    AzureAddress,
    AzureCredentials,
    AzureStore,
    DirectoryAddress,
    DirectoryStore,
    Encryption,
    GoogleAddress,
    GoogleCredentials,
    GoogleStore,
    S3Address,
    S3Credentials,
    S3Store,
    Store,
    StoreCheck,
    StoreReport,
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
EncryptionOption = Annotated[Encryption, typer.Option("--encryption", help="S3: how what is stored is encrypted.")]
KmsOption = Annotated[str, typer.Option("--kms-key", help="S3: the ID or ARN of the KMS key.")]


def check_store(
    store: StoreArgument,
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
    as_json: session.JsonOption = False,
) -> None:
    """Try a store with an object of its own, before an environment uses it; ends with 1 when it cannot be used.

    Example: registry-tui environments check-store s3://acme-models/registry --region eu-west-1 --profile acme
    """
    found = described(
        store,
        region=region,
        endpoint=endpoint,
        addressing=addressing,
        profile=profile,
        access_key_id=access_key_id,
        tenant_id=tenant_id,
        client_id=client_id,
        sas=sas,
        secret_file=secret_file,
        ca_bundle=ca_bundle,
        encryption=encryption,
        kms_key=kms_key,
    )
    report = session.ask(lambda client: client.check_store(StoreCheck(store=found)))
    _print(report, store, as_json)
    if not report.usable:
        raise typer.Exit(1)


def store_access(store: StoreArgument) -> None:
    """Print what the credentials of an environment's own store have to be allowed, and nothing more.

    For S3 it is an IAM policy: give it to a user, make a key of that user, and give the key to `environments create` or
    `change-store`. Nothing is asked of the store.

    Example: registry-tui environments store-access s3://acme-models/registry
    """
    place = described(
        store,
        region="us-east-1",
        endpoint="",
        addressing=Addressing.AUTO,
        profile="",
        access_key_id="",
        tenant_id="",
        client_id="",
        sas=False,
        secret_file=None,
        ca_bundle="",
        encryption=Encryption.BUCKET,
        kms_key="",
    )
    output.write(f"{access_needed(place)}\n")


def described(
    store: str,
    *,
    region: str,
    endpoint: str,
    addressing: Addressing,
    profile: str,
    access_key_id: str,
    tenant_id: str,
    client_id: str,
    sas: bool,
    secret_file: str | None,
    ca_bundle: str,
    encryption: Encryption,
    kms_key: str,
) -> Store:
    """The store that an address and these options mean; its secret is read from a file or from standard input."""
    scheme, bucket, prefix = _parts(store)
    secret = "" if secret_file is None else _secret(secret_file)
    if scheme == "s3":
        return S3Store(
            address=session.build(
                S3Address,
                bucket=bucket,
                prefix=prefix,
                endpoint=endpoint,
                region=region,
                addressing=addressing,
                ca_bundle=ca_bundle,
                encryption=encryption,
                kms_key=kms_key,
            ),
            credentials=session.build(
                S3Credentials, profile=profile, access_key_id=access_key_id, secret_access_key=secret
            ),
        )
    if scheme == "az":
        container, _, below = prefix.partition("/")
        kind = "sas" if sas else "client_secret" if tenant_id else "account_key"
        return AzureStore(
            address=session.build(
                AzureAddress,
                account=bucket,
                container=container,
                prefix=below,
                endpoint=endpoint,
                ca_bundle=ca_bundle,
            ),
            credentials=session.build(AzureCredentials, tenant_id=tenant_id, client_id=client_id, **{kind: secret}),
        )
    if scheme == "gs":
        return GoogleStore(
            address=session.build(GoogleAddress, bucket=bucket, prefix=prefix, endpoint=endpoint, ca_bundle=ca_bundle),
            credentials=session.build(GoogleCredentials, service_account=secret),
        )
    return DirectoryStore(address=session.build(DirectoryAddress, path=prefix))


def _parts(store: str) -> tuple[str, str, str]:
    """Scheme, host and path of a store's address; the path of a directory is whole."""
    if store.startswith("/"):
        return "file", "", store
    address = urlsplit(store)
    if address.scheme not in ("s3", "az", "gs", "file") or address.query or address.fragment:
        raise typer.BadParameter(
            f"{store!r} is not s3://BUCKET/PREFIX, az://ACCOUNT/CONTAINER/PREFIX, gs://BUCKET/PREFIX or /A/DIRECTORY",
            param_hint="STORE",
        )
    return address.scheme, address.netloc, address.path if address.scheme == "file" else address.path.strip("/")


def _secret(file: str) -> str:
    secret = session.text_from(file, "--secret-file").strip()
    if not secret:
        raise typer.BadParameter("it holds no secret", param_hint="--secret-file")
    return secret


def _print(report: StoreReport, store: str, as_json: bool) -> None:
    fields: dict[str, object] = {"store": report.uri or store, "can be used": "yes" if report.usable else "no"}
    for number, each in enumerate(report.problems, 1):
        name = f"problem {number}" if each.fatal else f"note {number}"
        fields[name] = f"{each.text}\n{each.action}" if each.action else each.text
    output.print_one(report, fields, as_json=as_json)
