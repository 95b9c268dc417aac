"""The command lines equivalent to a request to the service: `registry-tui projects create churn -w default`.

`test_command_lines.py` runs each line through the command line, and compares the request that it sends.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from registry_tui.client.outgoing import Outgoing
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE
from registry_tui.wording import (
    attached_commands,
    deployment_commands,
    drift,
    model_commands,
    place_commands,
    promotion_commands,
    ranger_commands,
    request_logs,
    rollouts,
    store_commands,
    webhook_commands,
)
from registry_tui.wording.command_parts import Line, Make, NoCommand, Options, line
from registry_tui.wording.people_commands import COMMANDS as OF_PEOPLE

PROGRAM = "registry-tui"


def command_lines(request: Outgoing) -> list[Line]:
    """The commands (words after `registry-tui`) equivalent to the request. Raises NoCommand."""
    for method, pattern, make in _COMMANDS:
        if method == request.method and (names := _matched(pattern, request.parts)) is not None:
            return make(names, request.query, request.body)
    raise NoCommand("no command does this")


def showing(kind: str, names: Mapping[str, str]) -> Line | None:
    """The command that shows a kind of place (`terminal/commands.py`) with its arguments, by name or ID."""
    known = {name: value for name, value in names.items() if value}
    project, registry = ("--project", known.get("project")), ("--registry", known.get("registry"))
    made: dict[str, Callable[[], Line]] = {
        "registries": lambda: line("registries list"),
        "registry": lambda: line("registries show", [known["registry"]]),
        "projects": lambda: line("projects list"),
        "project": lambda: line("experiments list", (), [project]),
        "experiment": lambda: line("runs list", (), [project, ("--experiment", known["experiment"])]),
        "run": lambda: line("runs show", [known["run"]], [project]),
        "models": lambda: line("models list", (), [registry]),
        "model": lambda: line("models versions", [known["model"]], [registry]),
        "diff": lambda: line("models diff", [known["model"], known["one"], known["other"]], [registry]),
        "signatures": lambda: line("models signature", [known["model"], known["version"]], [registry]),
        "card": lambda: line("models card", [known["model"], known["version"]], [registry]),
        "bom": lambda: line(
            "models bom", [known["model"], known["version"]], [registry, ("--against", known.get("against"))]
        ),
        "uses": lambda: line("models search", (), _uses(known["uses"])),
        "signing_keys": lambda: line("signing keys list", [known["environment"]]),
        "deployments": lambda: line("deployments list", (), [project]),
        "deployment": lambda: line("deployments show", [known["deployment"]]),
        "keys": lambda: line("keys list"),
        "environments": lambda: line("environments list"),
        "policies": lambda: line("ranger policies list", (), [("--service", known["environment"])]),
        "rules": lambda: line("rules history", [known["environment"]]),
        "exceptions": lambda: line("rules exceptions list", [known["registry"]]),
        "attached": lambda: line("attached list"),
        "webhooks": lambda: line("webhooks list"),
        "webhook": lambda: line("webhooks deliveries", [known["webhook"]]),
        "people": lambda: line("users list"),
        "person": lambda: line("users show", [known["user"]]) if "user" in known else line("whoami"),
        "groups": lambda: line("groups list"),
        "group": lambda: line("groups show", [known["group"]]),
        "roles": lambda: line("environments roles list", [known["environment"]]),
        "activity": lambda: line("workflows list"),
        "approvals": lambda: line("approvals list"),
        "workflow": lambda: line("workflows show", [known["workflow"]]),
    }
    if kind == "uses" and not known:
        return None
    return made[kind]() if kind in made else None


def showing_row(kind: str, names: Mapping[str, str], row: Any) -> Line | None:
    """The command that shows the selected row of a kind of list."""
    project, registry = ("--project", names.get("project")), ("--registry", getattr(row, "registry_id", None))
    made: dict[str, Callable[[], Line]] = {
        "registries": lambda: line("registries show", [row.id]),
        "projects": lambda: line("projects show", [row.id]),
        "project": lambda: line("experiments show", [row.id], [project]),
        "experiment": lambda: line("runs show", [row.id], [project]),
        "models": lambda: line("models show", [row.name], [registry]),
        "model": lambda: line("models version", [row.model_name, row.version], [registry]),
        "signing_keys": lambda: line("signing keys show", [row.environment_name, row.fingerprint]),
        "uses": lambda: line("models bom", [row.model_name, row.version], [registry]),
        "deployments": lambda: line("deployments show", [row.id]),
        "environments": lambda: line("environments show", [row.id]),
        "policies": lambda: line("ranger policies show", [row.name], [("--service", row.service)]),
        "rules": lambda: line("rules show", [row.environment_id], [("--number", row.number)]),
        "attached": lambda: line("attached show", [row.workspace_id]),
        "webhooks": lambda: line("webhooks show", [row.id]),
        "people": lambda: line("users show", [row.name]),
        "groups": lambda: line("groups show", [row.name]),
        "group": lambda: line("users show", [row.name]),
        "roles": lambda: line("users show", [row.user]) if row.user else line("groups show", [row.group]),
        "activity": lambda: line("workflows show", [row.id]),
    }
    return made[kind]() if kind in made else None


def as_typed(lines: Sequence[Line], environment: Mapping[str, str] = os.environ) -> str:
    """The commands in shell syntax, on the same platform and as the same user."""
    options: Line = []
    if home := environment.get(ENVIRONMENT_VARIABLE):
        options += ["--data-dir", home]
    if user := environment.get("REGISTRY_TUI_USER"):
        options += ["--user", user]
    return " && ".join(" ".join(map(quoted, (PROGRAM, *options, *line))) for line in lines)


def quoted(word: str) -> str:
    """A word for bash, zsh and ksh, in one line and without control characters."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = "".join(
        {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t"}.get(each)
        or (each if each.isprintable() else "".join(f"\\x{byte:02x}" for byte in each.encode()))
        for each in word
    )
    return f"$'{escaped}'"


