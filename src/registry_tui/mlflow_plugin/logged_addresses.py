"""MLflow's log without the passwords of databases: MLflow itself names its database's whole address in messages."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from registry_tui.platform.database_urls import is_postgresql, shown

#: Characters of a password that is hidden wherever it occurs. A shorter one, such as `mlflow`, is a part of many words:
#: hiding it everywhere would make logs unreadable, and reveal it.
_LONG = 9
#: Settings of an address's query that are passwords: of the user, and of the file with the client's key.
_IN_QUERY = ("password", "sslpassword")

_Replacement = Callable[[str], str]


def hide_passwords(addresses: Iterable[str]) -> None:
    """Has every log record of this process, with its traceback, name these databases as people may see them."""
    replacements = [each for address in addresses for each in _replacements(address)]
    if not replacements:
        return
    make = logging.getLogRecordFactory()

    def made(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make(*arguments, **named)
        _hide(record, replacements)
        return record

    logging.setLogRecordFactory(made)


def _replacements(address: str) -> list[_Replacement]:
    """Replacements that remove the password from a text; none for an address without one."""
    if not is_postgresql(address):
        return []
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query))
    written = [parts.password or "", *(query.get(name, "") for name in _IN_QUERY)]
    # As they are, and percent-encoded as in URLs.
    passwords = {form: None for each in written if each for form in (each, unquote(each), quote(each, safe=""))}
    if not passwords:
        return []
    # The whole address first: it contains the passwords, perhaps in another spelling.
    return [_whole(address), *(_hiding(password, address) for password in sorted(passwords, key=len, reverse=True))]


def _whole(address: str) -> _Replacement:
    instead = shown(address)
    return lambda text: text.replace(address, instead)


def _hiding(password: str, address: str) -> _Replacement:
    """Hides a password where it is recognized as one: everywhere, unless it is short or a name that logs have."""
    if len(password) >= _LONG and password not in shown(address) and password not in __name__:
        return lambda text: text.replace(password, "…")
    escaped = re.escape(password)
    placed = re.compile(rf"(:){escaped}(?=@)|(password['\"]?[=:] ?['\"]?){escaped}(?![\w%-])")
    return lambda text: placed.sub(lambda found: f"{found[1] or found[2]}…", text)


def _hide(record: logging.LogRecord, replacements: Sequence[_Replacement]) -> None:
    try:
        message = record.getMessage()
    except Exception:
        # Arguments that do not fit, or raise: the handler that writes the record reports it.
        return
    if (clean := _replaced(message, replacements)) != message:
        record.msg, record.args = clean, ()
    if record.exc_info:
        traceback = logging.Formatter().formatException(record.exc_info)
        if (clean := _replaced(traceback, replacements)) != traceback:
            record.exc_text = clean


def _replaced(text: str, replacements: Iterable[_Replacement]) -> str:
    for replace in replacements:
        text = replace(text)
    return text
