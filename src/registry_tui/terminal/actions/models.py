"""Actions of the pages of registered models and their versions."""

from __future__ import annotations

from dataclasses import replace

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import (
    COMPONENTS,
    COPY,
    DRIFT,
    EXPORT,
    LINEAGE,
    MENU,
    OPEN,
    ORDER,
    VIEW,
    WEBHOOKS_OF,
)

MODELS = (
    OPEN,
    MENU,
    Action("registry", "V", "registry", "Choose the Model Registry whose models are shown", meaning="show_another"),
    Action("delete", "ctrl+d", "delete", "Delete the model with its versions", footer=False, danger=True),
    replace(
        COMPONENTS, label="who uses", help="Versions of all registries by what they are made of", menu="Who uses …"
    ),
    ORDER,
    COPY,
    LINEAGE,
    VIEW,
    EXPORT,
)
MODEL = (
    Action("open", "enter", "details", "Open the side panel; it follows the cursor"),
    MENU,
    Action("deploy", "D", "deploy", "Serve the version as an endpoint from a project", menu="Deploy"),
    Action("alias", "A", "alias", "Name this version with an alias, or take one away"),
    Action("edit", "e", "edit", "Edit notes and tags of the version"),
    Action("edit_model", "E", "edit model", "Edit description, owner and visibility of the model", footer=False),
    Action("verify", "v", "verify", "Read the whole archive and compare it with its manifest"),
    Action("stage", "ctrl+g", "stage", "The version's stage: how it came there, and another one", False, "Stage"),
    Action("scan", "semicolon", "scan", "What loading it would run, as the newest scan found; scan it again", False),
    Action(
        "ask_approval",
        "ampersand",
        "approval",
        "Ask whether the version may enter a stage, be deployed or promoted",
        False,
        "Ask for approval",
        meaning="approval",
    ),
    Action("rules", "percent_sign", "rules", "What the environment's admission rules say of the version", footer=False),
    Action("signatures", "underscore", "signatures", "Who signed the version, each checked now; sign it", footer=False),
    Action("card", "quotation_mark", "card", "The model card: what the version is, for people", False, "Model card"),
    COMPONENTS,
    replace(WEBHOOKS_OF, help="Webhooks for the model: its owner and administrators make them"),
    replace(
        DRIFT,
        label="profile",
        help="Make the profile of its training data, from which drift is measured",
        menu="Profile",
    ),
    Action("evidence", "ctrl+e", "evidence", "Save everything known of it, for an auditor", False, "Evidence pack"),
    Action("promote", "circumflex_accent", "promote", "Copy the version into another Model Registry", footer=False),
    Action("mark", "space", "mark", "Mark the version, to compare it", footer=False),
    Action("diff", "equals_sign", "diff", "What differs between the two marked versions", False, meaning="compare"),
    Action("download", "d", "download", "Save the whole archive, with its sums checked", footer=False),
    Action("run", "F", "from run", "The run it came from"),
    Action("experiment", "X", "from experiment", "The experiment it came from", footer=False),
    Action("project", "P", "from project", "The project it came from", footer=False),
    Action("delete", "ctrl+d", "delete", "Delete the version", footer=False, danger=True),
    Action("copy", "c", "copy", "Copy the version's URI, models:/name/version", footer=False),
    LINEAGE,
    VIEW,
    EXPORT,
)
DIFF = (
    MENU,
    Action("equal", "x", "equal ones", "Show or hide what is the same in both versions"),
    replace(COMPONENTS, label="made of", help="What they are made of: what differs in their bills of materials"),
    COPY,
    VIEW,
    EXPORT,
)
