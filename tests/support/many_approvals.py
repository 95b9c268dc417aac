"""Fills the service's own SQLite schema with many approvals."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)


def ask_for_all(database: Path, registry: str, versions: int) -> None:
    """An approval for each of so many versions: every second waits, asked by somebody else; the others are answered."""
    with closing(sqlite3.connect(database, timeout=60)) as rows, rows:
        rows.executemany(
            "INSERT INTO approvals (id, registry_id, model_id, model_name, version_id, version, purpose, state, "
            "asked_by, asked_by_crn, asked_at, question, decided_by, decided_at, answer) "
            "VALUES (?, ?, 'm', 'model-many-versions', ?, ?, 'stage:Production', ?, 'ann', 'crn:ann', ?, '', ?, ?, '')",
            (
                (
                    *(f"approval-{number}", registry, f"v-{number}", number),
                    *(("pending", at, None, None) if number % 2 else ("approved", at, "bea", at)),
                )
                for number in range(1, versions + 1)
                for at in [(START + timedelta(seconds=number)).strftime("%Y-%m-%d %H:%M:%S.%f")]
            ),
        )
