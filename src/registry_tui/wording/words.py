"""How values read on screen: times, sizes, numbers, and states as a glyph with its word."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from registry_tui.contracts import clocks

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Deployment

Tone = Literal["", "good", "busy", "warn", "bad", "dim", "accent"]

#: The effect of deleting experiment 0.
DEFAULT_EXPERIMENT = (
    "The project's default experiment goes: code that chooses no experiment cannot start runs until it is restored."
)

#: Names of the clouds.
CLOUDS = {"aws": "AWS", "azure": "Azure"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's text with the tone it is shown in."""

    text: str
    tone: Tone = ""


NOTHING = Cell("–", "dim")


def present() -> datetime:
    """The current time that all ages on the screen are relative to, by the service's clock."""
    return clocks.now()


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago, in at most eleven characters; the date when more than 30 days."""
    if moment is None:
        return "–"
    passed = (now or present()) - _aware(moment)
    seconds = passed.total_seconds()
    if seconds < -60:
        return absolute(moment)[:10]
    if seconds < 45:
        return "just now"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min ago"
    if seconds < 86_400:
        return f"{round(seconds / 3600)} h ago"
    if passed < timedelta(days=30):
        return f"{passed.days} d ago"
    return absolute(moment)[:10]


def absolute(moment: datetime | None) -> str:
    """Local date and time to the second."""
    if moment is None:
        return "–"
    try:
        local = _aware(moment).astimezone()
    except (OverflowError, ValueError, OSError):
        local = _aware(moment)
    return local.strftime("%Y-%m-%d %H:%M:%S")


def both(moment: datetime | None) -> str:
    """Absolute with relative after it."""
    return "–" if moment is None else f"{absolute(moment)} ({ago(moment)})"


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def duration(seconds: float | None) -> str:
    """Seconds in one or two units."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def size(count: int | None) -> str:
    """Bytes in powers of 1000 with three digits, as files are sized elsewhere."""
    if count is None:
        return "–"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if value < 999.5 or unit == "PB":
            if unit == "B":
                return f"{count} B"
            return (
                f"{value:.2f} {unit}" if value < 10 else f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"
            )
        value /= 1000
    return f"{count} B"


def memory(count: int | None) -> str:
    """Bytes of memory in powers of 1024, as limits are set."""
    if count is None:
        return "–"
    value = count / (1 << 20)
    return f"{value:.0f} MiB" if value < 1024 else f"{value / 1024:.1f} GiB"


_SIZE = r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?"
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes from `512M`, `1.5 GiB` or a number. Raises ValueError."""
    found = re.fullmatch(_SIZE, text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"{text!r} is not a size like 512M or 2G")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def number(value: float) -> str:
    """A metric's value: five significant digits, exponents only where needed."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e7:
        return str(int(value))
    return f"{value:.5g}"


def bar(done: float, width: int) -> str:
    """A progress bar of `width` cells; `done` from 0 to 1."""
    filled = round(max(0.0, min(1.0, done)) * width)
    return "━" * filled + "─" * (width - filled)


def registry_status(status: str, label: str) -> Cell:
    """A Model Registry's status as glyph and word."""
    if status.endswith("failed"):
        return Cell(f"✗ {label}", "bad")
    if status in ("installation:finished", "modify:finished"):
        return Cell(f"● {label}", "good")
    return Cell(f"◐ {label}", "busy")


_RUN = {
    "FINISHED": Cell("✓ finished", "good"),
    "FAILED": Cell("✗ failed", "bad"),
    "KILLED": Cell("✗ killed", "warn"),
    "RUNNING": Cell("◐ running", "busy"),
    "SCHEDULED": Cell("○ scheduled", "dim"),
}
_VERSION = {
    "READY": Cell("● Ready", "good"),
    "PENDING_REGISTRATION": Cell("◐ Archiving", "busy"),
    "FAILED_REGISTRATION": Cell("✗ Failed", "bad"),
}
_WORKFLOW = {
    "queued": Cell("○ queued", "dim"),
    "running": Cell("◐ running", "busy"),
    "cancelling": Cell("◐ cancelling", "warn"),
    "succeeded": Cell("✓ succeeded", "good"),
    "failed": Cell("✗ failed", "bad"),
    "cancelled": Cell("✗ cancelled", "warn"),
    "started": Cell("◐ started", "busy"),
    "denied": Cell("✗ denied", "bad"),
}


_DEPLOYMENT = {
    "pending": Cell("○ pending", "dim"),
    "deploying": Cell("◐ deploying", "busy"),
    "deployed": Cell("● deployed", "good"),
    "stopping": Cell("◐ stopping", "warn"),
    "stopped": Cell("○ stopped", "dim"),
    "failed": Cell("✗ failed", "bad"),
}
_REPLICA = {
    "starting": Cell("◐ starting", "busy"),
    "ready": Cell("● ready", "good"),
    "stopping": Cell("◐ stopping", "warn"),
    "failed": Cell("✗ failed", "bad"),
}
_BUILD = {
    "pending": Cell("◐ pending", "busy"),
    "building": Cell("◐ building", "busy"),
    "built": Cell("● built", "good"),
    "build failed": Cell("✗ build failed", "bad"),
}
_REVISION = {
    "pending": Cell("◐ pending", "busy"),
    "active": Cell("● active", "good"),
    "replaced": Cell("○ replaced", "dim"),
    "failed": Cell("✗ failed", "bad"),
    "cancelled": Cell("✗ cancelled", "warn"),
}


def deployment_state(state: str) -> Cell:
    """A deployment's state as glyph and word."""
    return _DEPLOYMENT.get(state, Cell(f"? {state}", "dim"))


def replica_state(state: str) -> Cell:
    """A replica's state as glyph and word."""
    return _REPLICA.get(state, Cell(f"? {state}", "dim"))


def build_state(state: str) -> Cell:
    """The state of a build of a model's environment, as glyph and word."""
    return _BUILD.get(state, Cell(f"? {state}", "dim"))


def revision_state(state: str) -> Cell:
    """A revision's state as glyph and word."""
    return _REVISION.get(state, Cell(f"? {state}", "dim"))


def milliseconds(seconds: float | None) -> str:
    """A latency."""
    if seconds is None:
        return "–"
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def percent(share: float) -> str:
    """A share of one."""
    return f"{share * 100:.1f} %"


def run_status(status: str) -> Cell:
    """A run's status as glyph and word."""
    return _RUN.get(status, Cell(f"? {status.lower()}", "dim"))


def version_status(status: str | None) -> Cell:
    """A model version's status as glyph and word."""
    return NOTHING if status is None else _VERSION.get(status, Cell(f"? {status}", "dim"))


def work_status(status: str) -> Cell:
    """A workflow's status or an event's outcome as glyph and word."""
    return _WORKFLOW.get(status, Cell(f"? {status}", "dim"))


def batching(deployment: Deployment) -> str:
    """Whether requests share calls of the model: the setting, and its result."""
    return ": ".join(part for part in (deployment.batching.value, deployment.batching_decision) if part)


def not_numbers(deployment: Deployment) -> str:
    """How NaN and infinities are returned."""
    return "answered as null (strict JSON)" if deployment.strict_json else "answered as MLflow does"


def own_port(deployment: Deployment) -> str:
    """A deployment's own address, or why it is not open; empty without one."""
    if deployment.port is None:
        return ""
    address = f"http://127.0.0.1:{deployment.port}/invocations"
    return f"{address} (not open: {deployment.port_error})" if deployment.port_error else address
