"""The commands for requests about users, groups and roles."""

from __future__ import annotations

from registry_tui.wording.command_parts import YES, Body, Line, Make, Names, NoCommand, Options, line, simple
from registry_tui.wording.people import ROLES


def _put_user(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [("--full-name", body.get("full_name")), ("--email", body.get("email"))]
    return [line("users create", names, options)]


def _change_user(names: Names, query: Body, body: Body) -> list[Line]:
    if body.get("forget_sign_in"):
        if any(body[other] is not None for other in ("state", "full_name", "email")):
            raise NoCommand("no command forgets a user's sign-in and changes more at once")
        return [line("users forget-sign-in", names, [YES])]
    if body["state"] is None:
        return _put_user(names, query, body)
    if body["full_name"] is not None or body["email"] is not None:
        raise NoCommand("no command changes a user's state and name at once")
    return [line("users suspend", names, [YES]) if body["state"] == "suspended" else line("users resume", names)]


def _create_token(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [("--expires", body["days"] or body["expires_at"]), ("--for", names[0])]
    return [line("tokens create", [body["name"]], options)]


def _set_roles(option: str) -> Make:
    """The full set of a user's roles from now on: grants these, revokes the others."""

    def make(names: Names, query: Body, body: Body) -> list[Line]:
        environment, holder = names
        given = [name for name, _ in ROLES if name in body["roles"]]
        others = [name for name, _ in ROLES if name not in given]
        words: dict[str, tuple[list[str], Options]] = {"grant": (given, []), "revoke": (others, [YES])}
        return [
            line(f"environments roles {verb}", [environment, *roles], [(option, holder), *more])
            for verb, (roles, more) in words.items()
            if roles
        ]

    return make


#: Method and address below `/api/v1`, with the command that does the same.
COMMANDS: tuple[tuple[str, str, Make], ...] = (
    ("PUT", "users/*", _put_user),
    ("PATCH", "users/*", _change_user),
    ("DELETE", "users/*", lambda names, query, body: [line("users delete", names, [("--to", query["to"]), YES])]),
    ("POST", "users/*/tokens", _create_token),
    (
        "DELETE",
        "users/*/tokens/*",
        lambda names, query, body: [line("tokens revoke", names[1:], [("--for", names[0]), YES])],
    ),
    (
        "PUT",
        "groups/*",
        lambda names, query, body: [line("groups create", names, [("--description", body.get("description"))])],
    ),
    ("DELETE", "groups/*", simple("groups delete", YES)),
    ("PUT", "groups/*/members/*", simple("groups add")),
    ("DELETE", "groups/*/members/*", simple("groups remove", YES)),
    ("PUT", "environments/*/roles/users/*", _set_roles("--to")),
    ("PUT", "environments/*/roles/groups/*", _set_roles("--to-group")),
)
