"""Two processes of the service on one home: each takes up the other's rotations and never reverts them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_tui.platform import rotation
from registry_tui.platform.errors import Damaged
from registry_tui.platform.secrets import load_secrets, save_secrets
from registry_tui.schemas.secrets import SecretKind, SecretsRotate
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.operations import rotating
from support.bare import bare_service


@contextmanager
def second_process(folder: Path) -> Iterator[tuple[Service, list[str]]]:
    """A service that has read the secrets of its home, and how often it forgot proved passwords."""
    forgotten: list[str] = []
    access = SimpleNamespace(forget_changes=lambda: forgotten.append("all"), change_password=lambda *_: None)
    with bare_service(folder, access=cast(Any, access)) as service:
        service.home.create()
        service.secrets.become(load_secrets(service.home))
        service.database.shared = True
        yield service, forgotten


def rotated_elsewhere(service: Service) -> None:
    """Another process replaces the object store's keys."""
    names = rotating.FIELDS[SecretKind.OBJECT_STORE]
    other = load_secrets(service.home)
    save_secrets(service.home, rotation.begin(service.home, (SecretKind.OBJECT_STORE,), other, names).after(other))
    rotation.finish(service.home)


def test_rotated_secrets_are_taken_up(tmp_path: Path) -> None:
    with second_process(tmp_path) as (service, forgotten):
        rotating.follow(service)
        assert forgotten == []
        before = service.secrets.object_store_admin
        rotated_elsewhere(service)
        rotating.follow(service)
        assert service.secrets == load_secrets(service.home) and service.secrets.object_store_admin != before
        assert forgotten == ["all"]
        rotating.follow(service)
        assert forgotten == ["all"]


def test_a_rotation_does_not_bring_back_what_another_process_has_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotating, "_GRACE", 0.0)
    with second_process(tmp_path) as (service, _):
        seed = service.secrets.user_password_seed
        rotated_elsewhere(service)
        expected = load_secrets(service.home).object_store_admin
        rotating.rotate(service, identity.owner_principal(service), SecretsRotate(kinds=[SecretKind.PEOPLE]))
        kept = load_secrets(service.home)
        assert kept.object_store_admin == expected and kept.user_password_seed != seed
        assert service.secrets == kept


def test_a_damaged_file_of_secrets_is_not_taken_up(tmp_path: Path) -> None:
    with second_process(tmp_path) as (service, forgotten):
        before = service.secrets.object_store_admin
        service.home.secrets_file.write_text("{")
        with pytest.raises(Damaged):
            rotating.follow(service)
        assert service.secrets.object_store_admin == before and forgotten == []
