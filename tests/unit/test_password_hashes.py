"""MLflow's auth app hashes this installation's random passwords fast, and still accepts the hashes stored before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from werkzeug.security import generate_password_hash


@pytest.fixture
def stored_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    """Makes an account named `ann` in MLflow's own store, with its `generate_password_hash` put back at the end."""
    # MLflow's auth app reads its settings while it is imported.
    monkeypatch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", "unit-test")
    from mlflow.server.auth import sqlalchemy_store
    from mlflow.server.auth.db.models import SqlUser

    from registry_tui.mlflow_plugin import password_hashes

    monkeypatch.setattr(sqlalchemy_store, "generate_password_hash", generate_password_hash)
    store = sqlalchemy_store.SqlAlchemyStore()
    store.init_db(f"sqlite:///{tmp_path / 'auth.db'}")
    store.create_user("old", "as it was stored before")
    password_hashes.install(sqlalchemy_store)
    store.create_user("ann", "the first of all")

    def change(password: str) -> str:
        store.update_user("ann", password=password)
        assert store.authenticate_user("ann", password)
        assert not store.authenticate_user("ann", "the first of all") and not store.authenticate_user(
            "ann", f"{password} "
        )
        assert store.authenticate_user("old", "as it was stored before") and not store.authenticate_user(
            "old", password
        )
        with store.ManagedSessionMaker() as session:
            return str(session.query(SqlUser.password_hash).filter(SqlUser.username == "ann").scalar())

    return change


def test_new_passwords_are_hashed_fast_and_older_hashes_stay_good(stored_hash: Callable[[str], str]) -> None:
    first, second = stored_hash("another password"), stored_hash("another password")
    for stored in (first, second):
        assert stored.startswith("pbkdf2:sha256:1000$") and "another" not in stored
    assert first != second  # salted
