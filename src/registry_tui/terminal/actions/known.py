"""Actions of the pages about versions: signatures, keys, cards, bills of materials."""

from __future__ import annotations

from dataclasses import replace

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import COMPONENTS, COPY, EXPORT, MENU, OPEN, VIEW
from registry_tui.terminal.actions.shared import SIGNING_KEYS as KEYS_OF_ENVIRONMENT

SIGNATURES = (
    replace(OPEN, label="details", help="Everything about the selected signature"),
    Action(
        "create", "n", "sign", "Sign it with the environment's key, or add somebody's signature", menu="Sign with …"
    ),
    MENU,
    replace(KEYS_OF_ENVIRONMENT, footer=True),
    Action("download", "d", "download", "Save the selected signature, for model_signing verify"),
    replace(COPY, help="Copy the fingerprint of its key"),
    VIEW,
    EXPORT,
)
SIGNING_KEYS = (
    replace(OPEN, label="public key", help="The selected key as PEM, to read, copy and save"),
    Action("create", "n", "trust", "Trust a public key of somebody else", menu="Trust a key"),
    MENU,
    Action("rotate", "ctrl+n", "new key", "Make a new key, which signs from now on", menu="New key", danger=True),
    Action("delete", "ctrl+d", "remove", "Trust the selected key no more", False, "Remove", danger=True),
    replace(COPY, help="Copy the key's fingerprint"),
    VIEW,
    EXPORT,
)
CARD = (
    MENU,
    Action("edit", "e", "write", "Write the card, from the text as it is", menu="Write the card"),
    replace(COPY, help="Copy the card, as Markdown", footer=True),
    replace(VIEW, label="Markdown", help="The card as Markdown, to search and to save"),
    replace(EXPORT, help="Save the card in a file"),
)
BOM = (
    replace(OPEN, label="versions", help="The versions that use the same"),
    MENU,
    replace(
        COMPONENTS, label="who uses it", help="The versions that use what is selected", menu="Versions that use it"
    ),
    Action("again", "r", "make again", "Make it again, from the archive and the run", menu="Make it again"),
    replace(COPY, help="Copy the selected part as a requirement, a digest or a value"),
    replace(VIEW, help="The whole document, CycloneDX as YAML or JSON", footer=True),
    EXPORT,
)
USES = (
    replace(OPEN, label="made of", help="The bill of materials of the selected version"),
    MENU,
    Action("model", "m", "model", "The registered model of the selected version"),
    replace(COPY, help="Copy the version's URI, models:/name/version"),
    VIEW,
    EXPORT,
)
