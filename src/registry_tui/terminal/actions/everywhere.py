"""The sections, and the actions that every page has."""

from __future__ import annotations

from registry_tui.terminal.action import Action

#: The left navigation: number key, place, word, short word for narrow terminals.
SECTIONS = (
    ("1", "registries", "Registries"),
    ("2", "projects", "Projects"),
    ("3", "models", "Models"),
    ("4", "deployments", "Deployments"),
    ("5", "environments", "Environments"),
    ("6", "activity", "Activity"),
)
#: Names of sections where there is room for them, when they are longer.
WHOLE_NAMES = {"registries": "Model Registries", "models": "Registered Models", "deployments": "Model Deployments"}
EVERYWHERE = (
    Action("filter", "slash", "filter", "Filter this list", footer=True),
    Action("command", "colon,ctrl+p", "command", "Find and do: commands, pages, actions, and everything by its name"),
    Action("help", "question_mark", "help", "Everything you can do here, with its key"),
    Action("back", "escape", "back", "Back to where you came from, or up", footer=False),
    Action("previous", "left_square_bracket", "previous", "The place before, in your history", footer=False),
    Action("next", "right_square_bracket", "next", "The place after, in your history", footer=False),
    Action("refresh", "ctrl+r", "refresh", "Ask the service again, keeping your place", footer=False),
    Action(
        "copy_code",
        "C",
        "as code",
        "Copy the command line of the last change, of the selection, or of the page; ctrl+o in a form",
        footer=False,
    ),
    Action("suspend", "ctrl+z", "suspend", "Back to the shell; its command fg brings the program back", footer=False),
    Action("quit", "ctrl+q", "quit", "Leave; the platform goes on (registry-tui down stops it)", footer=False),
)
