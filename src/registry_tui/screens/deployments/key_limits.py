"""The form of an API key's limits, and its fields, which the form of a new key has too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from textual.widget import Widget
from textual.widgets import Input

from registry_tui.screens.base.form import Form, row, whole

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import ApiKey, KeyLimits

#: For each limit its field, its label, and the placeholder.
_FIELDS = (
    ("per_second", "Requests a second", "no limit: 5, 0.5 …"),
    ("burst", "At once", "those of a second"),
    ("per_day", "Requests a day", "no limit; days and months are UTC's"),
    ("per_month", "Requests a month", "no limit"),
)


def limit_fields(limits: KeyLimits | None = None) -> Iterable[Widget]:
    """The fields, with the current limits."""
    for name, label, nothing in _FIELDS:
        value = None if limits is None else getattr(limits, name)
        text = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        yield row(label, Input(text, compact=True, id=name.replace("_", "-"), placeholder=nothing))


def limits_problem(form: Form[Any]) -> str | None:
    """The problem with the typed limits; None if they are valid."""
    for name, label, _ in _FIELDS:
        typed = _typed(form, name)
        if not typed:
            continue
        if name == "per_second":
            if not 0.001 <= (_fraction(typed) or 0.0) <= 1_000_000:
                return "requests a second: a number from 0.001 to 1000000"
        elif (whole(typed) or 0) < 1:
            return f"{label.lower()}: a whole number from 1"
    if _typed(form, "burst") and not _typed(form, "per_second"):
        return "at once: type the requests a second too"
    return None


def limits_typed(form: Form[Any]) -> KeyLimits:
    """The typed limits, once `limits_problem` finds no problem."""
    from registry_tui.schemas.deployments import KeyLimits

    values = {name: typed for name, *_ in _FIELDS if (typed := _typed(form, name))}
    return KeyLimits.model_validate(values)


class LimitKey(Form["ApiKey"]):
    """Limits the number of requests with a key."""

    OK = "Set limits"

    def __init__(self, found: ApiKey) -> None:
        super().__init__()
        self._found = found

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return f"Limits of {self._found.name}"

    def compose_fields(self) -> Iterable[Widget]:
        yield from limit_fields(self._found.limits)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#per-second").focus()

    def problem_of(self) -> str | None:
        return limits_problem(self)

    async def send(self) -> ApiKey:
        return await self.program.client.limit_key(self._found.id, limits_typed(self))


def _typed(form: Form[Any], name: str) -> str:
    return form.query_one(f"#{name.replace('_', '-')}", Input).value.strip()


def _fraction(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
