"""Limits of API keys in words, and how the command line writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_tui.contracts.counts import counted

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import ApiKey, KeyLimits


def limits_told(limits: KeyLimits) -> str:
    """The limits of a key, in one line: `5 requests a second, 10 at once; 1,000 a day`."""
    told = []
    if limits.per_second is not None:
        told.append(f"{counted(limits.per_second, 'request')} a second, {limits.at_once:,} at once")
    if limits.per_day is not None:
        told.append(f"{counted(limits.per_day, 'request')} a day")
    if limits.per_month is not None:
        told.append(f"{counted(limits.per_month, 'request')} a month")
    return "; ".join(told) or "no limits"


def in_table(key: ApiKey) -> str:
    """A key's limits with their use, as short as a table's cell: `5/s, 20/1,000 a day`; else an empty text."""
    limits, told = key.limits, []
    if limits.per_second is not None:
        told.append(f"{limits.per_second:g}/s")
    if limits.per_day is not None:
        told.append(f"{key.used_today:,}/{limits.per_day:,} a day")
    if limits.per_month is not None:
        told.append(f"{key.used_this_month:,}/{limits.per_month:,} a month")
    return ", ".join(told)


def options(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """The command line's options of limits in a request's body."""
    return [(f"--{name.replace('_', '-')}", body[name]) for name in ("per_second", "burst", "per_day", "per_month")]
