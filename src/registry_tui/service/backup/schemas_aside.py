"""A platform's schemas of PostgreSQL as they were before an upgrade: copies in the same databases.

The copies of one database are made in one transaction, and take the schemas' places in one: a kill leaves all of it or
nothing. Each has a comment with the upgrade's ID, which shows the state after a kill. Schemas with things that a copy
would lack are refused before anything is copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, cast

import psycopg
from psycopg import sql

from registry_tui.contracts.counts import counted
from registry_tui.platform.database_urls import Databases, for_psycopg, schema_of, shown
from registry_tui.platform.errors import Damaged
from registry_tui.platform.postgresql import connect
from registry_tui.service.backup.postgresql_snapshots import database_of, words
from registry_tui.service.backup.snapshots import CannotBackUp

Counts = dict[str, dict[str, int]]
_Connection = psycopg.Connection[tuple[Any, ...]]

_BEFORE, _MARK = "__before", "registry-tui: rows of before the upgrade"
_PATIENCE = 5.0

#: Things that others made of a schema's tables, or in it, which a copy would lack.
_STRANGE = """
    SELECT 'the view ' || v.oid::regclass FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
        JOIN pg_class v ON v.oid = r.ev_class JOIN pg_class t ON t.oid = d.refobjid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND v.oid <> t.oid
        AND t.relnamespace = current_schema()::regnamespace
    UNION SELECT 'the foreign key ' || conname || ' of ' || conrelid::regclass FROM pg_constraint
        JOIN pg_class t ON t.oid = confrelid JOIN pg_class o ON o.oid = conrelid
    WHERE contype = 'f' AND t.relnamespace = current_schema()::regnamespace AND o.relnamespace <> t.relnamespace
    UNION SELECT 'the relation ' || oid::regclass FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace
        AND (relkind NOT IN ('r', 'i', 'S', 't') OR relispartition OR relrowsecurity)
    UNION SELECT 'the function ' || oid::regproc FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND prokind NOT IN ('f', 'p')
    UNION SELECT 'the type ' || oid::regtype FROM pg_type
    WHERE typnamespace = current_schema()::regnamespace AND typtype IN ('e', 'd')
    ORDER BY 1
"""
_TABLES = (
    "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY 1"
)
_COLUMNS = """
    SELECT c.relname, a.attname, a.attidentity <> '', a.attgenerated <> '', pg_get_expr(e.adbin, e.adrelid)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY c.relname, a.attnum
"""
#: Sequences other than those of identity columns, which come with their tables; with the column that owns each.
_SEQUENCES = """
    SELECT s.relname, 'AS ' || format_type(q.seqtypid, NULL) || ' START ' || q.seqstart || ' INCREMENT ' ||
        q.seqincrement || ' MINVALUE ' || q.seqmin || ' MAXVALUE ' || q.seqmax || ' CACHE ' || q.seqcache ||
        CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END, t.relname, a.attname
    FROM pg_class s JOIN pg_sequence q ON q.seqrelid = s.oid
        LEFT JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
            AND d.refclassid = 'pg_class'::regclass
        LEFT JOIN pg_class t ON t.oid = d.refobjid
        LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE s.relnamespace = current_schema()::regnamespace AND d.deptype IS DISTINCT FROM 'i'
    ORDER BY s.relname
"""
#: Keys before those that point at them.
_CONSTRAINTS = """
    SELECT t.relname, conname, pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_class t ON t.oid = conrelid
    WHERE t.relnamespace = current_schema()::regnamespace AND contype IN ('p', 'u', 'x', 'c', 'f')
    ORDER BY contype = 'f', t.relname, conname
"""
#: Written prettily, names of the current schema are without it.
_INDEXES = """
    SELECT pg_get_indexdef(i.indexrelid, 0, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = current_schema()::regnamespace
        AND NOT EXISTS (SELECT 1 FROM pg_constraint o WHERE o.conindid = i.indexrelid AND contype IN ('p', 'u', 'x'))
    ORDER BY c.relname
"""
_TRIGGERS = """
    SELECT pg_get_triggerdef(g.oid, true) FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
    WHERE t.relnamespace = current_schema()::regnamespace AND NOT g.tgisinternal ORDER BY g.tgname
"""
#: Their bodies name the schema that the copy replaces: only the name in front is the copy's, until then.
_FUNCTIONS = """
    SELECT k || quote_ident(%s) || '.' || substr(d, length(h) + 1)
    FROM pg_proc p, pg_get_functiondef(p.oid) d,
        LATERAL (SELECT 'CREATE OR REPLACE ' || CASE p.prokind WHEN 'p' THEN 'PROCEDURE ' ELSE 'FUNCTION ' END) AS n(k),
        LATERAL (SELECT k || quote_ident(current_schema()) || '.') AS m(h)
    WHERE p.pronamespace = current_schema()::regnamespace AND p.prokind IN ('f', 'p') ORDER BY p.oid
"""
#: Rights that others were given, as statements without the schema's name.
_GRANTS = """
    SELECT 'GRANT ' || g.privilege_type || ' ON ' || CASE WHEN c.relkind = 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END ||
        quote_ident(c.relname) || ' TO ' || CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END ||
        CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    FROM pg_class c, aclexplode(c.relacl) g
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'S') AND g.grantee <> c.relowner
"""
_SCHEMA_GRANTS = """
    SELECT g.privilege_type, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END
    FROM pg_namespace n, aclexplode(n.nspacl) g WHERE n.oid = current_schema()::regnamespace AND g.grantee <> n.nspowner
