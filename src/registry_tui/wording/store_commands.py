"""The commands of requests about environments and their stores."""

from __future__ import annotations

from pydantic import TypeAdapter

from registry_tui.schemas.places import BackendChange
from registry_tui.schemas.store_addresses import secret_of, settings_of
from registry_tui.schemas.stores import DirectoryStore, S3Store, Store, StoreSettings, uri_of
from registry_tui.wording.command_parts import Body, Line, Make, Names, NoCommand, Options, line, simple

#: The file that a printed command reads the secret from: a command line can be seen by others.
SECRET_FILE = "store.secret"
#: The same for a cluster's token.
TOKEN_FILE = "cluster.token"
_STORES: TypeAdapter[Store] = TypeAdapter(Store)


def _create(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [("--cloud", body["cloud"]), ("--no-raz", not body["raz_enabled"])]
    if body.get("store") is None:
        return [line("environments create", [body["name"]], options)]
    store = _STORES.validate_python(body["store"])
    options = [*options, ("--bucket", _address(store)), ("--no-artifacts", not body["store_artifacts"])]
    return [line("environments create", [body["name"]], [*options, *_options(store)])]


def _change(names: Names, query: Body, body: Body) -> list[Line]:
    store = _STORES.validate_python(body["store"])
    artifacts = body["artifacts"]
    options: Options = [] if artifacts is None else [("--artifacts" if artifacts else "--no-artifacts", True)]
    return [line("environments change-store", [*names, _address(store)], [*options, *_options(store)])]


def _give_key(names: Names, query: Body, body: Body) -> list[Line]:
    store = _STORES.validate_python(body["store"])
    options: Options = [("--principal", body["principal"] or None)]
    return [line("registries give-key", [*names, _address(store)], [*options, *_options(store)])]


def _set_backend(names: Names, query: Body, body: Body) -> list[Line]:
    usual = BackendChange.model_fields["http_port"].default
    options: Options = [
        ("--address", body["address"] or None),
        ("--token-file", TOKEN_FILE if body["token"] else None),
        ("--http-port", body["http_port"] if body["http_port"] != usual else None),
    ]
    return [line("environments set-backend", [*names, body["kind"]], options)]


def _address(store: Store) -> str:
    return store.address.path if isinstance(store, DirectoryStore) else uri_of(store).rstrip("/")


def _options(store: Store) -> Options:
    """The settings that differ from the command's defaults."""
    if isinstance(store, S3Store) and store.credentials.session_token:
        raise NoCommand("the command line takes no session token")
    usual, given = StoreSettings().model_dump(mode="json"), settings_of(store).model_dump(mode="json")
    named = [(f"--{name.replace('_', '-')}", value) for name, value in given.items() if value != usual[name]]
    return [*named, ("--secret-file", SECRET_FILE if secret_of(store) else None)]


def remark(body: Body) -> str:
    """Steps that are needed before the command."""
    if body.get("token"):
        return f"put the token into the file {TOKEN_FILE} first"
    if body.get("store") is None or not secret_of(_STORES.validate_python(body["store"])):
        return ""
    return f"put the secret into the file {SECRET_FILE} first"


#: Method and address below `/api/v1`, with the command that does the same.
COMMANDS: tuple[tuple[str, str, Make], ...] = (
    ("POST", "environments", _create),
    ("PUT", "environments/*/store", _change),
    ("PUT", "environments/*/backend", _set_backend),
    ("PUT", "registries/*/store-key", _give_key),
    ("DELETE", "registries/*/store-key", simple("registries forget-key")),
)
