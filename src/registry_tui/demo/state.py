"""The IDs of everything the demo made in this home, so that it removes only that and repairs missing parts."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import Home

Kind = Literal["environments", "workspaces", "projects"]


@dataclass
class State:
    """The file `demo.json`. A place that is being made has no ID yet."""

    path: Path
    places: dict[Kind, dict[str, str | None]] = field(
        default_factory=lambda: {"environments": {}, "workspaces": {}, "projects": {}}
    )
    #: IDs of each project's finished runs.
    runs: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def load(cls, home: Home) -> State:
        """The state of a home. Raises PlatformError for a damaged file."""
        state = cls(home.root / "demo.json")
        try:
            stored = json.loads(state.path.read_text())
            for kind in state.places:
                state.places[kind] = dict(stored[kind])
            state.runs = dict(stored["runs"])
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError) as error:
            raise PlatformError(
                f"{state.path} is damaged, so that the demo's objects are not known",
                action="Remove the demo's environments by hand, then this file",
            ) from error
        return state

    def save(self) -> None:
        """Writes the file, or removes it when the demo has nothing here. Raises OSError."""
        if not any(self.places.values()):
            self.path.unlink(missing_ok=True)
            return
        partial = self.path.with_suffix(".part")
        with partial.open("w") as file:
            json.dump({"format": 1, **self.places, "runs": self.runs}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)

    def begin(self, kind: Kind, name: str) -> None:
        """Records that a place is going to be made."""
        self.places[kind][name] = None
        self.save()

    def done(self, kind: Kind, name: str, id_: str) -> None:
        """Records a place's ID."""
        self.places[kind][name] = id_
        self.save()

    def forget(self, kind: Kind, name: str) -> None:
        """Records that a place is gone."""
        self.places[kind].pop(name, None)
        self.runs.pop(name, None)
        self.save()

    def require_ours(self, kind: Kind, name: str, id_: str) -> None:
        """Raises PlatformError for a place of this name that somebody else made."""
        known = self.places[kind]
        if name not in known or known[name] not in (None, id_):
            raise PlatformError(
                f"There is {name} among the {kind} already, which the demo did not make",
                action="The demo leaves it alone; delete it, or load the demo in another home: --data-dir",
            )