"""


def revision(databases: Databases) -> str | None:
    """The newest migration of the service's tables. Raises CannotBackUp."""
    with words(databases), connect(for_psycopg(databases.service), _PATIENCE) as connection:
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
            return None
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if found is None else str(found[0])


def counts(databases: Databases) -> Counts:
    """The rows of each table of each part. Raises CannotBackUp."""
    found = {}
    with words(databases):
        for part, url in asdict(databases).items():
            with connect(for_psycopg(url), _PATIENCE) as connection:
                found[part] = _counts(connection)
    return found


def require_copies(databases: Databases) -> None:
    """Raises CannotBackUp where a schema has something that its copy would lack."""
    with words(databases):
        for url in asdict(databases).values():
            with connect(for_psycopg(url), _PATIENCE) as connection:
                _require_known(connection, url)


def copy(databases: Databases, id_: str) -> Counts:
    """Copies every schema, replacing copies of an earlier upgrade; returns the rows of each. Raises CannotBackUp."""
    found: Counts = {}
    with words(databases):
        for parts in _by_database(databases):
            with _one_transaction(parts) as connection:
                for part, url in parts.items():
                    found[part] = _copy(connection, url, id_)
    return found


def go_back(databases: Databases, id_: str, rows: Counts, at: str) -> None:
    """Replaces the schemas with the copies, and renames the former ones with `at`; may be repeated.

    Raises CannotBackUp, Damaged.
    """
    with words(databases):
        for parts in _by_database(databases):
            with _one_transaction(parts) as connection:
                for part, url in parts.items():
                    _require_copy(connection, url, id_, rows[part])
        for parts in _by_database(databases):
            with _one_transaction(parts) as connection:
                for url in parts.values():
                    _take_place(connection, schema_of(url), id_, at)


def places(databases: Databases, beside: str = _BEFORE) -> str:
    """The names of the copied schemas, for people."""
    names = ", ".join(f"{schema_of(url)}{beside}" for url in asdict(databases).values())
    return f"the schemas {names} of {shown(databases.service)}"


def _by_database(databases: Databases) -> Iterable[dict[str, str]]:
    """The addresses of the parts that share a database, for each database."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for part, url in asdict(databases).items():
        found.setdefault(database_of(url), {})[part] = url
    return found.values()


@contextmanager
def _one_transaction(parts: Mapping[str, str]) -> Iterator[_Connection]:
    with connect(for_psycopg(next(iter(parts.values()))), _PATIENCE) as connection:
        yield connection  # commits at the end


# -- copying ---------------------------------------------------------------------------------------------


def _copy(connection: _Connection, url: str, id_: str) -> dict[str, int]:
    schema, before = schema_of(url), f"{schema_of(url)}{_BEFORE}"
    earlier = _comment(connection, before)
    if earlier is not None:
        if not earlier.startswith(_MARK):
            raise CannotBackUp(
                f"The schema {before} of {shown(url)} is not an upgrade's copy", action="Give it another name"
            )
        _do(connection, "DROP SCHEMA {} CASCADE", before)
    _see(connection, schema)
    _require_known(connection, url)
    tables = [str(name) for (name,) in connection.execute(_TABLES).fetchall()]
    if tables:
        names = sql.SQL(", ").join(map(sql.Identifier, tables))
        connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(names))
    columns = connection.execute(_COLUMNS).fetchall()
    sequences = connection.execute(_SEQUENCES).fetchall()
    constraints = connection.execute(_CONSTRAINTS).fetchall()
    statements = [
        str(each) for query in (_INDEXES, _TRIGGERS, _GRANTS) for (each,) in connection.execute(query).fetchall()
    ]
    functions = [str(made) for (made,) in connection.execute(_FUNCTIONS, (before,)).fetchall()]
    rights = connection.execute(_SCHEMA_GRANTS).fetchall()
    given = {
        (table, column): _counter(connection, schema, table, column)
        for table, column, identity, _, _ in columns
        if identity
    }
    _do(connection, "CREATE SCHEMA {}", before)
    connection.execute(
        sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(before), sql.Literal(f"{_MARK} {id_}"))
    )
    for right, whom in rights:
        connection.execute(sql.SQL(f"GRANT {right} ON SCHEMA {{}} TO {whom}").format(sql.Identifier(before)))
    _see(connection, before)
    connection.execute("SET LOCAL check_function_bodies = off")
    for each in functions:
        connection.execute(each.encode())
    for table in tables:
        stored = [name for of, name, _, computed, _ in columns if of == table and not computed]
        _copy_table(connection, sql.Identifier(schema, table), sql.Identifier(before, table), stored)
    for name, made, table, column in sequences:
        connection.execute(sql.SQL(f"CREATE SEQUENCE {{}} {made}").format(sql.Identifier(before, name)))
        if table is not None:
            _do(connection, "ALTER SEQUENCE {} OWNED BY {}.{}", name, table, column)
        connection.execute(
            sql.SQL("SELECT setval({}::regclass, last_value, is_called) FROM {}").format(
                sql.Literal(_quoted(connection, before, name)), sql.Identifier(schema, name)
            )
        )
    for table, column, identity, computed, default in columns:
        if identity:
            _go_on(connection, _serial(connection, before, table, column), *given[table, column])
        elif default is not None and not computed:
            connection.execute(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(
                    sql.Identifier(table), sql.Identifier(column), sql.SQL(default)
                )
            )
    for table, name, made in constraints:
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                sql.Identifier(table), sql.Identifier(name), sql.SQL(made)
            )
        )
    for each in statements:
        connection.execute(each.encode())
    return _counts(connection)


def _copy_table(connection: _Connection, table: sql.Identifier, copied: sql.Identifier, columns: list[str]) -> None:
    without = "INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING DEFAULTS"
    connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} " + without + ")").format(copied, table))
    if columns:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}").format(copied, names, names, table)
        )


def _counter(connection: _Connection, schema: str, table: str, column: str) -> tuple[int, bool]:
    """The state of an identity column's counter of IDs."""
    found = connection.execute(f"SELECT last_value, is_called FROM {_serial(connection, schema, table, column)}")
    return cast("tuple[int, bool]", found.fetchone())


