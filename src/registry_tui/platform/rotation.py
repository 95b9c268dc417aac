"""Secrets that are being replaced: the new ones, until the last old one has stopped working.

The file holds new secrets before they are used anywhere, so that an interrupted rotation continues at the service's
next start. Until it retires the old ones, the object store accepts both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from registry_tui.platform.errors import Damaged
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import AccessKey, Secrets, write_private


class Stage(StrEnum):
    """How far a rotation is: until `RETIRING` old and new secrets both work."""

    BEGUN = "begun"
    RETIRING = "retiring"


@dataclass(frozen=True, repr=False)
class Rotation:
    """The kinds of secrets that are replaced, and the fields of `Secrets` before and after. Never printed."""

    kinds: tuple[str, ...]
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    stage: Stage = Stage.BEGUN

    def after(self, current: Secrets) -> Secrets:
        """The secrets with the new ones in place."""
        return replace(current, **{name: _field(value) for name, value in self.new.items()})

    def both(self, name: str) -> list[Any]:
        """The old and the new value of a field; the new one alone once old ones retire, none that is not replaced."""
        sides = (self.new,) if self.stage is Stage.RETIRING else (self.old, self.new)
        return [_field(side[name]) for side in sides if name in side]


def begin(home: Home, kinds: tuple[str, ...], current: Secrets, names: tuple[str, ...]) -> Rotation:
    """Makes new secrets for the named fields of `Secrets`, and keeps them. Raises OSError."""
    before, fresh = asdict(current), asdict(Secrets())
    rotation = Rotation(kinds, {name: before[name] for name in names}, {name: fresh[name] for name in names})
    keep(home, rotation)
    return rotation


def keep(home: Home, rotation: Rotation) -> None:
    """Writes a rotation, mode 0600. Raises OSError."""
    write_private(home.rotation_file, json.dumps(asdict(rotation), indent=1))


def under_way(home: Home) -> Rotation | None:
    """The rotation that is not finished. Raises OSError, Damaged."""
    try:
        raw = json.loads(home.rotation_file.read_text(encoding="utf-8"))
        rotation = Rotation(tuple(map(str, raw["kinds"])), raw["old"], raw["new"], Stage(raw["stage"]))
        known = asdict(Secrets())
        for side in (rotation.old, rotation.new):
            if any(_form(value) != _form(known[name]) for name, value in side.items()):
                raise ValueError("a secret has another form")
        return rotation
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(
            f"{home.rotation_file} is damaged", action="`registry-tui restart service` sets it aside; then rotate again"
        ) from error


def readable(home: Home) -> Rotation | None:
    """Like `under_way`, for callers that only need the working secrets: a damaged file counts as none.

    Without it only the secrets of `secrets.json` are known; the service renames it. Raises OSError.
    """
    try:
        return under_way(home)
    except Damaged:
        return None


def set_aside(home: Home) -> None:
    """Renames a damaged file, so that it no longer blocks anything. Raises OSError."""
    home.rotation_file.replace(home.damaged_rotation_file)


def finish(home: Home) -> None:
    """Deletes the rotation, and a damaged one: only new secrets work. Raises OSError."""
    home.rotation_file.unlink(missing_ok=True)
    home.damaged_rotation_file.unlink(missing_ok=True)


def accepted(home: Home, secrets: Secrets, name: str) -> list[AccessKey]:
    """The keys that the object store accepts for a user, whose field of `Secrets` is `name`."""
    rotation = readable(home)
    keys = [] if rotation is None else rotation.both(name)
    return list(dict.fromkeys(keys or [getattr(secrets, name)]))


def _form(value: Any) -> object:
    """The structure of a secret: a text, or named texts."""
    return {name: type(each) for name, each in value.items()} if isinstance(value, dict) else type(value)


def _field(value: Any) -> Any:
    return AccessKey(**value) if isinstance(value, dict) else value
