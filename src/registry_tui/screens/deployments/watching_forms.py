"""The forms for the rules of a deployment's request log, and of its drift."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Static

from registry_tui.screens.base.form import Form, Tick, row, whole
from registry_tui.screens.deployments.deploy import size_text
from registry_tui.wording.rollouts import parse_share
from registry_tui.wording.words import parse_size

if TYPE_CHECKING:
    from registry_tui.schemas.drift import Drift, DriftRules
    from registry_tui.schemas.request_log import RequestLog, RequestLogRules

#: The share that is offered where none is kept, and the limits of a log's size in bytes.
_OFFERED, _LEAST_BYTES, _MOST_BYTES = "5%", 1 << 20, 1 << 40


class KeepRequests(Form["RequestLog"]):
    """Sets the share of the requests that is kept from now on, for how long, and the columns left out."""

    OK = "Keep"

    def __init__(self, deployment: str, name: str, rules: RequestLogRules) -> None:
        super().__init__()
        self._deployment, self._title, self._rules = deployment, name, rules

    @property
    def edits(self) -> bool:
        return bool(self._rules.share)

    def title_text(self) -> str:
        return f"Requests of {self._title} that are kept"

    def compose_fields(self) -> Iterable[Widget]:
        rules = self._rules
        share = f"{100 * rules.share:g}%" if rules.share else _OFFERED
        yield row("Share", Input(share, compact=True, id="share", placeholder="5%, 0.05 …"))
        yield row("Days at most", Input(f"{rules.days:g}", compact=True, id="days"))
        yield row("Size at most", Input(size_text(rules.max_bytes), compact=True, id="max-size"))
        names = "columns, with commas between them"
        left_out = ", ".join(rules.leave_out)
        yield row("Leave out", Input(left_out, compact=True, id="leave-out", placeholder=names))
        yield row("Mask", Input(", ".join(rules.mask), compact=True, id="mask", placeholder=names))
        yield Static(
            "Chosen by chance. Headers and API keys are never kept; of masked columns only that they were there.",
            classes="hint",
        )

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#share").focus()

    def problem_of(self) -> str | None:
        try:
            if not 0 < parse_share(self._text("share")) <= 1:
                return "share: above 0% and up to 100%"
            most = parse_size(self._text("max-size"))
        except ValueError as error:
            return str(error)
        if not 0 < (_number(self._text("days")) or 0.0) <= 366:
            return "days: a number above 0, up to 366"
        return None if _LEAST_BYTES <= most <= _MOST_BYTES else "size: from 1M to 1T"

    async def send(self) -> RequestLog:
        from registry_tui.schemas.request_log import RequestLogRules

        rules = RequestLogRules(
            share=parse_share(self._text("share")),
            days=float(self._text("days")),
            max_bytes=parse_size(self._text("max-size")),
            leave_out=_names(self._text("leave-out")),
            mask=_names(self._text("mask")),
        )
        return await self.program.client.set_request_log(self._deployment, rules)

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()


class JudgeDrift(Form["Drift"]):
    """Sets from which distance on a column drifts, which requests are compared, and whether alerts are sent."""

    OK = "Set"

    def __init__(self, deployment: str, name: str, rules: DriftRules) -> None:
        super().__init__()
        self._deployment, self._title, self._rules = deployment, name, rules

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return f"Drift of {self._title}"

    def compose_fields(self) -> Iterable[Widget]:
        rules = self._rules
        yield row("Drift above PSI", Input(_bound(rules.max_psi), compact=True, id="max-psi", placeholder="not judged"))
        yield row("Drift above KS", Input(_bound(rules.max_ks), compact=True, id="max-ks", placeholder="not judged"))
        yield row("Hours", Input(f"{rules.hours:g}", compact=True, id="hours"))
        yield row("Requests at most", Input(str(rules.requests), compact=True, id="requests-at-most"))
        yield row("Rows at least", Input(str(rules.min_rows), compact=True, id="min-rows"))
        yield row("Alerts", Tick("an event and webhooks when drift begins and ends", rules.watch, id="watch"))

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#max-psi").focus()

    def problem_of(self) -> str | None:
        for name, label, most in (("max-psi", "PSI", 100), ("max-ks", "KS", 1)):
            typed = self._text(name)
            if typed and not 0 < (_number(typed) or 0.0) <= most:
                return f"{label}: a number above 0, up to {most}, or nothing"
        if not 0 < (_number(self._text("hours")) or 0.0) <= 24 * 366:
            return "hours: a number above 0, up to a year's 8784"
        if not 1 <= (whole(self._text("requests-at-most")) or 0) <= 50_000:
            return "requests: a whole number from 1 to 50000"
        if not 1 <= (whole(self._text("min-rows")) or 0) <= 10**9:
            return "rows: a whole number from 1"
        return None

    async def send(self) -> Drift:
        from registry_tui.schemas.drift import DriftRules

        rules = DriftRules(
            max_psi=_number(self._text("max-psi")),
            max_ks=_number(self._text("max-ks")),
            hours=float(self._text("hours")),
            requests=int(self._text("requests-at-most")),
            min_rows=int(self._text("min-rows")),
            watch=self.query_one("#watch", Tick).value,
        )
        return await self.program.client.set_drift_rules(self._deployment, rules)

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _names(text: str) -> list[str]:
    return [name for each in text.split(",") if (name := each.strip())]
