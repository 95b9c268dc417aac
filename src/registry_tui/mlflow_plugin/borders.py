"""Our facts stay on the server: clients never see tags under `mlflow_tags.PREFIX`, in any response or by any filter.

Only the service's own account reads and searches them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from registry_tui.mlflow_plugin.identity import is_administrator
from registry_tui.schemas.mlflow_tags import PREFIX


def install() -> None:
    """Takes our tags out of models and versions where MLflow turns them into responses.

    Every handler (REST, GraphQL, and the auth app when it refills a page) does that with `to_proto`. The store's own
    methods go on seeing every tag.
    """
    for entity in (RegisteredModel, ModelVersion):
        entity.to_proto = _without_ours(entity.to_proto)


def _without_ours(to_proto: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @wraps(to_proto)
    def convert(entity: Any) -> Any:
        proto = to_proto(entity)
        if not is_administrator():
            kept = [tag for tag in proto.tags if not tag.key.startswith(PREFIX)]
            del proto.tags[:]
            proto.tags.extend(kept)
        return proto

    return convert


def asks_for_ours(parsed_filters: Iterable[Any]) -> bool:
    """Whether a client's filter names one of our tags, which for the client does not exist."""
    return not is_administrator() and any(
        each["type"] == "tag" and each["key"].startswith(PREFIX) for each in parsed_filters
    )
