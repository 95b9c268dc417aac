"""Actions of the pages of experiments and runs."""

from __future__ import annotations

from dataclasses import replace

from registry_tui.terminal.action import Action
from registry_tui.terminal.actions.shared import (
    COPY,
    DELETED,
    EXPORT,
    LINEAGE,
    MENU,
    NEXT_TAB,
    OPEN,
    ORDER,
    PREVIOUS_TAB,
    REGISTER,
    RESTORE,
    VIEW,
)

EXPERIMENT = (
    OPEN,
    MENU,
    Action("edit", "e", "edit", "Rename, tag and annotate the marked runs, or the selected one", footer=False),
    Action("delete", "ctrl+d", "delete", "Delete the marked runs, or the selected one", footer=False, danger=True),
    RESTORE,
    DELETED,
    ORDER,
    Action("columns", "f", "columns", "Choose the columns (fields) among params, metrics, tags and attributes"),
    Action("mark", "space", "mark", "Mark the run, to compare it", footer=False),
    Action("compare", "equals_sign", "compare", "Compare the marked runs: params, metrics and their curves"),
    Action(
        "views",
        "V",
        "views",
        "Keep filter, sort and columns under a name, and show them again",
        False,
        meaning="show_another",
    ),
    Action("tree", "t", "tree", "Nested runs below their parents, or all in one list", footer=False),
    Action("group", "b", "group by", "Group the runs by a param", footer=False),
    Action("sort_started", "O", "newest first", "Sort by start time, the newest first", footer=False),
    COPY,
    VIEW,
    EXPORT,
)
#: Actions on the chart next to the metrics' names; the names have the other keys.
CHART = (
    Action("time", "h", "x axis", "Curves by step, by the time since each one's first point, or by wall time"),
    Action("chart_left", "left", "cursor left", "Curves: the cursor to the left; the legend has the values", False),
    Action("chart_right", "right", "cursor right", "Curves: the cursor to the right", footer=False),
    Action("zoom_in", "plus", "zoom in", "Curves: half as much of x, around the cursor", footer=False),
    Action("zoom_out", "minus", "zoom out", "Curves: twice as much of x", footer=False),
    Action("pan_left", "shift+left", "earlier part", "Curves: the part of x before, when zoomed", footer=False),
    Action("pan_right", "shift+right", "later part", "Curves: the part of x behind, when zoomed", footer=False),
    Action("whole", "0", "whole curve", "Curves: all of x again, without the cursor", footer=False),
    Action("log", "asterisk", "log scale", "Curves: logarithmic values, or as they are", footer=False),
    Action("smooth", "z", "smoothing", "Curves: the next smoothing, by a moving average; then none", footer=False),
)
COMPARE = (
    Action(*NEXT_TAB, "Values, or curves"),
    PREVIOUS_TAB,
    MENU,
    Action("equal", "x", "equal ones", "Show or hide what is the same in all runs"),
    Action("difference", "B", "difference", "Metrics as their difference to the first run (the base), or as they are"),
    *CHART,
    Action("copy", "c", "copy", "Copy the runs' IDs", footer=False),
    VIEW,
    EXPORT,
)
RUN = (
    Action(*NEXT_TAB, "The next tab: overview, metrics, artifacts, params, tags, datasets"),
    PREVIOUS_TAB,
    Action("open", "enter", "open", "Open a folder, or follow what is selected", footer=False),
    MENU,
    replace(REGISTER, menu="Register model"),
    Action("edit", "e", "edit", "Rename, tag and annotate the run", footer=False),
    Action("delete", "ctrl+d", "delete", "Delete the run", footer=False, danger=True),
    Action("restore", "Z", "restore", "Restore the run, which is deleted", footer=False),
    Action("download", "d", "download", "Save the selected file or folder, or all artifacts"),
    Action("preview_down", "full_stop", "preview down", "Artifacts: the next page of the preview", False, "", "onward"),
    Action("preview_up", "comma", "preview up", "Artifacts: the page before in the preview", False, meaning="backward"),
    Action(
        "preview_right", "greater_than_sign", "preview right", "Artifacts: what is to the right in the preview", False
    ),
    Action("preview_left", "less_than_sign", "preview left", "Artifacts: the left part of the preview", False),
    Action("registered", "m", "registered model", "The model that was registered from this run", meaning="model"),
    *CHART,
    Action("copy", "c", "copy", "Copy the run's ID, or the selected artifact's path", footer=False),
    LINEAGE,
    VIEW,
    Action("export", "ctrl+s", "export", "Save the metrics, params, tags or datasets in view as CSV or JSON", False),
)
