"""The service with stores of environments that fail at every request of its workflows, once in each way.

`python -m support.failing_store_service FOLDER` on the home in `REGISTRY_TUI_HOME`. FOLDER/plan.json has the ways by
kind of workflow, FOLDER/passed gets a line for each failure, before it happens:

- `down`: the store does not respond; nothing was done there.
- `half`: the store goes away in the middle of an upload.
- `lost`: the store has done it, and goes away before it responds.
- `kill`: this process is killed in the middle of an upload, or after a deletion.
- `refused`: from the next stored object on, the store refuses the credentials, until the plan changes.
- `full`: from the next stored object on, the store is full, until the plan changes.
- `hangs`: uploads stall until the plan changes.

Lists of archives lag: each shows the state at the previous listing. The stores themselves are real ones.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry_tui.platform.paths import Home
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.schemas.stores import Store, StoreProblem
from registry_tui.service.core import own_stores, store_keys
from registry_tui.service.core.context import Service
from registry_tui.service.engine import patience
from registry_tui.service.errors import NotPermitted, PartUnavailable, StorageFull
from registry_tui.service.running import run
from registry_tui.service.stores.base import Bucket, Method, StoredFolder, StoredObject, Usage
from registry_tui.service.stores.opening import open_store
from support.killing_service import import_everything

#: The prefix of keys of archives.
_ARCHIVES = "modelregistry-"
#: Parts of a key before those within an archive.
_IDS = 3


@dataclass
class Plan:
    """The next failure. Used by threads of several workflows and requests."""

    folder: Path
    guard: threading.Lock = field(default_factory=threading.Lock)
    kind: str = ""
    step: str = ""
    #: The store has gone away during a probe: the next request finds nobody.
    away: bool = False

    @property
    def ways(self) -> Sequence[str]:
        """How requests of the workflow that runs fail, in this order."""
        found: dict[str, list[str]] = json.loads((self.folder / "plan.json").read_text(encoding="utf-8"))
        return found.get(self.kind, [])

    def next_way(self, verb: str, key: str, possible: Sequence[str]) -> str:
        """How this request fails; empty when it has failed in each way."""
        with self.guard:
            if not self.kind:
                return ""
            passed = self.folder / "passed"
            known = passed.read_text(encoding="utf-8").splitlines()
            for way in self.ways:
                line = f"{self.kind}: {self.step}: {verb} {_shown(key)}: {way}"
                if way in possible and line not in known:
                    with passed.open("a", encoding="utf-8") as file:
                        print(line, file=file, flush=True)
                    return way
            return ""

    def wait_for_another(self, way: str) -> None:
        while way in self.ways:
            time.sleep(0.05)


def _shown(key: str) -> str:
    """A key without the IDs of a registry, a model and a version that it may begin with; one name for all probes."""
    return re.sub(r"\.probe-[0-9]+$", ".probe", "/".join(key.split("/")[_IDS:]) or key or ".")


@dataclass(frozen=True)
class Failing:
    """A real store whose answers are made to fail."""

    inner: Bucket
    plan: Plan
    #: Objects stored and deleted since the previous listing, with the deleted values.
    stored: dict[str, None] = field(default_factory=dict)
    deleted: dict[str, StoredObject] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return self.inner.uri

    def put(self, key: str, body: bytes | Iterable[bytes], *, size: int | None = None) -> None:
        pieces = () if isinstance(body, bytes) else body
        way = self._way("put", key, *(() if isinstance(body, bytes) else ("half",)), "kill", "hangs")
        if way == "hangs":
            self.plan.wait_for_another(way)
        if pieces and way in ("half", "kill"):
            self.inner.put(key, _broken(pieces, way), size=size)
        self.inner.put(key, body, size=size)
        if key.startswith(_ARCHIVES):
            self.stored[key] = None
        self._after(way)

    def put_new(self, key: str, body: bytes) -> None:
        self.inner.put_new(key, body)

    def read(self, key: str, start: int = 0, size: int | None = None, *, etag: str = "") -> bytes:
        way = self._way("read", key)
        found = self.inner.read(key, start, size, etag=etag)
        self._after(way)
        return found

    def head(self, key: str) -> StoredObject:
        way = self._way("head", key)
        found = self.inner.head(key)
        self._after(way)
        return found

    def list(self, folder: str = "") -> Iterator[StoredObject]:
        way = self._way("list", folder)
        new, gone = dict(self.stored), dict(self.deleted)
        self.stored.clear()
        self.deleted.clear()
        found = [each for each in self.inner.list(folder) if each.key not in new]
        found += [each for each in gone.values() if each.key.startswith(folder)]
        self._after(way)
        yield from found

    def entries(self, folder: str = "") -> Iterator[StoredObject | StoredFolder]:
        return self.inner.entries(folder)

    def delete(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        way = self._way("delete", keys[0], "kill")
        # A registry's own key lists its own folder alone.
        listed = self.inner.list(f"{keys[0].partition('/')[0]}/") if keys[0].startswith(_ARCHIVES) else ()
        there = {each.key: each for each in listed if each.key in keys}
        self.inner.delete(keys)
        self.deleted.update(there)
        self._after(way)

    def abort_uploads(self, folder: str) -> None:
        self.inner.abort_uploads(folder)

    def copy(self, source: str, target: str, *, etag: str = "") -> None:
        self.inner.copy(source, target, etag=etag)

    def signed_url(self, method: Method, key: str, seconds: int) -> str | None:
        return self.inner.signed_url(method, key, seconds)

    def usage(self, folder: str = "") -> Usage:
        return Usage.of(self.list(folder))

    def probe(self) -> Sequence[StoreProblem]:
        if self.plan.next_way("probe", "", ["down"]):
            self.plan.away = True
            return [StoreProblem(text=_away().detail, action="")]
        return self.inner.probe()

    def _way(self, verb: str, key: str, *more: str) -> str:
        """The failure of this request, if any; raises those that happen before anything is done."""
        if self.plan.away:
            self.plan.away = False
            raise _away()
        way = self.plan.next_way(verb, key, ("down", "lost", *more, *(["refused", "full"] if verb == "put" else [])))
        if way == "refused" or (self.plan.kind and self._lasts("refused")):
            raise NotPermitted("The credentials have expired", action="Give new ones")
        if way == "full" or (self.plan.kind and verb == "put" and self._lasts("full")):
            raise StorageFull("There is no room in the store", action="Free some, or use a larger one")
        if way == "down":
            raise _away()
        return way

    def _lasts(self, way: str) -> bool:
        """Whether credentials that expired have not been replaced, or a store that was full still is."""
        lines = (self.plan.folder / "passed").read_text(encoding="utf-8").splitlines()
        return way in self.plan.ways and any(line.endswith(f": {way}") for line in lines)

    def _after(self, way: str) -> None:
        if way == "lost":
            raise _away()
        if way == "kill":
            os.kill(os.getpid(), signal.SIGKILL)


def _away() -> PartUnavailable:
    return PartUnavailable("The store went away", action="Wait for it")


def _broken(pieces: Iterable[bytes], way: str) -> Iterator[bytes]:
    """The first piece, and then the end."""
    yield next(iter(pieces))
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise _away()


def install(service: Service, plan: Plan) -> None:
    """Wraps the real stores in failing ones, and shortens waits for them to an instant."""

    def opened(store: Store) -> Bucket:
        return Failing(open_store(store), plan)

    vars(own_stores)["open_store"] = opened
    open_with_key = vars(store_keys)["_open"]

    def opened_with_key(*arguments: Any) -> Bucket:
        return Failing(open_with_key(*arguments), plan)

    vars(store_keys)["_open"] = opened_with_key
    patience.FIRST_PAUSE, patience.LONGEST_PAUSE = 0.02, 0.05

    def observe(moment: str, kind: WorkflowKind, step: str) -> None:
        plan.kind, plan.step = (kind.value, step) if moment == "before" else ("", "")

    service.workflows.observe(observe)


def live_once(plan: Plan) -> int:
    """Forks a service and waits for its end; returns its wait status (waitpid(2))."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run(Home.resolve(), lambda service: install(service, plan))
        os._exit(1)

    def end(*_: Any) -> None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    return os.waitpid(child, 0)[1]


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    plan = Plan(Path(sys.argv[1]))
    import_everything()
    while True:
        status = live_once(plan)
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            sys.exit(f"the service ended by itself: {status}")


if __name__ == "__main__":
    main()
