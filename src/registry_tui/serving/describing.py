"""A replica's description of its endpoint: its model's signature and example, as OpenAPI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.replica_spec import Limits
from registry_tui.serving import chat, openapi, streaming
from registry_tui.serving.open_inference import Served

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel


def description(model: PyFuncModel, served: Served, limits: Limits, example: bytes | None) -> bytes:
    """The endpoint's OpenAPI document."""
    logged = model.metadata.to_dict()
    signature = {name: _decoded(part) for name, part in (logged.get("signature") or {}).items()}
    kind = chat.kind_of(model)
    described = openapi.Described(
        name=served.name,
        version=served.version,
        deployment=served.deployment,
        inputs=_list(signature.get("inputs")),
        outputs=_list(signature.get("outputs")),
        params=_list(signature.get("params")) or (),
        example=_decoded(example.decode(errors="replace")) if example is not None else None,
        streams=streaming.can(model),
        chat=kind.value if kind is not None else "",
        of_type_hints=bool(logged.get("is_signature_from_type_hint")),
        limits=limits,
    )
    return json.dumps(openapi.document(described)).encode()


def _decoded(text: Any) -> Any:
    """The JSON within a text; None if invalid."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return None


def _list(found: Any) -> list[Mapping[str, Any]] | None:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else None
