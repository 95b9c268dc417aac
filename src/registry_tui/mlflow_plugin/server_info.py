"""The information of MLflow's server for clients before they sign in.

It does not offer multipart transfers by default, unlike a stock server on such a store: a client that was offered them
does not fall back when it cannot reach the store, and the server cannot know whether it can. Clients with
`MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD` and `MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD` get them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from mlflow.utils.server_info import SERVER_INFO_MULTIPART_DOWNLOADS_ENABLED, SERVER_INFO_MULTIPART_UPLOADS_ENABLED

_NOT_OFFERED = (SERVER_INFO_MULTIPART_UPLOADS_ENABLED, SERVER_INFO_MULTIPART_DOWNLOADS_ENABLED)


def install(*modules: ModuleType) -> None:
    """Makes MLflow's modules return that."""
    for module in modules:
        if not hasattr(module, "build_server_info_payload"):
            raise RuntimeError(f"{module.__name__} of this MLflow says otherwise what its server can")
        vars(module)["build_server_info_payload"] = _without_parts(module.build_server_info_payload)


def _without_parts(stock: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    @wraps(stock)
    def payload() -> dict[str, Any]:
        return {**stock(), **dict.fromkeys(_NOT_OFFERED, False)}

    return payload
