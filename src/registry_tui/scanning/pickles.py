"""Reads the opcodes of pickles as Modules/_pickle.c does, without making or importing anything.

Only exact pairs of module and name are known (`known_imports.txt`, made by `docs/known_imports.py`), and of them only
some may be called with arguments: others are made without (`object.__reduce_ex__`), and would open a path that they are
called with. What cannot be told from the opcodes alone is a problem, never passed over.
"""

from __future__ import annotations

import io
import pickletools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Opcodes that are read of one file and of what is packed into it: some seconds of a processor.
MAX_OPCODES = 2_000_000
_OPCODES: Mapping[str, pickletools.OpcodeInfo] = {entry.code: entry for entry in pickletools.opcodes}
_MAX_NAMED = 50
_MAX_NAME = 200
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
#: What protocols 0 to 2 call modules of today; no other name of Python 2 is known.
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}
#: Where bytes are kept as text, as protocol 2 and below have to. Other encodings would be imported by name.
_ENCODE = "_codecs encode"
_ENCODINGS = frozenset({"latin1", "latin-1"})

#: cloudpickle makes functions and classes from the code in the pickle with these.
_MAKES_CODE = frozenset(f"cloudpickle.cloudpickle {name}" for name in ("_make_function", "_make_skeleton_class"))
#: As an attribute of an instance, these change what later opcodes call.
_HOOK = re.compile(r"__(setstate|class|dict|reduce|reduce_ex|getattr|getattribute|call|new|init)__")

