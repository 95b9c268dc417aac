"""Texts in PostgreSQL that are compared and sorted by their bytes, as SQLite does, whatever language a database has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: A statement for each table of the current schema with columns that follow the rules of a language, or of the
#: database, which may be one's.
STATEMENTS = """
    SELECT 'ALTER TABLE ' || quote_ident(c.relname) || ' ' || string_agg(
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
    statements = [str(row[0]) for row in execute(STATEMENTS).fetchall()]
    for statement in statements:
        execute(statement)
    return bool(statements)
