"""A name of another package that the code uses without that package's promise."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

PACKAGES = ("mlflow", "textual", "dbos", "aiohttp")


class Kind(Enum):
    """The kind of a name that is neither a function nor a method."""

    CLASS = "a class"
    VALUE = "a value of the module or class"
    #: Of an instance, or an attribute of the class.
    ATTRIBUTE = "an attribute"
    PROPERTY = "a property"


@dataclass(frozen=True)
class Foreign:
    """A name of another package. `found` is `module:name` or `module:class.name`."""

    found: str
    #: The module of ours that uses it, below `registry_tui`. No other may.
    place: str
    #: The parameters of a function or method that we rely on.
    shape: tuple[str, ...] | Kind
    why: str
    #: Where a newer version has it instead, with its parameters.
    moved: tuple[str, tuple[str, ...]] | None = field(default=None)

    @property
    def name(self) -> str:
        return self.found.replace(":", ".").rpartition(".")[2]

    @property
    def names(self) -> tuple[str, ...]:
        """The name in every version that the code can use."""
        return (self.name, *([self.moved[0].rpartition(":")[2]] if self.moved else []))
