"""Arrays as joblib writes them: an instance with the size of the array, and the array's bytes behind it.

joblib's reader trusts that instance (`joblib/numpy_pickle.py: NumpyArrayWrapper.read_array`) and continues behind the
array. Only instances with exactly joblib's own fields are accepted: if the scan and joblib went on at different places,
the scan would read other opcodes than those executed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Pairs of module and name, as in `known_imports.txt`.
WRAPPER = "joblib.numpy_pickle NumpyArrayWrapper"
DTYPE = "numpy dtype"
_CLASSES = frozenset({"numpy ndarray", "numpy memmap"})
_FIELDS = frozenset({"subclass", "shape", "order", "dtype", "allow_mmap"})
_ALIGNMENT = "numpy_array_alignment_bytes"
#: Fields that a dictionary may have here; of larger ones nothing is kept.
_MAX_ITEMS = 200
_MAX_SIZE = 1 << 62
#: Items of a tuple that no dtype takes as its state (`arraydescr_setstate`, NumPy).
MAX_OTHER_STATE = 4
_NUMBERS = frozenset(
    {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "f16", "c8", "c16", "c32"}
)
_SIZED = re.compile(r"([SUV])([1-9]\d{0,8})")
#: Numbers of other sizes on other machines.
_LONG = frozenset({"f16", "c32"})
_TIMES = frozenset({"M8", "m8"})
_OBJECT_FLAGS = 63
#: Flags of a dtype whose items are bytes alone; all others concern objects and pointers (`NPY_ITEM_*`, NumPy).
_PLAIN_FLAGS = 0x08 | 0x10 | 0x80
_NOTHING: Any = ("constant", None)


@dataclass(slots=True)
class Dictionary:
    """The items put into a dictionary, in order; None when unknown, since others may have changed it."""

    items: tuple[tuple[Any, Any], ...] | None = ()

    def put(self, pairs: Sequence[Any]) -> None:
        if self.items is not None:
            few = len(pairs) % 2 == 0 and len(self.items) + len(pairs) // 2 <= _MAX_ITEMS
            self.items = (*self.items, *zip(pairs[::2], pairs[1::2], strict=True)) if few else None

    def by_name(self) -> dict[str, Any] | None:
        """The items, when all keys are texts that differ."""
        if self.items is None or any(key[0] != "text" for key, _ in self.items):
            return None
        found = {key[1]: value for key, value in self.items}
        return found if len(found) == len(self.items) else None


@dataclass(slots=True)
class Dtype:
    """A dtype that was made by its name, and has the state that NumPy gives it."""

    name: str
    #: Bytes of an item; None before it has a state, and when that is not known.
    size: int | None = None
    objects: bool = False
    built: bool = False

    def build(self, state: Any) -> bool:
        """Sets the state; returns whether NumPy writes such states.

        With others, bytes of an array would be addresses of objects.
        """
        first, given = not self.built, _values(state)
        self.built, self.size, self.objects = True, None, False
        if not first or given is None or len(given) < 8 or given[2] != _NOTHING:
            return False
        if given[1][0] != "text" or given[1][1] not in ("<", ">", "|", "="):
            return False
        if self.name in _TIMES:
            return len(given) == 9 and given[0] == ("constant", 4) and _simple(given[3:8], 0) and _unit(given[8])
        return len(given) == 8 and given[0] == ("constant", 3) and self._take(given[3:])

    def _take(self, given: Sequence[Any]) -> bool:
        size, align, flags = (_integer(each) for each in given[2:])
        if self.name in _NUMBERS:
            self.size = int(self.name[1:]) if self.name not in _LONG else None
            return _simple(given, 0)
        if self.name == "O8":
            self.size, self.objects = 8, True
            return _simple(given, _OBJECT_FLAGS)
        sized = _SIZED.fullmatch(self.name)
        if sized is None or align is None or flags is None or flags & ~_PLAIN_FLAGS:
            return False
        self.size = int(sized[2]) * (4 if sized[1] == "U" else 1)
        nothing = given[0] == _NOTHING and given[1] == _NOTHING
        return size == self.size and (nothing or (sized[1] == "V" and _plain(given[0], given[1])))


def _simple(given: Sequence[Any], flags: int) -> bool:
    """Whether names, fields, size, alignment and flags are those of a dtype without parts."""
    numbers = tuple(_integer(each) for each in given[2:])
    return given[0] == _NOTHING and given[1] == _NOTHING and numbers == (-1, -1, flags)


def _unit(value: Any) -> bool:
    """Whether it is NumPy's metadata for the unit of times."""
    given = _values(value)
    return given is not None and len(given) == 2 and given[1][0] == "tuple"


