"""The place of a platform's rows: options of `up`, and refusals."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from registry_tui.platform import database_choice
from registry_tui.platform.database_choice import Choice, OtherDatabase
from registry_tui.platform.database_urls import Databases, UnusableAddress, databases_of
from registry_tui.platform.errors import Damaged
from registry_tui.platform.paths import Home

URL = "postgresql://ann:secret@db.lab/models"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create()
    return made


def test_a_new_platform_is_in_sqlite_unless_something_else_is_named(home: Home) -> None:
    assert database_choice.news(home, None) is None
    assert databases_of(home) == Databases.in_home(home)


def test_what_is_named_is_kept_for_its_owner_only(home: Home) -> None:
    choice = database_choice.news(home, Choice(URL))
    assert choice == Choice(URL)
    database_choice.keep(home, choice)
    assert databases_of(home) == Databases.on_postgresql(URL)
    assert stat.S_IMODE(home.databases_file.stat().st_mode) == 0o600
    assert database_choice.news(home, None) is None and database_choice.news(home, Choice(URL)) is None


def test_the_settings_name_one_or_three_databases(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.config_file.write_text(f'[service]\ndatabase_url = "{URL}"\nmlflow_database_url = "{URL}-mlflow"\n')
    assert database_choice.news(home, None) == Choice(URL, mlflow=f"{URL}-mlflow")
    monkeypatch.setenv("REGISTRY_TUI_DATABASE_URL", "postgresql://other/one")
    assert database_choice.news(home, None) == Choice("postgresql://other/one", mlflow=f"{URL}-mlflow")
    assert database_choice.news(home, Choice("postgresql://asked/two")) == Choice("postgresql://asked/two")
    monkeypatch.delenv("REGISTRY_TUI_DATABASE_URL")
    home.config_file.write_text(f'[service]\nmlflow_database_url = "{URL}"\n')
    with pytest.raises(UnusableAddress):
        database_choice.news(home, None)


def test_a_platform_with_rows_does_not_begin_again_elsewhere(home: Home) -> None:
    home.service_database.write_bytes(b"rows")
    with pytest.raises(OtherDatabase) as refused:
        database_choice.news(home, Choice(URL))
    assert refused.value.action is not None and "database move" in refused.value.action
    home.service_database.unlink()
    database_choice.keep(home, Choice(URL))
    with pytest.raises(OtherDatabase) as refused:
        database_choice.news(home, Choice("postgresql://ann:secret@db.lab/another"))
    assert "secret" not in f"{refused.value.message} {refused.value.action}"


def test_user_password_and_server_of_a_database_may_change(home: Home) -> None:
    database_choice.keep(home, Choice(URL))
    moved = Choice("postgresql://bob:new@db2.lab:6000/models")
    assert database_choice.news(home, moved) == moved


def test_a_damaged_file_is_reported(home: Home) -> None:
    home.databases_file.write_text("{}")
    with pytest.raises(Damaged):
        databases_of(home)
