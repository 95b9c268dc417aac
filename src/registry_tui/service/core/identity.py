"""The acting person, the people of this installation, and CRNs."""

from __future__ import annotations

import os
import pwd
import re
import uuid

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry_tui.contracts.api_keys import redacted
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.people import UserState
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import InstallationRow, UserRow, new_id, now
from registry_tui.service.errors import InvalidInput, NotPermitted, UserSuspended

#: The actor of events about requests whose sender is not known; it cannot be a user's name.
NOBODY = "(not signed in)"
USER_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}")
#: Prefix of a key in the installation's table, before the name of a deleted user.
_FORMER = "former-user:"
#: The form of each resource's CRN (the documented system's; `modelregistry` is ours).
_CRN = {
    "environment": "crn:cdp:environments:us-west-1:{account}:environment:{id}",
    "datalake": "crn:cdp:datalake:us-west-1:{account}:datalake:{id}",
    "workspace": "crn:cdp:ml:us-west-1:{account}:workspace:{id}",
    "registry": "crn:cdp:ml:us-west-1:{account}:modelregistry:{id}",
    "user": "crn:altus:iam:us-west-1:{account}:user:{id}",
    "group": "crn:altus:iam:us-west-1:{account}:group:{id}",
    "machine-user": "crn:altus:iam:us-west-1:{account}:machineUser:{id}",
}


def owner_name(service: Service) -> str:
    """The operating system's user that runs this installation: its administrator."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a number without a name
        name = f"uid-{os.getuid()}"
    return f"{name}-owner" if name == service.secrets.mlflow_admin_user else name


def account_id(session: Session) -> str:
    """This installation's account ID, made once."""
    row = session.get(InstallationRow, "account_id")
    if row is None:
        row = InstallationRow(key="account_id", value=new_id())
        session.add(row)
        session.flush()
    return row.value


def crn(session: Session, kind: str, id_: str) -> str:
    """The CRN of an `environment`, `datalake`, `workspace`, `registry` or `user`, by its ID.

    That of a `group` or a `machine-user` is made of `<name>/<uuid>`.
    """
    return _CRN[kind].format(account=account_id(session), id=id_)


def owner_principal(service: Service, request_id: str | None = None) -> Principal:
    """The installation's owner as principal, also for the service's own actions."""
    with service.database.reading() as session:
        row = session.get(UserRow, owner_name(service))
    if row is None:
        row = ensure_user(service, owner_name(service))
    return Principal(row.name, row.crn, request_id or str(uuid.uuid4()), administrator=True)


def acting_principal(service: Service, user: str | None, request_id: str) -> Principal:
    """The acting person of a request: the owner of the socket, or the user that the request names.

    Raises InvalidInput for a name that cannot be one, NotPermitted for an unknown user, UserSuspended.
    """
    if user is None or user == owner_name(service):
        return owner_principal(service, request_id)
    check_user_name(service, user)
    with service.database.reading() as session:
        row = session.get(UserRow, user)
    if row is None:
        raise NotPermitted(
            f"There is no user {user!r} in this installation",
            action=f"An administrator adds users: `registry-tui users create {user}`",
        )
    return principal_of_row(service, row, request_id)


def principal_of_row(service: Service, row: UserRow, request_id: str) -> Principal:
    """A known person as principal. Raises UserSuspended."""
    if row.state == UserState.SUSPENDED.value:
        raise UserSuspended(
            f"The user {row.name} is suspended",
            action="An administrator lets users in again: `registry-tui users resume`",
        )
    return Principal(row.name, row.crn, request_id, administrator=row.name == owner_name(service))


def require_own_name(principal: Principal, named: str | None) -> None:
    """Raises NotPermitted when a request with a person's token names somebody else to act as."""
    if named is not None and named != principal.name:
        raise NotPermitted(
            f"{principal.name} cannot act as {redacted(named)[:64]!r}",
            action="Leave out --user and REGISTRY_TUI_USER, or sign in with a token of that user",
        )


def suspended(session: Session) -> frozenset[str]:
    """The names of the suspended people, refused everywhere."""
    return frozenset(session.scalars(select(UserRow.name).where(UserRow.state == UserState.SUSPENDED.value)))


def mlflow_account(database: Database, name: str) -> str | None:
    """The text that a person's MLflow password is derived from; None for suspended people and unknown names.

    It is the name, followed by the person's ID where a deleted user had the same name before.
    """
    with database.reading() as session:
        row = session.get(UserRow, name)
        had_before = session.get(InstallationRow, f"{_FORMER}{name}") is not None
    if row is None or row.state == UserState.SUSPENDED.value:
        return None
    return f"{row.name}\n{row.id}" if had_before else row.name


def forget_user(session: Session, name: str) -> None:
    """Deletes a user's row; a later user of the same name gets another MLflow password."""
    session.execute(delete(UserRow).where(UserRow.name == name))
    session.merge(InstallationRow(key=f"{_FORMER}{name}", value=now().isoformat()))


def check_user_name(service: Service, name: str, kind: str = "user") -> None:
    """Raises InvalidInput when `name` is not valid for a user, or another `kind`."""
    if not USER_PATTERN.fullmatch(name):
        message = "1 to 64 letters, digits and . _ @ + -, not beginning with a sign"
        raise InvalidInput(f"That is not a {kind} name", errors=[FieldProblem(field=kind, message=message)])
    if name == service.secrets.mlflow_admin_user:
        message = "this name belongs to the service itself"
        raise InvalidInput(f"No user may be named {name!r}", errors=[FieldProblem(field="user", message=message)])


def ensure_user(service: Service, name: str) -> UserRow:
    """The user of this name, made when new. Raises InvalidInput."""
    check_user_name(service, name)
    with service.database.session() as session:
        row = session.get(UserRow, name)
        if row is None:
            id_ = new_id()
            row = UserRow(name=name, id=id_, crn=crn(session, "user", id_))
            session.add(row)
    return row
