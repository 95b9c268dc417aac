"""The commands of requests about Ranger and IDBroker."""

from __future__ import annotations

from registry_tui.wording.command_parts import YES, Body, Line, Make, Names, NoCommand, Options, line, simple


def _set_idbroker_mappings(names: Names, query: Body, body: Body) -> list[Line]:
    if body["rangerCloudAccessAuthorizerRole"] or body["baselineRole"]:
        raise NoCommand("roles for RAZ are not set from the command line")
    options: Options = [
        ("--data-access-role", body["dataAccessRole"]),
        ("--ranger-audit-role", body["rangerAuditRole"]),
        *(("--mapping", f"{each['accessorCrn']}={each['role']}") for each in body["mappings"] or []),
        ("--empty", bool(body["setEmptyMappings"])),
    ]
    return [line("idbroker set", [body["environmentName"]], options)]


def _policy(names: Names, query: Body, body: Body) -> list[Line]:
    """Whole policies are given as Ranger's JSON: options only cover the simple ones."""
    from registry_tui.schemas.ranger import RangerPolicy

    text = RangerPolicy.model_validate(body).model_dump_json(by_alias=True, exclude_defaults=True)
    return [line(f"ranger policies {'update' if names else 'create'}", names, [("--file", text)])]


def _ranger_role(names: Names, query: Body, body: Body) -> list[Line]:
    from registry_tui.schemas.ranger import RangerRole

    text = RangerRole.model_validate(body).model_dump_json(by_alias=True, exclude_defaults=True)
    return [line(f"ranger roles {'update' if names else 'create'}", names, [("--file", text)])]


def _set_ranger_source(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [
        ("--url", body["url"]),
        ("--service", body["service"]),
        ("--user", body["user"]),
        # Passwords never appear in a command line.
        ("--password-file", "ranger.secret" if body["password"] else None),
        ("--every", f"{body['every']:g}"),
    ]
    return [line("ranger source set", names, options)]


_RANGER = "service/public/v2/api"
#: Method and address below `/api/v1`, with the command that does the same.
COMMANDS: tuple[tuple[str, str, Make], ...] = (
    ("POST", "environments2/setIdBrokerMappings", _set_idbroker_mappings),
    (
        "POST",
        "environments2/deleteIdBrokerMappings",
        lambda names, query, body: [line("idbroker delete", [body["environmentCrn"]], [YES])],
    ),
    (
        "POST",
        "environments2/syncIdBrokerMappings",
        lambda names, query, body: [line("idbroker sync", [body["environmentName"]])],
    ),
    ("POST", f"{_RANGER}/policy", _policy),
    ("PUT", f"{_RANGER}/policy/*", _policy),
    ("DELETE", f"{_RANGER}/policy/*", simple("ranger policies delete", YES)),
    ("POST", f"{_RANGER}/roles", _ranger_role),
    ("PUT", f"{_RANGER}/roles/*", _ranger_role),
    ("DELETE", f"{_RANGER}/roles/*", simple("ranger roles delete", YES)),
    ("PUT", "environments/*/ranger-source", _set_ranger_source),
    ("DELETE", "environments/*/ranger-source", simple("ranger source delete", YES)),
)
