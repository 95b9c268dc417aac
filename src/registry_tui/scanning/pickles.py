"""Reads the opcodes of pickles as Modules/_pickle.c does, without making or importing anything.

Only exact pairs of module and name are known (`known_imports.txt`, made by `docs/known_imports.py`), and of them only
some may be called with arguments: others are made without arguments (`object.__reduce_ex__`), and would open a path
given as one. Anything that the opcodes alone do not decide is a problem, never ignored.

A file with arrays that joblib put between the opcodes (`arrays.py`) is read in three ways, since any of these readers
may load it: joblib, joblib before it aligned arrays, and Python's own, which takes arrays for opcodes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any

from registry_tui.scanning import arrays, kinds
from registry_tui.scanning.readings import MAX_NAMED, MAX_OPCODES, Opcodes, Reading

_MAX_NAME = 200
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
#: Names of today's modules in protocols 0 to 2; no other name of Python 2 is known.
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}
#: Where bytes are kept as text, as protocol 2 and below have to. Other encodings would be imported by name.
_ENCODE = "_codecs encode"
_ENCODINGS = frozenset({"latin1", "latin-1"})

#: cloudpickle makes functions and classes from the code in the pickle with these.
_MAKES_CODE = frozenset(f"cloudpickle.cloudpickle {name}" for name in ("_make_function", "_make_skeleton_class"))
#: Set on an instance, these attributes change the calls of later opcodes.
#: NumPy looks for the `__array…__` on instances too.
_HOOK = re.compile(r"__(setstate|class|dict|reduce|reduce_ex|getattr|getattribute|call|new|init|array|array_\w+)__")
#: Functions of Cython modules that make an instance without a call of its class, and the classes that they are known
#: for. `newObj` makes one of anything, and the others take a state: only classes that the libraries write are known.
_TREES = ("KDTree", "KDTree64", "KDTree32"), ("BallTree", "BallTree64", "BallTree32")
_DISTANCES = tuple(
    f"{each}Distance{bits}" for each in ("Euclidean", "Manhattan", "Chebyshev", "Minkowski") for bits in (64, 32)
)
_MAKERS: Mapping[str, frozenset[str]] = {
    f"{module} {function}": frozenset(f"{module} {name}" for name in classes)
    for module, function, classes in (
        ("sklearn.neighbors._kd_tree", "newObj", _TREES[0]),
        ("sklearn.neighbors._ball_tree", "newObj", _TREES[1]),
        ("sklearn.metrics._dist_metrics", "newObj", _DISTANCES),
        ("sklearn._loss._loss", "__pyx_unpickle_CyHalfMultinomialLoss", ("CyHalfMultinomialLoss",)),
        ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence", ("SeedSequence",)),
    )
}

_MARK: Any = object()
_ANY: Any = ("object", None)
_LIST: Any = ("list", None)
_SET: Any = ("set", None)
_DEQUE: Any = ("made", "collections deque")
_ARRAY: Any = ("array", None)
#: The result of a call that may return one of its arguments.
_PASSED: Any = ("passed", None)
_PASSES_ON = frozenset({"numpy._core.multiarray scalar", "numpy.core.multiarray scalar"})
#: An instance of a class that is made without a call: it is not a text.
_MODEL: Any = ("model", None)
#: An instance that one of `_MAKERS` made: its class is known, and is not a dtype.
_SEALED: Any = ("sealed", None)
_PASSIVE = frozenset({"constant", "text", "dictionary", "list", "set", "tuple", "array", "dtype"})
_RECONSTRUCTS = frozenset({"numpy._core.multiarray _reconstruct", "numpy.core.multiarray _reconstruct"})
#: Errors that `pickletools` raises for invalid arguments.
_UNREADABLE = (ValueError, OverflowError, UnicodeError, IndexError, MemoryError, RecursionError, TypeError)


class _Way(StrEnum):
    """The readers that may load a file, in words."""

    JOBLIB = "joblib"
    OLD_JOBLIB = "joblib before 1.2"
    PYTHON = "Python's own reader"


class _NoPickle(Exception):
    """Python's own reader stops here too."""


