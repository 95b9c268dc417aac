"""Actions of the pages of environments and projects."""

from __future__ import annotations

from dataclasses import replace

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import (
    COLLABORATORS,
    COPY,
    CREDENTIALS,
    DELETED,
    EXPORT,
    IMPORT_MODELS,
    MANAGE_ACCESS,
    MENU,
    NEXT_TAB,
    ON_DEPLOYMENT,
    OPEN,
    ORDER,
    PREVIOUS_TAB,
    RESTORE,
    ROLES_OF,
    SERVERS,
    SIGNING_KEYS,
    SYNCHRONIZE,
    VIEW,
    WEBHOOKS_OF,
)

PROJECTS = (
    OPEN,
    Action("create", "n", "create", "Create a project in a workspace"),
    MENU,
    replace(CREDENTIALS, menu=""),
    replace(COLLABORATORS, help="Who works in the selected project, in which role", footer=False, menu=""),
    Action("delete", "ctrl+d", "delete", "Delete the selected project", footer=False, danger=True),
    SERVERS,
    ORDER,
    COPY,
    VIEW,
    EXPORT,
)
#: Actions of a project's page on the selected experiment, or under Model Deployments on the deployment.
_ON_BOTH = {
    "change": ("Change", "Rename the selected experiment; under Model Deployments, change the deployment"),
    "delete": ("Delete", "Delete the marked experiments with their runs; under Model Deployments, the deployment"),
}
PROJECT = (
    OPEN,
    Action(*NEXT_TAB, "Experiments, or Model Deployments"),
    PREVIOUS_TAB,
    MENU,
    Action("create", "n", "create", "Create an experiment; under Model Deployments, deploy a registered model"),
    Action("mark", "space", "mark", "Mark the experiment, to delete or restore several", footer=False),
    RESTORE,
    DELETED,
    Action("deployments", "M", "deployments", "The project's Model Deployments"),
    COLLABORATORS,
    CREDENTIALS,
    Action("deploy", "D", "deploy", "Deploy a registered model from this project", menu="Deploy registered model"),
    IMPORT_MODELS,
    *(
        replace(
            each,
            footer=False,
            menu=_ON_BOTH.get(each.id, (each.menu, ""))[0],
            help=_ON_BOTH.get(each.id, ("", each.help))[1],
        )
        for each in ON_DEPLOYMENT
    ),
    Action(
        "delete_project",
        "ctrl+x",
        "delete project",
        "Delete the project with its experiments",
        False,
        "Delete project",
        danger=True,
    ),
    ORDER,
    COPY,
    VIEW,
    EXPORT,
)
ENVIRONMENTS = (
    OPEN,
    Action("create", "n", "create", "Create an environment"),
    Action("create_workspace", "N", "workspace", "Create a workspace in the selected environment"),
    Action("tab_next", "tab", "workspaces", "To the workspaces of the selected environment, and back"),
    replace(PREVIOUS_TAB, help="To the environments, and back"),
    MENU,
    replace(SYNCHRONIZE, help="Tell each workspace of it about its Model Registry", footer=True, menu=""),
    MANAGE_ACCESS,
    replace(ROLES_OF, help="Who has which roles in the selected environment", menu=""),
    Action(
        "change_store",
        "e",
        "store",
        "Reach the store of the selected environment in another way: other credentials, another endpoint",
        False,
        "Change how its store is reached",
        meaning="edit",
    ),
    Action(
        "try_store",
        "r",
        "try store",
        "Try the store of the selected environment: what is missing there, in words",
        False,
        "Try its store",
        meaning="again",
    ),
    Action(
        "change_backend",
        "tilde",
        "runs",
        "Where deployments of the selected environment run: on the registry's machine, or in a Ray cluster",
        False,
        "Change where its deployments run",
    ),
    Action("rules", "percent_sign", "rules", "The admission rules of the selected environment", footer=False),
    SIGNING_KEYS,
    WEBHOOKS_OF,
    SERVERS,
    Action(
        "delete",
        "ctrl+d",
        "delete",
        "Delete the selected environment or workspace, which is empty",
        False,
        danger=True,
    ),
    COPY,
    VIEW,
    EXPORT,
)
ATTACHED = (
    replace(OPEN, help="Open the project that shows the server: its experiments and runs"),
    Action("create", "n", "attach", "Attach an MLflow server: its experiments, runs and models appear as a project"),
    MENU,
    Action("edit", "e", "change", "Read the server at another address, or with other credentials", menu="Change"),
    Action("try_server", "r", "try", "Ask the server whether it can be read now", menu="Try", meaning="again"),
    replace(IMPORT_MODELS, help="Import registered models of the selected server, all or chosen ones", footer=True),
    Action("delete", "ctrl+d", "detach", "Detach the server; nothing changes there", menu="Detach", danger=True),
    replace(COPY, help="Copy the server's address"),
    VIEW,
    EXPORT,
)
