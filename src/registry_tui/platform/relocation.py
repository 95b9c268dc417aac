"""A home that was copied or moved since its last start is made to fit the place where it is.

Databases and archives name no path of the home. The specs of replicas do, and its ports may be another home's now.
"""

from __future__ import annotations

import configparser
import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from registry_tui.platform import processes
from registry_tui.platform.errors import Damaged, HomeUnusable, StillRunning
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import write_private


@dataclass(frozen=True)
class Move:
    """The place of a home at its last start, and whether a home is still there: then this one is a copy of it.

    A place that this user may not read (not `readable`) may hold one.
    """

    before: Home
    copied: bool
    readable: bool = True

    def __str__(self) -> str:
        return f"{'copied' if self.copied else 'moved'} from {self.before.root}"


def since_last_start(home: Home) -> Move | None:
    """How a stopped home came to its place, if it was elsewhere before. Raises StillRunning, HomeUnusable, OSError."""
    recorded = _recorded(home)
    if recorded is None or recorded == home.root:
        return None
    before = Home(recorded)
    there, readable = _look(before)
    if not there:
        if left := processes.ours(before):
            raise StillRunning(
                f"The home was moved away from {recorded} while its platform was running there "
                f"(processes {', '.join(map(str, sorted(left)))})",
                action=f"Move it back, run `registry-tui --data-dir {recorded} down`, and move it then",
            )
        return Move(before, copied=False)
    if readable and before.root.samefile(home.root):
        return None
    move = Move(before, copied=True, readable=readable)
    if home.databases_file.exists():
        raise _shared(move, "its rows are in PostgreSQL, where both would change the same ones")
    return move


def settle(home: Home, move: Move) -> list[str]:
    """Adapts a stopped home to its new place. Returns the changes, in words for people.

    Raises Damaged, HomeUnusable, OSError.
    """
    _require_whole(home)
    if move.copied and (brought := _stores_brought_along(home)):
        names = ", ".join(brought)
        raise _shared(
            move, f"both would change the same objects in the stores that environments brought along ({names})"
        )
    changed = []
    if move.copied and home.listening_file.exists() and _same(home.listening_file, move.before.listening_file):
        home.listening_file.unlink()
        changed.append("it does not listen for other machines (`up --listen`)")
    _rebase_replicas(home, move.before)
    return changed


def same_ports(home: Home, move: Move) -> bool:
    """Whether a copied home has the ports of the one that it is a copy of. Raises OSError."""
    return move.copied and home.ports_file.exists() and _same(home.ports_file, move.before.ports_file)


def record(home: Home) -> None:
    """Notes where the home is. Raises OSError."""
    if _noted(home) != home.root:
        write_private(home.place_file, json.dumps({"path": str(home.root)}))


def _shared(move: Move, what: str) -> HomeUnusable:
    if not move.readable:
        return HomeUnusable(
            f"This home may be a copy of {move.before.root}, which this user may not read, and {what}",
            action="Let this user look there, so that `registry-tui up` sees whether it is still there",
        )
    return HomeUnusable(
        f"This home is a copy of {move.before.root}, and {what}",
        action="Move the home in place of copying it, or begin a platform with a home and a database of its own",
    )


def _look(home: Home) -> tuple[bool, bool]:
    """Whether a home exists or may exist, and whether this user may read the folder."""
    try:
        home.ports_file.stat()
        return True, True
    except (FileNotFoundError, NotADirectoryError):
        return False, True
    except PermissionError:
        return True, False


# -- underneath ------------------------------------------------------------------------------------------


def _recorded(home: Home) -> Path | None:
    """The path of the home's last start; homes of earlier versions have it in MLflow's settings only."""
    noted = _noted(home)
    if noted is not None:
        return noted
    config = configparser.ConfigParser(interpolation=None)
    with suppress(configparser.Error, UnicodeDecodeError):
        config.read(home.mlflow / "auth.ini", encoding="utf-8")
    address = config.get("mlflow", "database_uri", fallback="").replace("%%", "%")
    database = Path(address.removeprefix("sqlite:///"))
    known = home.mlflow_auth_database.relative_to(home.root)
    if not address.startswith("sqlite:///") or database.parts[-len(known.parts) :] != known.parts:
        return None
    return database.parents[len(known.parts) - 1]


def _noted(home: Home) -> Path | None:
    try:
        return Path(json.loads(home.place_file.read_text(encoding="utf-8"))["path"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(
            f"{home.place_file} is damaged", action="Remove it; the next `registry-tui up` writes it"
        ) from error


def _stores_brought_along(home: Home) -> list[str]:
    """The environments of a stopped home that keep their objects in stores outside it."""
    if not home.service_database.exists():
        return []
    # Errors of a damaged or older database are handled elsewhere.
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(home.service_database)) as database:
        query = "SELECT e.name FROM environments e JOIN environment_stores s ON s.environment_id = e.id ORDER BY e.name"
        return [str(name) for (name,) in database.execute(query)]
    return []


def _same(path: Path, other: Path) -> bool:
    """Whether a file and the original's are the same, or may be."""
    try:
        return path.read_bytes() == other.read_bytes()
    except FileNotFoundError:
        return False
    except PermissionError:
        return True


def _require_whole(home: Home) -> None:
    """Raises Damaged for a database that changed while it was copied."""
    files = (home.service_database, home.workflows_database, home.mlflow_database, home.mlflow_auth_database)
    for path in files:
        # A clean stop leaves no such file behind.
        if path.exists() and path.with_name(f"{path.name}-wal").exists() and not _sound(path):
            raise Damaged(
                f"{path} is damaged: the home was copied while its platform was running",
                action="Stop that platform and copy the home again, or use `registry-tui backup`, which may be running",
            )


def _sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False


def _rebase_replicas(home: Home, before: Home) -> None:
    """Replicas start by themselves, from files that hold whole paths."""
    if not home.serving.exists():
        return
    home.create_run()
    home.replicas.mkdir(mode=0o700, exist_ok=True)
    # Sockets of long paths are in a folder of their own, which was not copied.
    kept = home.root / before.run.relative_to(before.root) if before.run.is_relative_to(before.root) else before.run
    paths = {f"{before.run}/": f"{home.run}/", f"{before.root}/": f"{home.root}/"}
    for path in (home.serving / "deployments").glob("*/*.json"):
        spec = json.loads(path.read_text(encoding="utf-8"))
        there = {name: _there(value, paths) for name, value in spec.items()}
        if there != spec:
            write_private(path, json.dumps(there, indent=1))
    for path in (kept / "replicas").glob("*.conf"):
        text = path.read_text(encoding="utf-8")
        for old, new in paths.items():
            text = re.sub(rf"(?<=[\s='\"]){re.escape(old)}", new, text)
        write_private(home.replicas / path.name, text)


def _there(value: object, paths: Mapping[str, str]) -> object:
    for old, new in paths.items():
        if isinstance(value, str) and value.startswith(old):
            return new + value.removeprefix(old)
    return value