def read(content: bytes, known: Mapping[str, bool], opcodes: Opcodes | None = None) -> Reading:
    """Returns the imports and calls of loading the content as pickles; never raises for any content.

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
        except _UNREADABLE as error:
            # `pickletools` and the C reader may differ about such an argument.
            reading.problem(f"an opcode cannot be read ({type(error).__name__})", unread=True)
            break
        reading.whole = True
    if reading.arrays and not reading.problems:
        for way in (_Way.OLD_JOBLIB, _Way.PYTHON):
            if not _fails_soundly(content, known, opcodes, way):
                reading.problem(f"{way.value} would go on within an array", unread=True)
    return reading


def _fails_soundly(content: bytes, known: Mapping[str, bool], opcodes: Opcodes, way: _Way) -> bool:
    """Whether another reader finds nothing unknown before it stops at the bytes of an array."""
    reading = Reading()
    with suppress(_NoPickle):
        try:
            _Machine(reading, known, opcodes, way).run(io.BytesIO(content))
        except _UNREADABLE as error:
            if not (isinstance(error, UnicodeDecodeError) and error.encoding == "utf-8"):
                return False
    return not reading.problems and not reading.makes_code


class _Machine:
    def __init__(self, reading: Reading, known: Mapping[str, bool], opcodes: Opcodes, way: _Way = _Way.JOBLIB) -> None:
        self._reading = reading
        self._way = way
        #: Where the frame that is being read ends.
        self._frame_end = 0
        #: Whether something got a state that a dtype takes, too; it may be a dtype under another name.
        self._odd_states = False
        self._left = opcodes
        self._known = known
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._protocol = 0
        self._persistent = False

    def run(self, stream: io.BytesIO) -> Any:
        """Reads to the end of a pickle; returns the unpickled object."""
        for opcode, argument in self._opcodes(stream):
            self._left.left -= 1
            if self._left.left < 0:
                self._reading.problem(f"it has more than {MAX_OPCODES} opcodes", unread=True)
                stream.seek(0, io.SEEK_END)
                return _ANY
            if opcode == "STOP":
                made = self._pop()
                self._require_no_persistent()
                return made
            if opcode == "FRAME":
                self._frame_end = stream.tell() + argument
            elif opcode == "BUILD" and self._way is not _Way.PYTHON and self._builds_wrapper():
                self._pass_array(stream)
            else:
                self._step(opcode, argument)
        raise _NoPickle

    def _opcodes(self, stream: io.BytesIO) -> Any:
        while True:
            code = stream.read(1)
            entry = kinds.OPCODES.get(code.decode("latin-1")) if code else None
            if entry is None or self._hopeless(entry.name, stream):
                raise _NoPickle
            yield entry.name, None if entry.arg is None else entry.arg.reader(stream)

    def _hopeless(self, opcode: str, stream: io.BytesIO) -> bool:
        """Whether Python's own reader fails for any argument, as with most text files in their first word."""
        if opcode in ("PUT", "BINPUT", "LONG_BINPUT") and not self._stack:
            return True
        if opcode == "INST" and _MARK not in self._stack:
            return True
        return kinds.claims_more(opcode, stream) or kinds.is_no_line(opcode, stream)

    def _pop(self) -> Any:
        return self._used(self._taken())

    def _taken(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise _NoPickle
        return self._stack.pop()

    def _used(self, item: Any) -> Any:
        """Reports joblib's wrapper and its class outside of `_pass_array`, where they would be built unseen."""
        if self._way is not _Way.PYTHON and (item[0] == "wrapper" or item == ("import", arrays.WRAPPER)):
            self._reading.problem("it uses joblib's array wrapper in another way than joblib does", unread=True)
        return item

    def _to_mark(self) -> tuple[Any, ...]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                found = tuple(self._used(each) for each in self._stack[place + 1 :])
                del self._stack[place:]
                return found
        raise _NoPickle

    def _top(self) -> Any:
        item = self._taken()
        self._stack.append(item)
        return item

    @staticmethod
    def _shared(item: Any) -> Any:
        """A dictionary in two places may be changed through the other one."""
        if item is not _MARK and item[0] == "dictionary":
            item[1].items = None
        return item

    def _builds_wrapper(self) -> bool:
        return len(self._stack) > 1 and self._stack[-2] is not _MARK and self._stack[-2][0] == "wrapper"

    def _pass_array(self, stream: io.BytesIO) -> None:
        """Continues behind the array of the wrapper that gets its state, which becomes the array."""
        state = self._pop()
        wrapper: arrays.Wrapper = self._top()[1]
        found = None if wrapper.built else arrays.layout(state)
        wrapper.built = self._reading.arrays = True
        # joblib reads an array behind the frame, opcodes in it.
        if found is None or self._odd_states or stream.tell() < self._frame_end:
            self._reading.problem("it has an array which joblib did not write", unread=True)
            return
        self._stack.pop()
        self._stack.append(_ARRAY)
        if found.objects:
            inner = _Machine(self._reading, self._known, self._left, _Way.PYTHON)
            if inner.run(stream) is not _ARRAY or stream.tell() < inner._frame_end:
                self._reading.problem("it has an array of objects which joblib did not write", unread=True)
            return
        if found.padded and self._way is _Way.JOBLIB:
            padding = int.from_bytes(stream.read(1), "little")
            if not 0 < padding <= 16 or stream.read(padding) != b"\xff" * padding:
                self._reading.problem("it has an array which joblib did not write", unread=True)
        if stream.seek(found.size, io.SEEK_CUR) > stream.getbuffer().nbytes:
            raise _NoPickle

    def _step(self, opcode: str, argument: Any) -> None:
        stack = self._stack
        if (opcode in kinds.TEXT or opcode in kinds.STRINGS) and _HOOK.fullmatch(str(argument)):
            self._reading.problem(f"it names {argument}, which changes a called method")
        if opcode in kinds.CONSTANT:
            stack.append(_ANY)
        elif opcode in kinds.INTEGERS:
            stack.append(("constant", argument))
        elif opcode in kinds.SINGLETONS:
            stack.append(("constant", kinds.SINGLETONS[opcode]))
        elif opcode == "EMPTY_DICT":
            stack.append(("dictionary", arrays.Dictionary()))
        elif opcode in kinds.TEXT:
            stack.append(("text", argument))
        elif opcode == "EMPTY_LIST":
            stack.append(_LIST)
        elif opcode == "EMPTY_SET":
            stack.append(_SET)
        elif opcode == "MARK":
            stack.append(_MARK)
        elif opcode in kinds.TUPLES:
            stack.append(("tuple", tuple(self._pop() for _ in range(kinds.TUPLES[opcode]))[::-1]))
        elif opcode == "EMPTY_TUPLE":
            stack.append(("tuple", ()))
        elif opcode == "TUPLE":
            stack.append(("tuple", self._to_mark()))
        elif opcode in kinds.TO_MARK:
            items = self._to_mark()
            self._filled(opcode, items) if kinds.TO_MARK[opcode] else stack.append(_LIST if opcode == "LIST" else _ANY)
        elif opcode == "DICT":
            items = self._to_mark()
            stack.append(("dictionary", arrays.Dictionary()))
            self._filled("SETITEMS", items)
        elif opcode in ("APPEND", "SETITEM"):
            items = tuple(self._pop() for _ in range(1 if opcode == "APPEND" else 2))
            self._filled(opcode, items[::-1])
        elif opcode == "POP":
            stack.pop() if stack else self._pop()
        elif opcode == "POP_MARK":
            self._to_mark()
        elif opcode == "DUP":
            stack.append(self._shared(self._top()))
        elif opcode == "PROTO":
            self._protocol = argument
        else:
            if not self._memory(opcode, argument):
                self._call(opcode, argument)

    def _filled(self, opcode: str, items: tuple[Any, ...]) -> None:
        """Appending calls a method that may be set on an instance; setting items calls that of its class."""
        filled = self._top()
        if filled[0] == "dictionary" and opcode.startswith("SETITEM"):
            filled[1].put(items)
        elif filled[0] in ("import", "wrapper"):
            self._reading.problem("it changes an imported object")
        elif not opcode.startswith("SETITEM") and filled not in (_LIST, _SET, _DEQUE):
            self._require_possible(filled)
            self._reading.problem("it appends to an object that is not a list")

    def _memory(self, opcode: str, argument: Any) -> bool:
        if opcode in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[int(argument)] = self._top()
        elif opcode == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        elif opcode in ("GET", "BINGET", "LONG_BINGET"):
            if int(argument) not in self._memo:
                raise _NoPickle
            self._stack.append(self._shared(self._memo[int(argument)]))
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
                for each in (name, module):
                    if each is _MODEL and self._way is not _Way.JOBLIB:
                        raise _NoPickle
                    if each[0] != "text":
                        self._require_possible(each)
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
            called = self._taken()
            if called == ("import", arrays.WRAPPER) and opcode == "NEWOBJ" and arguments == ("tuple", ()):
                stack.append(("wrapper", arrays.Wrapper()))
            else:
                self._invoke(self._used(called), arguments, new=opcode == "NEWOBJ")
        elif opcode == "NEWOBJ_EX":
            self._pop()
            arguments = self._pop()
            self._invoke(self._pop(), arguments, new=True)
        elif opcode == "BUILD":
            state = self._pop()
            built = self._top()
            if built[0] == "import":
                self._reading.problem("it changes an imported object")
            elif built[0] == "dtype":
                if not built[1].build(state):
                    self._reading.problem("it gives a dtype a state that NumPy does not write")
            elif built is _PASSED:
                self._reading.problem("it changes a possible dtype")
            elif built is not _ARRAY and built is not _SEALED and state[0] != "dictionary":
                self._odd_states |= state[0] != "tuple" or len(state[1]) > arrays.MAX_OTHER_STATE
        elif opcode == "PERSID":  # a text may begin so; without an end or an import it is not a pickle
            self._persistent = True
            stack.append(_ANY)
        elif opcode in kinds.OUTSIDE and self._way is not _Way.JOBLIB:
            raise _NoPickle  # no known caller gives a reader the named object
        elif opcode == "READONLY_BUFFER" and self._way is not _Way.JOBLIB:
            self._pop()
            stack.append(_ANY)
        else:  # EXT1 to EXT4, BINPERSID, buffers outside, and opcodes of later Pythons
            self._reading.problem(f"it has the opcode {opcode}, whose meaning is not in the file", unread=True)
            if opcode not in ("READONLY_BUFFER", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER"):
                self._pop()
            if opcode != "READONLY_BUFFER":
                stack.append(_ANY)

    def _require_possible(self, item: Any) -> None:
        """Using values that can neither be called nor added to, and are not names, always fails.

        So it is with most bytes of arrays that are read as opcodes; a file that begins like that is not a model.
        """
        if self._way is not _Way.JOBLIB and item[0] in _PASSIVE:
            raise _NoPickle

    def _require_no_persistent(self) -> None:
        if self._persistent:
            self._reading.problem("it has the opcode PERSID, whose meaning is not in the file", unread=True)

    def _import(self, module: str, name: str) -> Any:
        if self._protocol < 3:
            module = _RENAMED.get(module, module)
        if not _MODULE.fullmatch(module):
            if len(self._stack) or self._reading.imports or self._reading.problems:
                self._reading.problem("it imports by an invalid name", unread=True)
            raise _NoPickle
        self._require_no_persistent()
        pair = f"{module} {name}"
        if len(self._reading.imports) < MAX_NAMED or pair not in self._known:
            shown = f"{module}.{name}"[:_MAX_NAME]
            if len(self._reading.imports) < 20 * MAX_NAMED:
                self._reading.imports[shown] = None
        if pair in _MAKES_CODE:
            self._reading.makes_code = True
        if pair not in self._known and pair != arrays.WRAPPER:
            self._reading.problem(f"imports {module}.{name}")
        return ("import", pair)

    def _invoke(self, called: Any, arguments: Any, *, new: bool = False) -> None:
        """`new`: only `__new__` is called, which takes no path."""
        if called[0] != "import":
            self._require_possible(called)
            self._reading.problem("it calls an object that it made")
        elif not new and arguments != ("tuple", ()) and not self._known.get(called[1], True):
            self._reading.problem(f"it calls {called[1].replace(' ', '.')}, which is made without a call")
        elif called[1] in _MAKERS:
            if new or not _as_its_library(called[1], arguments):
                self._reading.problem(f"it calls {called[1].replace(' ', '.')} in another way than its library does")
        elif called[1] == _ENCODE:
            given: tuple[Any, ...] = arguments[1] if arguments[0] == "tuple" else ()
            if len(given) != 2 or given[1][0] != "text" or given[1][1] not in _ENCODINGS:
                self._reading.problem("it encodes with an encoding that is not latin1")
        self._stack.append(self._made(called, arguments, new=new))

    def _made(self, called: Any, arguments: Any, *, new: bool) -> Any:
        if called == ("import", _DEQUE[1]):
            return _DEQUE
        if called[0] == "import" and called[1] in _MAKERS:
            return _SEALED
        if called == ("import", arrays.DTYPE) and not new:
            dtype = arrays.made_dtype(arguments)
            return _PASSED if dtype is None else ("dtype", dtype)
        if called[0] == "import" and called[1] in _PASSES_ON:
            return _PASSED
        if new and called[0] == "import" and self._known.get(called[1]) is False:
            return _MODEL
        rebuilt = called[0] == "import" and called[1] in _RECONSTRUCTS and arguments[0] == "tuple"
        return _ARRAY if rebuilt and arguments[1][:1] == (("import", "numpy ndarray"),) else _ANY


def _as_its_library(maker: str, arguments: Any) -> bool:
    """Whether one of `_MAKERS` gets a class of its own, and else only a checksum and no state."""
    given: tuple[Any, ...] = arguments[1] if arguments[0] == "tuple" else ()
    if not given or given[0][0] != "import" or given[0][1] not in _MAKERS[maker]:
        return False
    if maker.endswith(" newObj"):
        return len(given) == 1
    return len(given) == 3 and given[1][0] == "constant" and given[2] in (("constant", None), ("tuple", ()))
