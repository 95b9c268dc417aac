"""A new replica is tried with the request that MLflow stored with its model."""

from __future__ import annotations

import http.client
import json
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from registry_tui.contracts.counts import counted
from registry_tui.service.backends.base import Backends, ReplicaName
from registry_tui.service.errors import WrongState

_SEE_LOG = "See its log: `registry-tui deployments logs`"


def read(files: Path) -> bytes | None:
    """The request that MLflow stored among a model's files, if any. Raises OSError."""
    path = files / "serving_input_example.json"
    return path.read_bytes() if path.is_file() else None


def ask(backends: Backends, name: ReplicaName, example: bytes, seconds: float) -> str | None:
    """None when the replica answers the example, else the problem of the example: status and reason.

    Raises WrongState when the replica ends over it, hangs, or its model fails.
    """
    try:
        # The replica itself reports a timeout; a little more is for one that does not respond.
        status, body = backends.replicas.ask(
            name, "POST", "/invocations", example, "application/json", seconds + 5.0, trial=True
        )
    except TimeoutError:
        status, body = HTTPStatus.GATEWAY_TIMEOUT, b""
    except (OSError, http.client.HTTPException) as error:
        raise WrongState(
            f"The replica {name.program} ended over the model's own input example. {last_words(backends, name)}",
            action=_SEE_LOG,
        ) from error
    if status == HTTPStatus.OK:
        return None
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        detail = f"The model does not answer its own input example within {counted(seconds, 'second')}"
        raise WrongState(detail, action=_SEE_LOG)
    # MLflow's server answers 400 also when the model fails, and then with a stack trace.
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or b'"stack_trace"' in body:
        raise WrongState(f"The model fails over its own input example: {cause(body)}", action=_SEE_LOG)
    return f"{status:d}: {cause(body)}"


def cause(body: bytes) -> str:
    """The last line of the cause in a replica's error response."""
    text = body.decode(errors="replace")
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            text = str(found.get("stack_trace") or found.get("message") or text)
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:500] if lines else "it says nothing"


def last_words(backends: Backends, name: ReplicaName) -> str:
    """The end of a replica's log, where the reason of its end is not known."""
    with suppress(OSError):
        lines, _ = backends.logs.read(name, None, lines=3)
        if lines:
            return "The last lines of its log: " + " | ".join(lines)
    return "Its log is empty"
