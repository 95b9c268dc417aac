"""Messages of a table to its screen, and its text while it has no rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from textual.message import Message
from textual.widget import Widget

if TYPE_CHECKING:
    from registry_tui.widgets.table_layout import Column


#: Handlers are called `on_virtual_table_…`, as if the messages were the widget's own classes.
NAMESPACE = "virtual_table"


@dataclass(frozen=True)
class Empty:
    """The text of a table without rows: a title, and lines about the next steps."""

    title: str
    lines: tuple[str, ...] = ()
    #: The ID of the action that the lines explain; for a person without the permission the reason is shown instead.
    action: str = ""


class Table(Protocol):
    """The table that sends a message; `VirtualTable` is one."""

    marked: dict[str, Any]


class TableMessage(Message):
    """Any message of a table."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table

    @property
    def control(self) -> Widget:
        return cast(Widget, self.table)


class RowMessage(TableMessage):
    """A message about one row."""

    def __init__(self, table: Table, row: Any) -> None:
        super().__init__(table)
        self.row = row


class Highlighted(RowMessage, namespace=NAMESPACE):
    """The cursor is on another row, or its row changed."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Highlighted) and message.table is self.table


class Opened(RowMessage, namespace=NAMESPACE):
    """A row was clicked twice."""


class Expand(RowMessage, namespace=NAMESPACE):
    """A row of a tree was opened; the rows below it are being fetched."""


class Collapse(RowMessage, namespace=NAMESPACE):
    """A row of a tree was closed."""


class SortAsked(TableMessage, namespace=NAMESPACE):
    """A column's header was clicked; `add` when it is added after the already sorted ones."""

    def __init__(self, table: Table, column: Column[Any], add: bool) -> None:
        super().__init__(table)
        self.column, self.add = column, add


class Marked(TableMessage, namespace=NAMESPACE):
    """Rows were marked or unmarked; `count` are marked now."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.count = len(table.marked)

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Marked) and message.table is self.table


class Loaded(TableMessage, namespace=NAMESPACE):
    """A page arrived."""


class Failed(TableMessage, namespace=NAMESPACE):
    """A page could not be fetched; the displayed rows stay."""

    def __init__(self, table: Table, error: Exception) -> None:
        super().__init__(table)
        self.error = error
