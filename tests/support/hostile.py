"""Recorded answers with hostile values in them, and the check that a screen shows none of them as it is."""

from __future__ import annotations

import json
import random
import unicodedata
from typing import Any

from rich.cells import cell_len

from support.program import Driver
from support.recorded import Answer, Replay

HOSTILE = [
    "[/bold]",
    "[@click=app.exit]quit[/]",
    "\x1b]0;x\x07",
    "\x1b[2J\x1b[31m",
    "\x9b2J",
    "a\rb\nc\td\x00\x7f",
    "\u202eabc\u202c",
    "zero\u200bwidth\u2060\ufeff",
    "e\u0301\u0301\u0301\u0301 Z\u0351\u0352",
    "👩‍👩‍👧‍👦 🏳️‍🌈 日本語",
    "ﷺ𒐫",
    "\ue000\U0010ffff\ud7ff",
    " ",
    "",
    "NAME",
    "name",
    "$(rm -rf /)`id`",
    "../../etc/passwd",
]
#: One of a megabyte in each answer.
LONG = "x" * 1_000_000
NUMBERS = ["NaN", "Infinity", "-Infinity", 1e308, -1e-308, 0.0, 1 << 60]
TIMES = ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]
#: Values that programs need unchanged: states, kinds, and parts of later requests.
KEPT = {
    "id",
    "status",
    "state",
    "kind",
    "cloud",
    "type",
    "role",
    "visibility",
    "outcome",
    "level",
    "lifecycle_stage",
    "storage_access",
    "build",
    "latest_status",
    "next_page_token",
    "entitlements",
    "nfs_protocol_version",
    "crn",
    "actor_crn",
    "environment_crn",
    "machine_user_crn",
    "dataset_schema",
    "endpoint_url",
    "model_url",
    "body",
    "sha256",
    "resource_type",
}
#: Roles in environments; those of policies have any name.
ROLES = {"EnvironmentAdmin", "EnvironmentUser", "MLAdmin", "MLUser"}
#: Mappings from names to values, both given by people.
NAMED = {"tags", "params", "metrics"}
#: Words of the API's paths; all else in a path names something.
WORDS = {
    "api",
    "v1",
    "deployments",
    "projects",
    "runs",
    "registries",
    "models",
    "versions",
    "metric-curve",
    "artifacts",
    "content",
    "totals",
    "storage",
    "archives",
    "workflows",
    "logs",
    "revisions",
    "replicas",
    "example",
    "experiments",
    "search",
    "groups",
    "collaborators",
    "events",
    "choices",
    "environments",
    "workspaces",
    "keys",
    "user",
    "users",
    "tokens",
    "members",
    "roles",
    "status",
    "manifest",
    "deployment-suggestion",
    "test",
    "origin",
    "service",
    "public",
    "v2",
    "servicedef",
    "policy",
}


class Hostile:
    """Changes answers: the same seed, the same changes."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._long = False

    def __call__(self, answer: Answer) -> Answer:
        if "json" not in answer.content_type or answer.status >= 400:
            return answer
        self._long = True
        changed = json.dumps(self._value("", json.loads(answer.content)))
        return Answer(answer.status, answer.content_type, changed.encode())

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                self._name(each) if key in NAMED else each: self._value(each if key not in NAMED else "value", inner)
                for each, inner in value.items()
            }
        if isinstance(value, list):
            return [self._value(key, each) for each in value]
        if key in KEPT or key.endswith("_id") or (key == "roles" and value in ROLES) or self._random.random() < 0.5:
            return value
        if key == "timestamp" or key.endswith("_at"):
            return self._random.choice(TIMES) if isinstance(value, str) else value
        if isinstance(value, str):
            if self._long and self._random.random() < 0.05:
                self._long = False
                return LONG
            return self._random.choice(HOSTILE)
        if isinstance(value, float):
            return self._random.choice(NUMBERS)
        return value

    def _name(self, name: str) -> str:
        return self._random.choice(HOSTILE) if self._random.random() < 0.3 else name


class Alike(Replay):
    """Answers a question about something of another name as it answered one about something of its kind."""

    def find(self, key: str) -> Answer | None:
        exact = super().find(key)
        if exact is not None:
            return exact
        method, shape = _shape(key)
        alike = [answer for known, answer in self._answers.items() if _shape(known) == (method, shape)]
        return alike[0] if alike else Answer(404, "application/problem+json", NOT_FOUND)


NOT_FOUND = b'{"type": "/problems/not-found", "title": "Gone", "status": 404, "detail": "It is gone", "code": "n"}'


def _shape(key: str) -> tuple[str, tuple[str, ...]]:
    method, path = key.split(" ", 2)[:2]
    parts = path.partition("?")[0].strip("/").split("/")
    return method, tuple(part if part in WORDS else "*" for part in parts)


def check(driver: Driver) -> None:
    """Nothing on the screen commands a terminal, and every line is as wide as the screen."""
    width = driver.app.size.width
    for y, strip in enumerate(driver.app.screen._compositor.render_strips()):
        text = "".join(segment.text for segment in strip)
        bad = [character for character in text if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs")]
        assert not bad, (y, bad, text)
        assert cell_len(text) == width, (y, cell_len(text), text)
