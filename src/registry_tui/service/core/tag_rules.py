"""Which tags people may set and delete on runs, models and versions."""

from __future__ import annotations

from collections.abc import Iterable

from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.models import Tag
from registry_tui.service.errors import InvalidInput


def check_tags(tags: Iterable[Tag], delete: Iterable[str], reserved: str, reason: str) -> None:
    """Raises InvalidInput for a tag that is given twice, is to be set and deleted, is one of ours, or is reserved.

    `reserved` is a prefix of keys that MLflow gives a meaning there; `reason` follows the key in the error.
    """
    seen: set[str] = set()
    for key in [tag.key for tag in tags] + list(delete):
        problem = None
        if key in seen:
            problem = f"{key!r} is given twice"
        elif key.startswith(mlflow_tags.PREFIX):
            problem = f"{key!r}: the registry keeps tags under {mlflow_tags.PREFIX} for itself"
        elif key.startswith(reserved):
            problem = f"{key!r}{reason}"
        elif key != key.strip() or any(ord(sign) < 32 for sign in key):
            problem = f"{key!r} holds spaces around it, or control characters"
        if problem:
            raise InvalidInput(f"The tag {problem}", errors=[FieldProblem(field="tags", message=problem)])
        seen.add(key)
