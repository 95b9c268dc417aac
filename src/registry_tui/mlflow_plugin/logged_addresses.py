"""MLflow's log without the passwords of databases: MLflow itself names its database's whole address in messages."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from registry_tui.platform.database_urls import is_postgresql, shown


def hide_passwords(addresses: Iterable[str]) -> None:
    """Has every log record of this process, with its traceback, name these databases as people may see them."""
    instead: dict[str, str] = {}
    for address in addresses:
        if is_postgresql(address) and (password := urlsplit(address).password):
            # The whole address first: it holds the password, as it is written there and perhaps otherwise.
            instead |= {address: shown(address), password: "…", unquote(password): "…"}
    if not instead:
        return
    make = logging.getLogRecordFactory()

    def made(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make(*arguments, **named)
        _hide(record, instead)
        return record

    logging.setLogRecordFactory(made)


def _hide(record: logging.LogRecord, instead: Mapping[str, str]) -> None:
    try:
        message = record.getMessage()
    except (TypeError, ValueError, KeyError):
        return  # arguments that do not fit; whoever writes the record says so
    if (clean := _replaced(message, instead)) != message:
        record.msg, record.args = clean, ()
    if record.exc_info:
        traceback = logging.Formatter().formatException(record.exc_info)
        if (clean := _replaced(traceback, instead)) != traceback:
            record.exc_text = clean


def _replaced(text: str, instead: Mapping[str, str]) -> str:
    for each, other in instead.items():
        text = text.replace(each, other)
    return text
