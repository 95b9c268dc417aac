"""The private names of DBOS, aiohttp and others."""

from __future__ import annotations

from support.private_names.foreign import Foreign, Kind

_ENGINE = "service/engine/dbos_private.py"

OTHERS = (
    Foreign(
        "dbos:DBOS._background_jobs_stop_event",
        _ENGINE,
        Kind.ATTRIBUTE,
        "ends its threads; without it they cost a query a second each",
    ),
    Foreign(
        "dbos:DBOS._recover_pending_workflows",
        _ENGINE,
        ("executor_ids",),
        "goes on with the workflows of a process that is gone",
    ),
    Foreign(
        "aiohttp.web:AppRunner._make_server",
        "gateway/connections.py",
        ("self",),
        "the server makes connections of ours",
    ),
    Foreign(
        "aiohttp.web_protocol:RequestHandler._loop",
        "gateway/connections.py",
        Kind.ATTRIBUTE,
        "limits of time run in the connection's loop",
    ),
    Foreign(
        "aiohttp.web_protocol:RequestHandler._request_count",
        "gateway/connections.py",
        Kind.ATTRIBUTE,
        "whether a head is complete, so that a slow one is cut off",
    ),
    Foreign(
        "aiohttp.web_protocol:RequestHandler._waiter",
        "gateway/connections.py",
        Kind.ATTRIBUTE,
        "whether a request is answered, so that a slow head is cut off",
    ),
    Foreign(
        "httpx._client:UseClientDefault", "client/transport.py", Kind.CLASS, "the type of httpx's own default timeout"
    ),
    Foreign(
        "typer._completion_shared:get_completion_script",
        "cli/misc.py",
        ("prog_name", "complete_var", "shell"),
        "`completion` prints the script; without it only that command fails",
    ),
    Foreign("flask:Flask.secret_key", "mlflow_plugin/session_key.py", Kind.ATTRIBUTE, "a key that was replaced"),
    Foreign(
        "sqlalchemy:Engine.hide_parameters",
        "mlflow_plugin/launch.py",
        Kind.ATTRIBUTE,
        "MLflow's engines show no values in errors",
    ),
)
