"""The opcodes of pickles by their kinds."""

from __future__ import annotations

import io
import pickletools
from collections.abc import Mapping
from typing import Any

#: By the letter.
OPCODES: Mapping[str, pickletools.OpcodeInfo] = {entry.code: entry for entry in pickletools.opcodes}
_CONSTANTS = "LONG LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 FLOAT BINFLOAT"
CONSTANT = frozenset(_CONSTANTS.split())
#: Values that can be lengths of arrays, and others of their kind.
INTEGERS = frozenset({"INT", "BININT", "BININT1", "BININT2", "LONG1"})
SINGLETONS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TEXT = frozenset({"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
STRINGS = frozenset({"STRING", "BINSTRING", "SHORT_BINSTRING"})
LINES = frozenset({"INT", "LONG", "FLOAT", "GET", "PUT", "STRING", "PERSID", "GLOBAL", "INST"})
#: Opcodes whose argument begins with its length, in so many bytes.
LENGTHS: Mapping[str, int] = {
    **dict.fromkeys(("SHORT_BINSTRING", "SHORT_BINBYTES", "SHORT_BINUNICODE", "LONG1"), 1),
    **dict.fromkeys(("BINSTRING", "BINBYTES", "BINUNICODE", "LONG4"), 4),
    **dict.fromkeys(("BINBYTES8", "BINUNICODE8", "BYTEARRAY8"), 8),
}
#: Opcodes whose meaning is outside the file: in a registry of Python, or with the program that loads it.
OUTSIDE = frozenset({"EXT1", "EXT2", "EXT4", "BINPERSID", "NEXT_BUFFER"})
TO_MARK: Mapping[str, int] = {"APPENDS": 1, "SETITEMS": 1, "ADDITEMS": 1, "LIST": 0, "FROZENSET": 0}
TUPLES: Mapping[str, int] = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def claims_more(opcode: str, stream: io.BytesIO) -> bool:
    """Whether the argument extends beyond the end, where no reader finds another opcode."""
    size, start = LENGTHS.get(opcode, 0), stream.tell()
    claimed = int.from_bytes(stream.read(size), "little")
    stream.seek(start)
    return start + size + claimed > stream.getbuffer().nbytes


def is_no_line(opcode: str, stream: io.BytesIO) -> bool:
    """Whether the argument is a line in which every reader fails."""
    if opcode not in LINES:
        return False
    start = stream.tell()
    line, following = stream.readline(), stream.readline()
    stream.seek(start)
    if opcode in ("GLOBAL", "INST"):
        return not _is_text(line + following)
    if opcode == "PERSID":
        return not line.isascii()
    if opcode == "STRING":
        return line[:1] not in (b"'", b'"')
    return not line.isascii() or any(sign in line for sign in b",:;=\"'/()<>[]{}#@")


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
