"""How MLflow's server is started: one process, every setting and secret in its own memory.

`mlflow server` itself starts a second process that holds the port; killing the first leaves it behind,
and MLflow is imported twice. So we run MLflow's own application factory (`mlflow.server.auth:create_app`) under
uvicorn in the process that the supervisor watches, with the same variables that `mlflow.server._run_server` sets.
"""

from __future__ import annotations

import configparser
import io
import os
import sqlite3
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.garbage import lasting
from registry_tui.mlflow_plugin.addresses import ARTIFACTS_DESTINATION, REGISTRY_STORE
from registry_tui.mlflow_plugin.logged_addresses import hide_passwords
from registry_tui.platform import database_owner, rotation
from registry_tui.platform.database_urls import Databases, databases_of, is_postgresql
from registry_tui.platform.endings import explained, works
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.platform.ports import LOOPBACK, Ports, choose_ports
from registry_tui.platform.secrets import Secrets, SecretsFile, load_secrets, write_private
from registry_tui.platform.unfinished import Doors

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Variables of the caller that must not reach the server: a person's `registry-tui env` exports, another cloud's keys.
_FOREIGN_PREFIXES = ("MLFLOW_", "_MLFLOW_", "AWS_")

#: Names that clients may call this server by.
ALLOWED_HOSTS = f"{LOOPBACK},{LOOPBACK}:*,localhost,localhost:*"
#: Seconds that requests in progress get after SIGTERM.
_GRACE_SECONDS = 5


def server_environment(home: Home, ports: Ports, secrets: Secrets) -> dict[str, str]:
    """MLflow's settings. Names with a leading underscore: `mlflow/server/constants.py` and `_run_server`."""
    return {
        "_MLFLOW_SERVER_FILE_STORE": databases_of(home).mlflow,
        "_MLFLOW_SERVER_REGISTRY_STORE": REGISTRY_STORE,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": ARTIFACTS_DESTINATION,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_SERVER_BOOT_ID": uuid.uuid4().hex,
        "_MLFLOW_IN_JOB_EXECUTOR": "false",
        "MLFLOW_ENABLE_WORKSPACES": "true",
        "MLFLOW_RBAC_SEED_DEFAULT_ROLES": "false",
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
        "MLFLOW_AUTH_CONFIG_PATH": str(home.mlflow / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": secrets.mlflow_admin_user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": secrets.mlflow_admin_password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.mlflow_flask_secret,
        "MLFLOW_CRYPTO_KEK_PASSPHRASE": secrets.mlflow_crypto_passphrase,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ALLOWED_HOSTS,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # MLflow would fetch lists of language models from the internet, for any caller, and wait for them.
        "MLFLOW_MODEL_CATALOG_URI": "",
        "DO_NOT_TRACK": "true",
        "MLFLOW_S3_ENDPOINT_URL": ports.s3_endpoint,
        "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path",
        # No key: only our artifact repository has one, so that an s3:// address that somebody slipped into a tag or a
        # source cannot be read with the server's rights.
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        ENVIRONMENT_VARIABLE: str(home.root),
    }


def write_auth_config(home: Home) -> None:
    """MLflow's auth settings, mode 0600. No password is in it but that of a PostgreSQL database. Raises OSError."""
    config = configparser.ConfigParser(interpolation=None)
    config["mlflow"] = {
        "default_permission": "NO_PERMISSIONS",
        # MLflow reads the file with Python's interpolation.
        "database_uri": databases_of(home).mlflow_auth.replace("%", "%%"),
        "grant_default_workspace_access": "false",
        # Every request of a script proves its password again, with questions to the database, unless it is remembered.
        # One process serves all requests, and changing or deleting a user through it forgets at once.
        "auth_cache_ttl_seconds": "60",
    }
    text = io.StringIO()
    config.write(text)
    write_private(home.mlflow / "auth.ini", text.getvalue())


def let_service_in(home: Home, users: Any) -> None:
    """Gives the service's own account the password that the service has, except while a rotation replaces it.

    MLflow itself reads the password only when it makes the account. Raises OSError.
    """
    if rotation.readable(home) is not None:
        return
    secrets = load_secrets(home)
    user, password = secrets.mlflow_admin_user, secrets.mlflow_admin_password
    if not users.authenticate_user(user, password):
        users.update_user(user, password=password)


def prepare_database(url: str) -> None:
    """Makes a schema of PostgreSQL, or sets SQLite's write-ahead log: readers and the writer then do not wait.

    Raises sqlite3.Error, psycopg.Error.
    """
    if is_postgresql(url):
        # The driver is loaded where it is used.
        from registry_tui.platform.postgresql import ensure_schema

        ensure_schema(url)
        return
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)) as database:
        database.execute("PRAGMA journal_mode=WAL")


def prepare_tables(databases: Databases, tracking: Engine, *others: Engine) -> None:
    """Has MLflow's lists, pages and filters go by the bytes of texts on PostgreSQL too, and makes our indexes.

    Raises SQLAlchemyError, psycopg.Error.
    """
    # SQLAlchemy is loaded with MLflow.
    from registry_tui.mlflow_plugin import default_experiment, indexes

    default_experiment.create_table(tracking)
    # Indexes are made on columns as they stay: changing a column makes its indexes again.
    if _sort_as_sqlite(databases.mlflow, databases.mlflow_auth):
        for engine in (tracking, *others):
            engine.dispose()
    indexes.make(tracking)


