"""Imports all modules that serving needs before the model's own code, which MLflow then puts first on `sys.path`.

A model's `uvicorn.py` or `token.py` would otherwise shadow a module that is imported later.
"""

from __future__ import annotations

import importlib
from contextlib import suppress

from registry_tui.contracts.garbage import lasting

#: Modules that uvicorn, asyncio, MLflow's scoring functions and tracebacks import at run time. A test serves a model
#: that shadows every module that is not loaded, to find missing ones.
_MODULES = (
    "_multiprocessing",
    "concurrent.futures.thread",
    "email.contentmanager",
    "email.headerregistry",
    "email.policy",
    "encodings.idna",
    "importlib_metadata",
    "linecache",
    "logging.config",
    "logging.handlers",
    "multiprocessing.connection",
    "multiprocessing.resource_tracker",
    "multiprocessing.util",
    "socketserver",
    "stringprep",
    "token",
    "tokenize",
    "traceback",
    "zoneinfo",
    "httptools",
    "orjson",
    "uvloop",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.loops.uvloop",
    "uvicorn.main",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.http.httptools_impl",
    "pandas",
    "pyarrow.ipc",
    "pyarrow.pandas_compat",
    "pyarrow.vendored.version",
    "mlflow.pyfunc.scoring_server",
    "mlflow.pyfunc.utils.serving_data_parser",
    "mlflow.utils.proto_json_utils",
    "registry_tui.serving.app",
    "registry_tui.serving.arrow",
    "registry_tui.serving.chat",
    "registry_tui.serving.company",
    "registry_tui.serving.describing",
    "registry_tui.serving.joined",
    "registry_tui.serving.open_inference",
    "registry_tui.serving.row_by_row",
    "registry_tui.serving.scorer",
    "registry_tui.serving.shortcuts",
    "registry_tui.serving.streaming",
)


def import_server_modules() -> None:
    """Imports them; those that the model's environment or its MLflow does not have are left out."""
    with lasting():
        # Present in every environment; an error in one of them is an error of the replica.
        importlib.import_module("mlflow.pyfunc")
        for name in _MODULES:
            with suppress(ImportError):
                importlib.import_module(name)
