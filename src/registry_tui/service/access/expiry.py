"""How long API keys and tokens are valid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from registry_tui.schemas.base import FieldProblem
from registry_tui.service.errors import InvalidInput

#: How long a key or token is valid by default, and at most.
DEFAULT_LIFE, LONGEST_LIFE = timedelta(days=365), timedelta(days=3650)


def expiry(moment: datetime, expires_at: datetime | None, days: int | None) -> datetime:
    """The expiry of a key made at `moment`, from a request's two fields. Raises InvalidInput."""
    if days is not None and expires_at is not None:
        message = "give either this or days"
        raise InvalidInput(f"expires_at: {message}", errors=[FieldProblem(field="expires_at", message=message)])
    life = DEFAULT_LIFE if days is None else timedelta(days=days)
    expires = expires_at or moment + life
    if expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    if not moment < expires <= moment + LONGEST_LIFE:
        message = f"must be in the future, and within {LONGEST_LIFE.days // 365} years"
        raise InvalidInput(f"expires_at {message}", errors=[FieldProblem(field="expires_at", message=message)])
    return expires
