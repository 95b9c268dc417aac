"""Suspended or deleted people stay out of MLflow, also during concurrent changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from registry_tui.schemas.people import UserState
from registry_tui.schemas.places import Role
from registry_tui.service.adapters.access import Access
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import CollaboratorRow, UserRow
from registry_tui.service.errors import Missing, UserSuspended
from registry_tui.service.operations import rotating
from registry_tui.service.publishing import mlflow as routing
from support.accounts import Accounts
from support.bare import bare_service, make_place, set_roles

#: How long to wait for events that must not happen before.
MEANWHILE = 0.5


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def service(tmp_path: Path, accounts: Accounts) -> Iterator[Service]:
    with bare_service(tmp_path, mlflow=accounts) as bare:
        access = Access(accounts, bare.secrets, partial(identity.mlflow_account, bare.database))  # type: ignore[arg-type]
        made = replace(bare, access=access)
        make_place(made, "aws")
        set_roles(made, "bob", "aws", project="viewer")
        yield made


def suspend(service: Service) -> None:
    """As `people.change_user` does it."""
    with service.database.session() as session:
        session.execute(sa.update(UserRow).where(UserRow.name == "bob").values(state=UserState.SUSPENDED.value))
    service.access.lock_out("bob")


def delete(service: Service) -> None:
    suspend(service)
    with service.database.session() as session:
        session.execute(sa.delete(CollaboratorRow).where(CollaboratorRow.user == "bob"))
    service.access.remove_user("bob")
    with service.database.session() as session:
        session.execute(sa.delete(UserRow).where(UserRow.name == "bob"))


def request(service: Service) -> None:
    service.access.ensure_user("bob")


def mirror(service: Service) -> None:
    service.access.mirror_project("aws-wine", {"bob": Role.VIEWER}, None)


def rotate(service: Service) -> None:
    rotating._change_passwords(service, service.secrets)


@pytest.mark.parametrize("end", [suspend, delete])
@pytest.mark.parametrize("other", [request, mirror, rotate])
@pytest.mark.parametrize("known", [False, True])
def test_work_that_began_before_does_not_let_a_suspended_person_in(
    service: Service, accounts: Accounts, end: Callable[[Service], None], other: Callable[[Service], None], known: bool
) -> None:
    if known:
        accounts.passwords["bob"] = "another one"
    began, ended = threading.Event(), threading.Event()
    first = threading.get_ident()

    def before(path: str) -> None:
        if threading.get_ident() != first and path.startswith("users/") and not began.is_set():
            began.set()
            ended.wait(MEANWHILE)

    accounts.before = before
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(other, service)
        assert began.wait(300)
        end(service)
        ended.set()
        working.result(300)
    assert not accounts.open_to("bob", service.secrets)


@pytest.mark.parametrize("end", [suspend, delete])
def test_work_that_comes_later_does_not_let_a_suspended_person_in(
    service: Service, accounts: Accounts, end: Callable[[Service], None]
) -> None:
    request(service)
    assert accounts.open_to("bob", service.secrets)
    end(service)
    for refused in (service.access.ensure_user, service.access.password, service.access.usable_password):
        with pytest.raises(UserSuspended):
            refused("bob")
    mirror(service)
    rotate(service)
    assert not accounts.open_to("bob", service.secrets)


def test_whoever_is_let_in_again_has_the_password_of_now(service: Service, accounts: Accounts) -> None:
    request(service)
    suspend(service)
    with service.database.session() as session:
        session.execute(sa.update(UserRow).where(UserRow.name == "bob").values(state=UserState.ACTIVE.value))
    service.access.let_in("bob")
    assert accounts.open_to("bob", service.secrets)
    # Passwords that were made while the seed was replaced are made again from the new one.
    service.secrets.become(replace(service.secrets, user_password_seed="another"))
    service.access.forget_changes()
    assert service.access.usable_password("bob") == accounts.passwords["bob"]


def another_process(service: Service) -> Access:
    """MLflow's accounts as another process of the service knows them."""
    return Access(service.mlflow, service.secrets, partial(identity.mlflow_account, service.database))


def test_another_process_makes_the_account_of_who_gets_the_name_of_a_deleted_person(
    service: Service, accounts: Accounts
) -> None:
    other = another_process(service)
    other.ensure_user("bob")
    request(service)
    suspend(service)
    with pytest.raises(UserSuspended):
        other.ensure_user("bob")
    with service.database.session() as session:
        session.execute(sa.delete(CollaboratorRow).where(CollaboratorRow.user == "bob"))
    service.access.remove_user("bob")
    with service.database.session() as session:
        identity.forget_user(session, "bob")
    identity.ensure_user(service, "bob")
    assert other.usable_password("bob") == accounts.passwords["bob"]


def test_roles_are_set_once_more_when_an_account_is_gone(service: Service, accounts: Accounts) -> None:
    mirror(service)
    another_process(service).remove_user("bob")
    asked: list[bool] = []

    def before(path: str) -> None:
        if path.endswith("project-roles"):
            asked.append("bob" in accounts.passwords)
            if not asked[-1]:
                raise Missing("MLflow does not know bob")

    accounts.before = before
    mirror(service)
    assert asked == [False, True]


def test_roles_are_mirrored_last_as_they_were_written_last(service: Service) -> None:
    began, removed = threading.Event(), threading.Event()
    mirrored: list[set[str]] = []

    class Slow:
        def mirror_project(self, workspace: str, roles: Mapping[str, Role], registry: str | None) -> None:
            if "bob" in roles:
                began.set()
                removed.wait(MEANWHILE)
            mirrored.append(set(roles))

    slow = replace(service, access=Slow())  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(routing.mirror_access, slow, "aws-project")
        assert began.wait(300)
        with service.database.session() as session:
            session.execute(sa.delete(CollaboratorRow).where(CollaboratorRow.user == "bob"))
        routing.mirror_access(slow, "aws-project")
        removed.set()
        first.result(300)
    assert "bob" not in mirrored[-1]