def _matched(pattern: str, parts: Sequence[str]) -> tuple[str, ...] | None:
    """The parts that match the stars of a pattern, or None if the address does not match."""
    wanted = pattern.split("/")
    if len(wanted) != len(parts) or any(one not in ("*", two) for one, two in zip(wanted, parts, strict=True)):
        return None
    return tuple(two for one, two in zip(wanted, parts, strict=True) if one == "*")


def _uses(typed: str) -> Options:
    return [("--uses", each.strip()) for each in typed.split(";") if each.strip()]


def remark(request: Outgoing) -> str:
    """Steps that are needed before the commands; empty if none."""
    body = request.body
    given = body.get("environment") if request.parts[:1] == ("deployments",) else None
    words = []
    if any(each["secret"] and each["value"] is not None for each in given or []):
        words.append("put each secret value into the file NAME.secret first")
    if request.parts[-1:] == ("ranger-source",) and body.get("password"):
        words.append("put the password into the file ranger.secret first")
    if request.parts[:1] == ("attached-servers",) and body:
        words.append(attached_commands.remark(body))
    if request.parts == ("environments",) or request.parts[-1:] in (("backend",), ("store",), ("store-key",)):
        words.append(store_commands.remark(body))
    if given is not None and request.method == "PATCH":
        words.append("a variable that is taken away needs --unset-env NAME")
    return "; ".join(filter(None, words))


#: Method and address below `/api/v1`, with the command that does the same.
_COMMANDS: tuple[tuple[str, str, Make], ...] = (
    *store_commands.COMMANDS,
    *place_commands.COMMANDS,
    *model_commands.COMMANDS,
    *deployment_commands.COMMANDS,
    *ranger_commands.COMMANDS,
    *OF_PEOPLE,
    *attached_commands.COMMANDS,
    *promotion_commands.COMMANDS,
    *webhook_commands.COMMANDS,
    *rollouts.COMMANDS,
    *request_logs.COMMANDS,
    *drift.COMMANDS,
)
