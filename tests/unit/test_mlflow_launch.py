"""The command that starts MLflow's server, and the values that must not be visible from outside."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path

from registry_tui.mlflow_plugin import analysis
from registry_tui.mlflow_plugin.launch import prepare_database, server_environment, write_auth_config
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import Ports
from registry_tui.platform.secrets import load_secrets
from registry_tui.platform.supervisor import configuration

PORTS = Ports(*range(20001, 20001 + len(fields(Ports))))


def test_no_secret_is_in_the_command_or_its_environment(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    secrets = load_secrets(home)
    write_auth_config(home)
    seen = configuration(home) + (home.mlflow / "auth.ini").read_text()
    kept = [secrets.mlflow_admin_password, secrets.mlflow_flask_secret, secrets.mlflow_crypto_passphrase]
    kept += [
        value for key in (secrets.object_store_admin, secrets.object_store_mlflow) for value in asdict(key).values()
    ]
    assert "registry_tui.mlflow_plugin.launch" in seen
    assert not [secret for secret in kept if secret in seen]
    assert (home.mlflow / "auth.ini").stat().st_mode & 0o777 == 0o600


def test_no_key_to_the_object_store_is_in_the_servers_environment(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    secrets = load_secrets(home)
    environment = server_environment(home, PORTS, secrets)
    assert secrets.object_store_mlflow.secret_access_key not in environment.values()


def test_importing_the_entry_points_imports_no_mlflow() -> None:
    code = "import sys, registry_tui.mlflow_plugin.entry_points; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_the_database_is_analysed_and_measured(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    prepare_database(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        database.execute("CREATE TABLE runs (run_uuid TEXT PRIMARY KEY)")
        database.executemany("INSERT INTO runs VALUES (?)", [(str(number),) for number in range(500)])
        database.commit()
        assert analysis.size(database) == 500
        assert analysis.analyse(path) == 500
        assert database.execute("SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'runs'").fetchone() == (1,)