def _sort_as_sqlite(*urls: str) -> bool:
    """Returns whether tables were changed: connections from before must not be used again. Raises psycopg.Error."""
    if not any(map(is_postgresql, urls)):
        return False
    # The driver is loaded where it is used.
    from registry_tui.platform.postgresql import compare_by_bytes

    changed = [compare_by_bytes(url) for url in urls]
    return any(changed)


def hide_values(engine: Any) -> None:
    """Keeps the values of statements, password hashes among them, out of the texts of a SQLAlchemy engine's errors."""
    engine.hide_parameters = True


def prepared(home: Home) -> tuple[Any, Ports]:
    """MLflow's application with our parts in it, and the ports. Raises OSError, PlatformError, a database's errors."""
    home.create()
    secrets, ports = load_secrets(home), choose_ports(home)
    for name in [name for name in os.environ if name.startswith(_FOREIGN_PREFIXES)]:
        del os.environ[name]
    os.environ.update(server_environment(home, ports, secrets))
    write_auth_config(home)
    databases = databases_of(home)
    hide_passwords((databases.mlflow, databases.mlflow_auth))
    # Before the administrator's password is set there.
    database_owner.require_own(home, databases.service)
    for url in (databases.mlflow, databases.mlflow_auth):
        prepare_database(url)

    # MLflow reads its environment while it is imported.
    import mlflow.server
    from mlflow.server import artifact_router, auth, handlers, server_info_api
    from mlflow.server.auth import sqlalchemy_store as auth_store

    from registry_tui.contracts.mlflow_routes import RoutesFile
    from registry_tui.mlflow_plugin import (
        analysis,
        artifact_paths,
        client_faults,
        curves,
        database_errors,
        downloads,
        finding,
        hooks,
        mlflow_private,
        model_uris,
        password_hashes,
        project_roles,
        purging,
        run_rows,
        server_info,
        session_key,
        version_rows,
    )
    from registry_tui.mlflow_plugin.api_errors import ApiErrors
    from registry_tui.mlflow_plugin.closed_doors import ClosedSkills
    from registry_tui.mlflow_plugin.default_experiment import DefaultExperiments, ExperimentZero
    from registry_tui.mlflow_plugin.membership import Membership
    from registry_tui.mlflow_plugin.project_addresses import ProjectAddresses
    from registry_tui.mlflow_plugin.shut_doors import ShutDoors

    handlers.initialize_backend_stores(databases.mlflow, REGISTRY_STORE, default_artifact_root="mlflow-artifacts:/")
    downloads.install(artifact_router.artifact_router)
    artifact_paths.install(handlers, artifact_router, auth)
    server_info.install(handlers, server_info_api)
    password_hashes.install(auth_store)
    app = artifact_paths.ArtifactAddresses(auth.create_app())
    let_service_in(home, auth.store)
    stores = (mlflow_private.tracking_store(), mlflow_private.registry_store())
    for store in (*stores, auth.store):
        hide_values(store.engine)
    client_faults.ClientFaults(handlers).install(mlflow.server.app, *stores)
    database_errors.install(mlflow.server.app, *stores, mlflow_private.workspace_store(), auth.store)
    hooks.install(mlflow.server.app, auth)
    model_uris.install(auth, handlers)
    prepare_tables(databases, *(store.engine for store in (*stores, auth.store)))
    curves.install(mlflow.server.app, mlflow_private.tracking_store().engine)
    run_rows.install(mlflow.server.app, mlflow_private.tracking_store().engine)
    purging.install(mlflow.server.app)
    project_roles.install(mlflow.server.app, auth)
    finding.install(mlflow.server.app)
    version_rows.install(mlflow.server.app)
    if not is_postgresql(databases.mlflow):  # which analyses by itself
        analysis.keep_analysed(home.mlflow_database)
    session_key.install(mlflow.server.app, SecretsFile(home))
    routes = RoutesFile(home.routes_file)
    membership = Membership(auth, routes)
    membership.install(mlflow.server.app)
    defaults = DefaultExperiments(mlflow_private.tracking_store(), routes)
    defaults.make_all()
    addresses = ProjectAddresses(ExperimentZero(ClosedSkills(app), defaults), routes)
    inside = ShutDoors(addresses, Doors(home), secrets.mlflow_admin_user)
    return ApiErrors(inside, membership.explain, routes.hosts), ports


def main() -> None:
    """Runs the server in this process until SIGTERM."""
    home = Home.resolve()
    # Everything imported and built at the start lives until the end.
    with lasting(), explained(home, "mlflow", "mlflow", "mlflow_auth"):
        app, ports = prepared(home)
    works(home, "mlflow")
    # MLflow reads its environment while it is imported.
    import uvicorn

    from registry_tui.mlflow_plugin.mlflow_private import uvicorn_log_config

    uvicorn.run(
        app,
        host=LOOPBACK,
        port=ports.mlflow,
        log_config=uvicorn_log_config(),
        timeout_graceful_shutdown=_GRACE_SECONDS,
        server_header=False,
        ws="none",
    )


if __name__ == "__main__":
    main()
