"""The commands for requests about webhooks."""

from __future__ import annotations

from registry_tui.wording.command_parts import YES, Body, Line, Make, Names, line, simple


def _create(names: Names, query: Body, body: Body) -> list[Line]:
    events = [] if body["events"] == ["*"] else [("--event", each) for each in body["events"]]
    options = [("--environment", body["environment"]), *events]
    options += [("--registry", body["registry"]), ("--model", body["model"])]
    return [line("webhooks create", [body["name"], body["url"]], options)]


def _change(names: Names, query: Body, body: Body) -> list[Line]:
    events = [("--event", each) for each in body["events"] or ()]
    return [line("webhooks change", names, [("--url", body["url"]), *events])]


def _replay(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("webhooks replay", [*names, body["delivery"]], [("--since", body["since"])])]


#: Method, address and the function that builds the commands.
COMMANDS: tuple[tuple[str, str, Make], ...] = (
    ("POST", "webhooks", _create),
    ("PATCH", "webhooks/*", _change),
    ("DELETE", "webhooks/*", simple("webhooks delete", YES)),
    ("POST", "webhooks/*/pause", simple("webhooks pause")),
    ("POST", "webhooks/*/resume", simple("webhooks resume")),
    ("POST", "webhooks/*/rotate-secret", simple("webhooks rotate-secret", YES)),
    ("POST", "webhooks/*/test", simple("webhooks test")),
    ("POST", "webhooks/*/replay", _replay),
)