def _plain(names: Any, fields: Any) -> bool:
    """Whether all fields of a structure are numbers or texts."""
    columns = fields[1].by_name() if fields[0] == "dictionary" else None
    listed = _values(names)
    if columns is None or listed is None or {each[1] for each in listed if each[0] == "text"} != set(columns):
        return False
    for column in columns.values():
        parts = _values(column)
        if parts is None or len(parts) != 2 or _integer(parts[1]) is None or parts[0][0] != "dtype":
            return False
        if parts[0][1].size is None or parts[0][1].objects:
            return False
    return True


def made_dtype(arguments: Any) -> Dtype | None:
    """The dtype that a call makes, when NumPy's own pickles call it like that: a copy, which no other place shares."""
    given = _values(arguments)
    if given is None or len(given) != 3 or given[0][0] != "text":
        return None
    return Dtype(given[0][1]) if given[1:] == (("constant", False), ("constant", True)) else None


@dataclass(slots=True)
class Wrapper:
    """An instance of `NumpyArrayWrapper`."""

    built: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The content behind a wrapper: a pickle of the array's objects, or its bytes."""

    objects: bool
    size: int
    #: Whether a padding, preceded by its length, comes before the array's bytes.
    padded: bool


def layout(state: Any) -> Layout | None:
    """The content behind a wrapper with this state; None when joblib does not write such a state."""
    fields = state[1].by_name() if state[0] == "dictionary" else None
    if fields is None or set(fields) - {_ALIGNMENT} != _FIELDS:
        return None
    dtype, shape = fields["dtype"], _shape(fields["shape"])
    sound = (
        fields["subclass"][0] == "import"
        and fields["subclass"][1] in _CLASSES
        and fields["order"] in (("text", "C"), ("text", "F"))
        and fields["allow_mmap"] in (("constant", False), ("constant", True))
        and fields.get(_ALIGNMENT, _NOTHING) in (_NOTHING, ("constant", 16))
    )
    if not sound or shape is None or dtype[0] != "dtype" or dtype[1].size is None:
        return None
    if dtype[1].objects:
        # Mapped into memory, bytes of the file would be addresses of objects.
        return Layout(True, 0, False) if fields["allow_mmap"] == ("constant", False) else None
    size = dtype[1].size
    for each in shape:
        size *= each
    return Layout(False, size, fields.get(_ALIGNMENT, _NOTHING) != _NOTHING) if size <= _MAX_SIZE else None


def _shape(value: Any) -> list[int] | None:
    given = _values(value)
    found = [] if given is None else [_integer(each) for each in given]
    if given is None or len(found) > 64:
        return None
    # joblib multiplies with wrapping numbers; zeros would hide that.
    sizes = [each for each in found if each is not None and 0 <= each <= _MAX_SIZE]
    product = 1
    for each in sizes:
        product *= max(each, 1)
    return sizes if len(sizes) == len(found) and product <= _MAX_SIZE else None


def _values(value: Any) -> tuple[Any, ...] | None:
    return tuple(value[1]) if value[0] == "tuple" else None


def _integer(value: Any) -> int | None:
    """An integer, which True and False are not."""
    return value[1] if value[0] == "constant" and type(value[1]) is int else None
