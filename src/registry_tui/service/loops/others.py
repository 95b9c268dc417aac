"""Changes by other processes of the service, for followers of this one's stream: PostgreSQL's LISTEN and NOTIFY.

A transaction that writes rows of the stream notifies a channel of the schema; the notification is delivered with its
commit and in the order of commits. The other processes then read those rows. A process that lost its connection does
not know the missed changes: its followers have to reload everything.
"""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from registry_tui.platform.database_urls import for_psycopg, schema_of
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import EventRow, WorkflowRow
from registry_tui.service.loops.stream import Hub

if TYPE_CHECKING:
    import psycopg

logger = logging.getLogger(__name__)

#: Seconds between two checks whether the hub is closed, and before a lost connection is made again.
_EVERY = 1.0
#: Rows of one notification: PostgreSQL takes 8,000 bytes.
_ROWS = 100
_KINDS: dict[str, type[EventRow | WorkflowRow]] = {"event": EventRow, "workflow": WorkflowRow}
#: The format of the notifications of `announce`. Every role of the server may notify every channel, of anything.
_NOTIFICATION = re.compile(r"(?P<life>[0-9a-f]{32}) (wake|event( [0-9]{1,18})+|workflow( [^ ]+)+)")
_WAKE = "wake"


class Others:
    """Announces this process's changes, and publishes those of others in its hub.

    `wake` is called after another process has written a row of a table in `wakes`, and after changes that were missed.
    """

    def __init__(
        self,
        database: Database,
        hub: Hub,
        *,
        wakes: tuple[type[object], ...] = (),
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._hub = hub
        self._wakes, self._wake = wakes, wake
        self._life = uuid.uuid4().hex
        self._channel = schema_of(database.url)
        #: Whether a change was not understood, which is logged once.
        self._puzzled = False

    def announce(self, session: Session, rows: Sequence[object]) -> None:
        """Notifies the others of rows that a session has written, when it commits."""
        for kind, table in _KINDS.items():
            ids = [str(row.id) for row in rows if isinstance(row, table)]
            for some in (ids[start : start + _ROWS] for start in range(0, len(ids), _ROWS)):
                text = " ".join([self._life, kind, *some])
                session.execute(select(func.pg_notify(self._channel, text)))
        if any(isinstance(row, self._wakes) for row in rows):
            session.execute(select(func.pg_notify(self._channel, f"{self._life} {_WAKE}")))

    def start(self) -> None:
        """Listens from now on, until the hub is closed. Raises psycopg.Error."""
        connection = self._listening()
        threading.Thread(target=self._follow, args=(connection,), name="changes of others", daemon=True).start()

    def _listening(self) -> psycopg.Connection[Any]:
        # The driver is loaded where it is used.
        from psycopg import sql

        from registry_tui.platform.postgresql import connect

        connection = connect(for_psycopg(self._database.url))
        connection.autocommit = True
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        return connection

    def _follow(self, connection: psycopg.Connection[Any] | None) -> None:
        import psycopg

        while not self._hub.closed.is_set():
            try:
                if connection is None:
                    connection = self._listening()
                    self._hub.begin_again()
                    self._wake()
                for notification in connection.notifies(timeout=_EVERY):
                    self._hear(notification.payload)
            except (psycopg.Error, SQLAlchemyError) as error:
                logger.warning("changes of other processes are not reported: %s; trying again", type(error).__name__)
                if connection is not None:
                    with suppress(psycopg.Error):
                        connection.close()
                connection = None
                self._hub.closed.wait(_EVERY)
        if connection is not None:
            connection.close()

    def _hear(self, payload: str) -> None:
        """Publishes the rows that a notification names; one that is not understood must not end the loop."""
        import psycopg

        try:
            self._tell(payload)
        except (psycopg.Error, SQLAlchemyError):
            raise
        except Exception as error:
            # For example a row of a newer process.
            if not self._puzzled:
                logger.warning("a change of another process is not understood: %s", type(error).__name__)
            self._puzzled = True
            self._hub.begin_again()

    def _tell(self, payload: str) -> None:
        if (found := _NOTIFICATION.fullmatch(payload)) is None or found["life"] == self._life:
            return
        _, kind, *ids = payload.split(" ")
        if kind == _WAKE:
            self._wake()
            return
        table = _KINDS[kind]
        with self._database.reading() as session:
            known = [int(each) for each in ids] if table is EventRow else ids
            self._hub.committed(session.scalars(select(table).where(table.id.in_(known)).order_by(table.id)).all())
