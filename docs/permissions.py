"""`python docs/permissions.py > docs/permissions.md`: the page about permissions, made from the table in the code."""

from __future__ import annotations

from registry_tui.contracts.permissions import RULES, Scope
from registry_tui.contracts.permitted_operations import OPERATIONS

_BEGIN = """\
# Permissions

Made from the table in the code (`python docs/permissions.py > docs/permissions.md`), by which the service decides.

The **administrator** is whoever runs the installation: the operating system's user who owns the service's socket. The
administrator may do everything. Everybody else needs what the last column says: *A with B* needs both.

- **Roles in an environment** are given to users or to groups:
  `registry-tui environments roles grant ENVIRONMENT ROLE… --to USER`. `EnvironmentAdmin`
  includes `EnvironmentUser`, `MLAdmin` includes `MLUser`.
- **Roles in a project** are viewer, contributor and owner (in the commands and the API `viewer`, `contributor`,
  `admin`); each includes the ones before. A **collaborator** of an environment has any role in one of its projects.
- Whoever has no role in an environment and is no collaborator of it gets *not found* for it and for all that is in it.
- Who sees the environment, but works in no project of a name, is refused by name: *not a collaborator*. Of several
  projects or deployments of one name a person's own are meant.
- Private models are seen by their owner and by collaborators of the projects that their versions came from only.
- Owners of models make webhooks for these models, and see and change those that they made ([webhooks](webhooks.md)).
- A change of roles counts from the next request on, also for work that failed or was cancelled and is tried again.
  Whoever is suspended is refused by the service, MLflow and the gateway.

Installations that were made before there were roles keep what people could do: everybody who is known then gets
`EnvironmentUser` and `MLUser` in every environment. People who are added later get no role by themselves.
"""


def page() -> str:
    """The page."""
    lines = [_BEGIN]
    for scope in Scope:
        rules = [rule for rule in RULES.values() if rule.scope is scope]
        lines += [f"## {_TITLES[scope]}\n", "| action | to | who |", "|---|---|---|"]
        lines += [f"| `{rule.action}` | {rule.to_do} | {rule.who} |" for rule in rules]
        lines.append("")
    lines += ["## Operations of the REST API\n", "| action | operations |", "|---|---|"]
    for action in RULES:
        names = [f"`{name}`" for name, each in OPERATIONS.items() if each is action]
        if names:
            lines.append(f"| `{action}` | {', '.join(names)} |")
    return "\n".join(lines) + "\n"


_TITLES = {
    Scope.INSTALLATION: "In the installation",
    Scope.ENVIRONMENT: "In an environment",
    Scope.PROJECT: "In a project",
    Scope.PERSON: "With what belongs to a person",
}

if __name__ == "__main__":
    print(page(), end="")