_MARK: Any = object()
_ANY: Any = ("object", None)
_LIST: Any = ("list", None)
_SET: Any = ("set", None)
_DEQUE: Any = ("made", "collections deque")
_CONSTANTS = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 "
    "BYTEARRAY8 NONE NEWTRUE NEWFALSE FLOAT BINFLOAT EMPTY_DICT"
)
_CONSTANT = frozenset(_CONSTANTS.split())
_TEXT = frozenset({"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
_STRINGS = frozenset({"STRING", "BINSTRING", "SHORT_BINSTRING"})
_LINES = frozenset({"INT", "LONG", "FLOAT", "GET", "STRING", "PERSID"})
_TO_MARK: Mapping[str, int] = {"APPENDS": 1, "SETITEMS": 1, "ADDITEMS": 1, "LIST": 0, "DICT": 0, "FROZENSET": 0}
_TUPLES: Mapping[str, int] = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _NoPickle(Exception):
    """Python's own reader stops here too."""


@dataclass
class Opcodes:
    """How many opcodes may still be read."""

    left: int = MAX_OPCODES


@dataclass
class Reading:
    """What was read of a stream of pickles."""

    imports: dict[str, None] = field(default_factory=dict)
    problems: dict[str, None] = field(default_factory=dict)
    #: Whether the first pickle has an end.
    whole: bool = False
    #: Whether functions or classes are made from code in it.
    makes_code: bool = False
    #: Whether some of it could not be read.
    unread: bool = False

    def problem(self, words: str, *, unread: bool = False) -> None:
        self.unread = self.unread or unread
        if len(self.problems) < _MAX_NAMED:
            self.problems[words[:_MAX_NAME]] = None


def read(content: bytes, known: Mapping[str, bool], opcodes: Opcodes | None = None) -> Reading:
    """What loading the content as pickles would import and call; never raises for any content.

    `known` has pairs of module and name, and whether they may be called with arguments.
    All pickles in it, and all contents with the same `opcodes`, share one bound.

    Without imports, problems and an end it is not a pickle: Python's own reader would stop in it as well.
    """
    reading = Reading()
    opcodes = opcodes or Opcodes()
    stream = io.BytesIO(content)
    while stream.tell() < len(content):
        start = stream.tell()
        before = len(reading.imports) + len(reading.problems)
        machine = _Machine(reading, known, opcodes)
        try:
            machine.run(stream)
        except _NoPickle:
            if start or len(reading.imports) + len(reading.problems) > before:
                reading.problem("it goes on behind its end" if start else "it breaks off", unread=True)
            break
        except (ValueError, OverflowError, UnicodeError, IndexError, MemoryError, RecursionError, TypeError) as error:
            # `pickletools` and the C reader may differ about such an argument.
            reading.problem(f"an opcode cannot be read ({type(error).__name__})", unread=True)
            break
        reading.whole = True
    return reading


class _Machine:
    def __init__(self, reading: Reading, known: Mapping[str, bool], opcodes: Opcodes) -> None:
        self._reading = reading
        self._left = opcodes
        self._known = known
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._protocol = 0
        self._persistent = False

    def run(self, stream: io.BytesIO) -> None:
        for opcode, argument in self._opcodes(stream):
            self._left.left -= 1
            if self._left.left < 0:
                self._reading.problem(f"it has more than {MAX_OPCODES} opcodes", unread=True)
                stream.seek(0, io.SEEK_END)
                return
            if opcode == "STOP":
                self._pop()
                self._require_no_persistent()
                return
            self._step(opcode, argument)

    def _opcodes(self, stream: io.BytesIO) -> Any:
        while True:
            code = stream.read(1)
            entry = _OPCODES.get(code.decode("latin-1")) if code else None
            if entry is None or self._hopeless(entry.name, stream):
                raise _NoPickle
            yield entry.name, None if entry.arg is None else entry.arg.reader(stream)

    def _hopeless(self, opcode: str, stream: io.BytesIO) -> bool:
        """Whether Python's own reader fails whatever it makes of the argument: so do most texts in their first word."""
        if opcode in ("PUT", "BINPUT", "LONG_BINPUT"):
            return not self._stack
        if opcode == "INST":
            return _MARK not in self._stack
        if opcode not in _LINES:
            return False
        start = stream.tell()
        line = stream.readline()
        stream.seek(start)
        if opcode == "PERSID":
            return not line.isascii()
        if opcode == "STRING":
            return line[:1] not in (b"'", b'"')
        return any(sign in line for sign in b",:;=\"'/()<>[]{}#@")

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise _NoPickle
        return self._stack.pop()

    def _to_mark(self) -> tuple[Any, ...]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                found = tuple(self._stack[place + 1 :])
                del self._stack[place:]
                return found
        raise _NoPickle

    def _top(self) -> Any:
        item = self._pop()
        self._stack.append(item)
        return item

    def _step(self, opcode: str, argument: Any) -> None:
        stack = self._stack
        if (opcode in _TEXT or opcode in _STRINGS) and _HOOK.fullmatch(str(argument)):
            self._reading.problem(f"it names {argument}, which changes what is called")
        if opcode in _CONSTANT:
            stack.append(_ANY)
        elif opcode in _TEXT:
            stack.append(("text", argument))
        elif opcode == "EMPTY_LIST":
            stack.append(_LIST)
        elif opcode == "EMPTY_SET":
            stack.append(_SET)
        elif opcode == "MARK":
            stack.append(_MARK)
        elif opcode in _TUPLES:
            items = [self._pop() for _ in range(_TUPLES[opcode])]
            stack.append(("tuple", tuple(reversed(items))))
        elif opcode == "EMPTY_TUPLE":
            stack.append(("tuple", ()))
        elif opcode == "TUPLE":
            stack.append(("tuple", self._to_mark()))
        elif opcode in _TO_MARK:
            self._to_mark()
            self._filled(opcode) if _TO_MARK[opcode] else stack.append(_LIST if opcode == "LIST" else _ANY)
        elif opcode in ("APPEND", "SETITEM"):
            for _ in range(1 if opcode == "APPEND" else 2):
                self._pop()
            self._filled(opcode)
        elif opcode == "POP":
            stack.pop() if stack else self._pop()
        elif opcode == "POP_MARK":
            self._to_mark()
        elif opcode == "DUP":
            stack.append(self._top())
        elif opcode == "PROTO":
            self._protocol = argument
        elif opcode == "FRAME":
            pass
        else:
            if not self._memory(opcode, argument):
                self._call(opcode, argument)

    def _filled(self, opcode: str) -> None:
        """Appending calls a method that an instance may have been given; setting items calls that of its class."""
        filled = self._top()
        if filled[0] == "import":
            self._reading.problem("it changes what it imported")
        elif not opcode.startswith("SETITEM") and filled not in (_LIST, _SET, _DEQUE):
            self._reading.problem("it appends to what is not a list")

    def _memory(self, opcode: str, argument: Any) -> bool:
        if opcode in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[int(argument)] = self._top()
        elif opcode == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        elif opcode in ("GET", "BINGET", "LONG_BINGET"):
            if int(argument) not in self._memo:
                raise _NoPickle
            self._stack.append(self._memo[int(argument)])
        else:
            return False
        return True

    def _call(self, opcode: str, argument: Any) -> None:
        stack = self._stack
        if opcode == "GLOBAL":
            module, name = str(argument).split(" ", 1)
            stack.append(self._import(module, name))
        elif opcode == "STACK_GLOBAL":
            name, module = self._pop(), self._pop()
            if name[0] != "text" or module[0] != "text":
                self._reading.problem("it imports by a name that is computed")
                stack.append(_ANY)
            else:
                stack.append(self._import(module[1], name[1]))
        elif opcode == "INST":
            module, name = str(argument).split(" ", 1)
            self._invoke(self._import(module, name), ("tuple", self._to_mark()))
        elif opcode == "OBJ":
            items = self._to_mark()
            if not items:
                raise _NoPickle
            self._invoke(items[0], ("tuple", items[1:]))
        elif opcode in ("REDUCE", "NEWOBJ"):
            arguments = self._pop()
            self._invoke(self._pop(), arguments, new=opcode == "NEWOBJ")
        elif opcode == "NEWOBJ_EX":
            self._pop()
            arguments = self._pop()
            self._invoke(self._pop(), arguments, new=True)
        elif opcode == "BUILD":
            self._pop()
            if self._top()[0] == "import":
                self._reading.problem("it changes what it imported")
        elif opcode == "PERSID":  # a text may begin so; without an end or an import it is none
            self._persistent = True
            stack.append(_ANY)
        else:  # EXT1 to EXT4, BINPERSID, buffers outside, and whatever a later Python adds
            self._reading.problem(f"it has the opcode {opcode}, whose meaning is not in the file", unread=True)
            if opcode not in ("READONLY_BUFFER", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER"):
                self._pop()
            if opcode != "READONLY_BUFFER":
                stack.append(_ANY)

    def _require_no_persistent(self) -> None:
        if self._persistent:
            self._reading.problem("it has the opcode PERSID, whose meaning is not in the file", unread=True)

    def _import(self, module: str, name: str) -> Any:
        if self._protocol < 3:
            module = _RENAMED.get(module, module)
        if not _MODULE.fullmatch(module):
            if len(self._stack) or self._reading.imports or self._reading.problems:
                self._reading.problem("it imports by a name that is none", unread=True)
            raise _NoPickle
        self._require_no_persistent()
        pair = f"{module} {name}"
        if len(self._reading.imports) < _MAX_NAMED or pair not in self._known:
            shown = f"{module}.{name}"[:_MAX_NAME]
            if len(self._reading.imports) < 20 * _MAX_NAMED:
                self._reading.imports[shown] = None
        if pair in _MAKES_CODE:
            self._reading.makes_code = True
        if pair not in self._known:
            self._reading.problem(f"imports {module}.{name}")
        return ("import", pair)

    def _invoke(self, called: Any, arguments: Any, *, new: bool = False) -> None:
        """`new`: only `__new__` is called, which takes no path."""
        if called[0] != "import":
            self._reading.problem("it calls what it made itself")
        elif not new and arguments != ("tuple", ()) and not self._known.get(called[1], True):
            self._reading.problem(f"it calls {called[1].replace(' ', '.')}, which is made without a call")
        elif called[1] == _ENCODE:
            given: tuple[Any, ...] = arguments[1] if arguments[0] == "tuple" else ()
            if len(given) != 2 or given[1][0] != "text" or given[1][1] not in _ENCODINGS:
                self._reading.problem("it encodes with an encoding that is not latin1")
        self._stack.append(_DEQUE if called == ("import", _DEQUE[1]) else _ANY)
