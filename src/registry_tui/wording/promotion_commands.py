"""The commands for requests about stages, approvals and rules of promotion."""

from __future__ import annotations

from registry_tui.wording.command_parts import Body, Line, Make, Names, line

_VERSION = "registries/*/models/*/versions/*"


def _stage(names: Names, query: Body, body: Body) -> list[Line]:
    options = [
        ("--registry", names[0]),
        ("--status", body["status"]),
        ("--description", body["description"] or None),
        ("--comment", body["comment"] or None),
    ]
    return [line("models stage", [*names[1:], body["stage"]], options)]


def _ask(names: Names, query: Body, body: Body) -> list[Line]:
    options = [("--registry", names[0]), ("--purpose", names[3]), ("--comment", body["comment"] or None)]
    return [line("approvals ask", names[1:3], options)]


def _decide(names: Names, query: Body, body: Body) -> list[Line]:
    return [line(f"approvals {body['decision']}", names, [("--comment", body["comment"] or None)])]


def _rules(names: Names, query: Body, body: Body) -> list[Line]:
    eyes = "--four-eyes" if body["four_eyes"] else "--two-eyes"
    lines = [line("registries promotion approvals", [*names, *body["approved_stages"]], [(eyes, True)])]
    for each in body["protected_aliases"]:
        named = [("--user", user) for user in each["users"]] + [("--group", group) for group in each["groups"]]
        lines.append(line("registries promotion protect", [*names, each["alias"]], named))
    return lines


#: Method, address and the function that builds the commands.
COMMANDS: tuple[tuple[str, str, Make], ...] = (
    ("PUT", f"{_VERSION}/stage", _stage),
    ("PUT", f"{_VERSION}/approvals/*", _ask),
    ("PUT", "approvals/*/decision", _decide),
    ("PUT", "registries/*/promotion-rules", _rules),
)
