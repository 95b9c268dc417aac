"""Limits of API keys in words, and how the command line writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_tui.contracts.counts import counted
from registry_tui.wording.joining import joined, said

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import ApiKey, KeyLimits


def limits_told(limits: KeyLimits) -> str:
    """The limits of a key, in one line: `5 requests a second, 10 at once; 1,000 a day`."""
    return joined(
        said(limits.per_second, lambda most: f"{counted(most, 'request')} a second, {limits.at_once:,} at once"),
        said(limits.per_day, lambda most: f"{counted(most, 'request')} a day"),
        said(limits.per_month, lambda most: f"{counted(most, 'request')} a month"),
        nothing="no limits",
    )


def in_table(key: ApiKey) -> str:
    """A key's limits with their use, as short as a table's cell: `5/s, 20/1,000 a day`; else an empty text."""
    limits = key.limits
    return joined(
        said(limits.per_second, lambda most: f"{most:g}/s"),
        said(limits.per_day, lambda most: f"{key.used_today:,}/{most:,} a day"),
        said(limits.per_month, lambda most: f"{key.used_this_month:,}/{most:,} a month"),
        between=", ",
    )


def options(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """The command line's options of limits in a request's body."""
    return [(f"--{name.replace('_', '-')}", body[name]) for name in ("per_second", "burst", "per_day", "per_month")]
