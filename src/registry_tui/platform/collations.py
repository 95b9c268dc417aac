"""Texts in PostgreSQL compared and sorted by their bytes, as in SQLite, for every language of a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Name and statement for each table of the current schema with columns that follow the rules of a language, or of the
#: database, which may have one.
STATEMENTS = """
    SELECT c.relname, 'ALTER TABLE ' || quote_ident(c.relname) || ' ' || string_agg(
        'ALTER COLUMN ' || quote_ident(a.attname) || ' TYPE ' || format_type(a.atttypid, a.atttypmod) || ' COLLATE "C"',
        ', ' ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_collation o ON o.oid = a.attcollation
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0
      AND NOT a.attisdropped AND o.collname <> 'C'
    GROUP BY c.relname ORDER BY c.relname
"""


def compare_by_bytes(execute: Callable[[str], Any]) -> bool:
    """Changes every text column of the current schema that is compared otherwise; returns whether there were any.

    `execute` runs a statement, and returns an object with `fetchall`. Raises the driver's errors.
    """
    found = statements(execute)
    for statement in found.values():
        execute(statement)
    return bool(found)


def statements(execute: Callable[[str], Any]) -> dict[str, str]:
    """The statements that change the tables of the current schema, by table; `execute` as above.

    Raises the driver's errors.
    """
    return {str(name): str(statement) for name, statement in execute(STATEMENTS).fetchall()}
