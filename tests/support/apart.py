"""Work in another process: its imports and objects leave no trace in the process that runs the tests."""

from __future__ import annotations

import multiprocessing
import pkgutil
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


@contextmanager
def other_process() -> Iterator[ProcessPoolExecutor]:
    """A new Python process that calls functions of modules, one after the other; their errors are raised here.

    Arguments and results are copied, and a function's global state stays until the process ends.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def call(name: str, *arguments: object) -> Any:
    """Calls `module:function`: only the process in which this runs imports the module.

    Raises a RuntimeError with the traceback of any error: some libraries' errors cannot be copied between processes.
    """
    try:
        return pkgutil.resolve_name(name)(*arguments)
    except Exception:
        raise RuntimeError(traceback.format_exc()) from None
