"""The file of a rotation of secrets: whole or set aside, and never in the way of a start."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from registry_tui.mlflow_plugin.launch import let_service_in
from registry_tui.platform import rotation
from registry_tui.platform.errors import Damaged
from registry_tui.platform.paths import Home
from registry_tui.platform.rotation import Rotation
from registry_tui.platform.secrets import Secrets, load_secrets
from registry_tui.service.database.tables import EventRow
from registry_tui.service.operations import rotating
from support.bare import bare_service

NAMES = ("object_store_admin", "mlflow_admin_password")


def begun(home: Home, secrets: Secrets) -> Rotation:
    return rotation.begin(home, ("object-store", "mlflow"), secrets, NAMES)


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    """Changes the file's document."""

    def text(before: str) -> str:
        document = json.loads(before)
        change(document)
        return json.dumps(document)

    return text


DAMAGES: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "cut off": lambda text: text[:-20],
    "zeros": lambda text: "\0" * len(text),
    "a list": lambda _: "[]",
    "no stage": changed(lambda found: found.pop("stage")),
    "another stage": changed(lambda found: found.update(stage="later")),
    "no kinds": changed(lambda found: found.update(kinds=None)),
    "no new secrets": changed(lambda found: found.update(new=None)),
    "a secret that there is not": changed(lambda found: found["new"].update(other="x")),
    "a key that is a text": changed(lambda found: found["new"].update(object_store_admin="x")),
    "half a key": changed(lambda found: found["old"]["object_store_admin"].pop("access_key_id")),
    "a password that is a number": changed(lambda found: found["new"].update(mlflow_admin_password=1)),
}


def damage(home: Home, secrets: Secrets, name: str) -> str:
    begun(home, secrets)
    text = DAMAGES[name](home.rotation_file.read_text())
    home.rotation_file.write_text(text)
    return text


def test_a_whole_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    home = Home(tmp_path)
    secrets = load_secrets(home)
    made = begun(home, secrets)
    assert rotation.under_way(home) == made == rotation.readable(home)
    both = [secrets.object_store_admin, made.after(secrets).object_store_admin]
    assert rotation.accepted(home, secrets, "object_store_admin") == both


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_leaves_the_secrets_of_before(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path)
    secrets = load_secrets(home)
    damage(home, secrets, name)
    with pytest.raises(Damaged, match="is damaged"):
        rotation.under_way(home)
    assert rotation.accepted(home, secrets, "object_store_admin") == [secrets.object_store_admin]


@pytest.mark.parametrize("name", [*DAMAGES, "an unknown kind"])
def test_the_service_sets_a_damaged_file_aside_once_and_reports_it(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with bare_service(tmp_path) as service:
        home = service.home
        if name in DAMAGES:
            text = damage(home, service.secrets, name)
        else:
            rotation.begin(home, ("keys of later versions",), service.secrets, NAMES)
            text = home.rotation_file.read_text()
        rotating.resume(service)
        assert not home.rotation_file.exists()
        assert home.damaged_rotation_file.read_text() == text
        assert stat.S_IMODE(home.damaged_rotation_file.stat().st_mode) == 0o600
        with service.database.reading() as session:
            [event] = session.scalars(sa.select(EventRow))
        assert (event.action, event.outcome) == ("secrets.rotate", "failed")
        for words in ("secrets-rotation.json", str(home.damaged_rotation_file), "`registry-tui secrets rotate`"):
            assert words in event.detail and words in caplog.text
        rotating.resume(service)
        with service.database.reading() as session:
            assert len(list(session.scalars(sa.select(EventRow)))) == 1
        rotation.finish(home)
        assert not home.damaged_rotation_file.exists(), "the next rotation replaced what was in it"


class Users:
    """MLflow's users: a single one."""

    def __init__(self, password: str) -> None:
        self.password = password

    def authenticate_user(self, username: str, password: str) -> bool:
        return (username, password) == ("registry-tui", self.password)

    def update_user(self, username: str, password: str | None = None) -> None:
        assert username == "registry-tui" and password
        self.password = password


@pytest.mark.parametrize("damaged", [True, False])
def test_mlflow_lets_the_service_in_at_its_start_unless_a_rotation_goes_on(tmp_path: Path, damaged: bool) -> None:
    home = Home(tmp_path)
    secrets = load_secrets(home)
    new = begun(home, secrets).after(secrets).mlflow_admin_password
    if damaged:
        home.rotation_file.write_text("{")
    users = Users(new)
    let_service_in(home, users)
    assert users.password == (secrets.mlflow_admin_password if damaged else new)