def _serial(connection: _Connection, schema: str, table: str, column: str) -> str:
    """The name of an identity column's sequence, quoted."""
    quoted = _quoted(connection, schema, table)
    found = connection.execute("SELECT pg_get_serial_sequence(%s, %s)", (quoted, column)).fetchone()
    assert found is not None
    return str(found[0])


def _go_on(connection: _Connection, sequence: str, last: int, called: bool) -> None:
    connection.execute("SELECT setval(%s::regclass, %s, %s)", (sequence, last, called))


# -- going back ------------------------------------------------------------------------------------------


def _require_copy(connection: _Connection, url: str, id_: str, rows: dict[str, int]) -> None:
    """Raises Damaged unless the copy is unchanged, or has replaced the schema already."""
    schema, mark = schema_of(url), f"{_MARK} {id_}"
    if _comment(connection, schema) == mark:
        return
    before, action = f"{schema}{_BEFORE}", "Restore a backup into an empty home: `registry-tui restore`"
    if _comment(connection, before) != mark:
        raise Damaged(f"The schema {before} of {shown(url)}, which the upgrade copied, is gone", action=action)
    _see(connection, before)
    if (found := _counts(connection)) != rows:
        raise Damaged(
            f"The schema {before} of {shown(url)} was changed ({counted(sum(found.values()), 'row')}), so the upgrade "
            "cannot go back to it",
            action=action,
        )


def _take_place(connection: _Connection, schema: str, id_: str, at: str) -> None:
    if _comment(connection, schema) == f"{_MARK} {id_}":
        return
    if connection.execute("SELECT to_regnamespace(%s)", (schema,)).fetchone() != (None,):
        _do(connection, "ALTER SCHEMA {} RENAME TO {}", schema, f"{schema}{at}")
    _do(connection, "ALTER SCHEMA {} RENAME TO {}", f"{schema}{_BEFORE}", schema)


# -- shared ----------------------------------------------------------------------------------------------


def _require_known(connection: _Connection, url: str) -> None:
    if found := [str(each) for (each,) in connection.execute(_STRANGE).fetchall()]:
        raise CannotBackUp(
            f"An upgrade copies the schema {schema_of(url)} of {shown(url)} first, and cannot copy {found[0]}",
            action="Drop it (make it again afterwards), then run `registry-tui upgrade` again",
        )


def _counts(connection: _Connection) -> dict[str, int]:
    found = {}
    for (name,) in connection.execute(_TABLES).fetchall():
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(str(name)))).fetchone()
        assert row is not None
        found[str(name)] = int(row[0])
    return found


def _comment(connection: _Connection, schema: str) -> str | None:
    """A schema's comment, empty without one; None if the schema is missing."""
    query = "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = %s"
    found = connection.execute(query, (schema,)).fetchone()
    return None if found is None else str(found[0])


def _see(connection: _Connection, schema: str) -> None:
    """Sets the search path to this schema alone for the rest of a transaction."""
    _do(connection, "SET LOCAL search_path = {}", schema)


def _do(connection: _Connection, statement: str, *names: str) -> None:
    connection.execute(sql.SQL(cast("Any", statement)).format(*map(sql.Identifier, names)))


def _quoted(connection: _Connection, *names: str) -> str:
    return sql.Identifier(*names).as_string(connection)
