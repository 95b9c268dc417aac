"""Texts in PostgreSQL that are compared and sorted by their bytes, as SQLite does, whatever language a database has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Name and statement for each table of the current schema with columns that follow the rules of a language, or of the
#: database, which may be one's.
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

    `execute` carries out a statement, and returns what has `fetchall`. Raises the driver's errors.
    """
    found = statements(execute)
    for statement in found.values():
        execute(statement)
    return bool(found)


def statements(execute: Callable[[str], Any]) -> dict[str, str]:
    """What changes the tables of the current schema, by their names; `execute` as above. Raises the driver's errors."""
    return {str(name): str(statement) for name, statement in execute(STATEMENTS).fetchall()}
