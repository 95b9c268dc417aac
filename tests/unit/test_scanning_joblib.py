"""A scan's findings in joblib's files with arrays, whose bytes lie between the opcodes.

Only files without findings are loaded, in another process, which stops at each unknown import.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import pickle
import random
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from registry_tui.scanning import files
from registry_tui.scanning.findings import Grade
from support.apart import other_process

#: A command, as opcodes.
_COMMAND = b"cposix\nsystem\n\x8c\x04true\x85R"


def _grade(content: bytes) -> Grade:
    return max(found.grade for found in files.scan("model.joblib", content))


def _text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def _number(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def _dtype(name: str = "u1", order: str = "|", size: int = -1, align: int = -1, flags: int = 0) -> bytes:
    made = b"cnumpy\ndtype\n" + _text(name) + b"\x89\x88\x87R"
    state = _number(3) + _text(order) + b"NNN" + _number(size) + _number(align) + _number(flags)
    return made + b"(" + state + b"tb"


def _shape(*sizes: int) -> bytes:
    return b"(" + b"".join(map(_number, sizes)) + b"t"


_WRAPPER = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81"


def _fields(**other: bytes) -> dict[str, bytes]:
    return {
        "subclass": b"cnumpy\nndarray\n",
        "shape": _shape(20),
        "order": _text("C"),
        "dtype": _dtype(),
        "allow_mmap": b"\x89",
        "numpy_array_alignment_bytes": b"K\x10",
        **other,
    }


def _array(
    content: bytes, padding: bytes = b"\x02\xff\xff", *, leave_out: str = "", more: bytes = b"", **fields: bytes
) -> bytes:
    """The opcodes of a wrapper with the content behind it; `more` is put into the state at its end."""
    state = b"".join(_text(key) + value for key, value in _fields(**fields).items() if key != leave_out)
    return _WRAPPER + b"}(" + state + more + b"ub" + padding + content


def _file(*parts: bytes) -> bytes:
    """A list of the parts' values."""
    return b"\x80\x04](" + b"".join(parts) + b"e."


_PLAIN = bytes(20)
_OBJECTS = _dtype("O8", flags=63)


def _objects(content: bytes) -> bytes:
    """The pickle that joblib writes of an array of objects, whose objects the content makes."""
    array = b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    return b"\x80\x04" + array + b"(K\x01K\x01\x85" + _dtype("O8", flags=63) + b"\x89](" + content + b"etb."


_KNOWN: dict[str, bytes] = {
    "bytes": _file(_array(_PLAIN)),
    "two": _file(_array(_PLAIN), _array(b"\x01" * 20)),
    "as joblib before 1.2 wrote it": _file(_array(_PLAIN, padding=b"", leave_out="numpy_array_alignment_bytes")),
    "no item": _file(_array(b"", shape=_shape(0, 3))),
    "one item": _file(_array(b"\x00", shape=b")")),
    "bytes that name a command": _file(_array(_COMMAND + _PLAIN, shape=_shape(len(_COMMAND) + 20))),
    "text": _file(_array(_PLAIN, shape=_shape(1), dtype=_dtype("U5", "<", 20, 4, 8))),
    "objects": _file(_array(_objects(_text("a")), b"", dtype=_OBJECTS)),
}
_FRAME = b"\x95" + struct.pack("<Q", 1000)
_SCALAR = b"cnumpy._core.multiarray\nscalar\n"

_HIDDEN: dict[str, bytes] = {
    "opcodes after the array": _file(_array(_PLAIN), _COMMAND),
    "opcodes before it": _file(_COMMAND, _array(_PLAIN)),
    "a shape that is too small": _file(_array(_PLAIN + _COMMAND, shape=_shape(20))),
    "a shape that wraps around": _file(_array(_COMMAND, shape=_shape(1 << 32, 1 << 32))),
    "a negative shape": _file(_array(_COMMAND, shape=_shape(-20))),
    "a shape of true": _file(_array(_COMMAND, shape=b"\x88\x85")),
    "a shape that is a list": _file(_array(_COMMAND, shape=b"](" + _number(20) + b"e")),
    "a shape that is computed": _file(_array(_COMMAND, shape=b"cbuiltins\ntuple\n)R")),
    "a size of its own": _file(_array(_COMMAND, dtype=_dtype("S20", size=1, align=1))),
    "bytes without size": _file(_array(_COMMAND, dtype=_dtype("S0", size=0, align=1))),
    "flags that make objects of bytes": _file(_array(_COMMAND, dtype=_dtype(flags=1))),
    "objects that say they are bytes": _file(_array(_COMMAND, dtype=_dtype("O8", flags=0))),
    "a dtype without a state": _file(_array(_COMMAND, dtype=b"cnumpy\ndtype\n" + _text("u1") + b"\x89\x88\x87R")),
    "a dtype that others share": _file(_array(_COMMAND, dtype=b"cnumpy\ndtype\n" + _text("u1") + b"\x89\x89\x87R")),
    "a dtype that is computed": _file(_array(_COMMAND, dtype=b"cnumpy\ndtype\n" + _text("u1") + b"\x85R")),
    "a dtype that is changed": _file(
        _array(
            _COMMAND, dtype=_dtype() + b"(" + _number(3) + _text("|") + b"NNN" + _number(-1) * 2 + _number(1) + b"tb"
        )
    ),
    "a dtype that is changed under another name": _file(
        _dtype() + b"\x940" + _SCALAR + _dtype("O8", flags=63) + b"h\x00\x86R"
        b"(" + _number(3) + _text("|") + b"NNN" + _number(-1) * 2 + _number(1) + b"tb",
        _array(_PLAIN, dtype=b"h\x00"),
    ),
    "a dtype of times": _file(_array(_COMMAND, dtype=_dtype("M8", "<"))),
    "a structure without fields": _file(_array(_COMMAND, dtype=_dtype("V20", size=20, align=1))),
    "objects that are mapped": _file(_array(_objects(b"K\x01"), b"", allow_mmap=b"\x88", dtype=_OBJECTS)),
    "a reader of its own": _file(_array(_PLAIN, more=_text("read") + b"cbuiltins\ndict\n")),
    "another class": _file(_array(_PLAIN, subclass=b"csklearn.linear_model._base\nLinearRegression\n")),
    "no class": _file(_array(_PLAIN, subclass=b"N")),
    "a field twice": _file(_array(_COMMAND, more=_text("shape") + _shape(1))),
    "a field too few": _file(_array(_PLAIN, leave_out="order")),
    "another alignment": _file(_array(_PLAIN, numpy_array_alignment_bytes=b"K\x08")),
    "more padding": _file(_array(_PLAIN, padding=b"\x30" + b"\xff" * 48)),
    "other padding": _file(_array(_PLAIN, padding=b"\x14" + _COMMAND)),
    "no padding": _file(_array(_PLAIN, padding=b"\x00")),
    "an array within a frame": b"\x80\x04\x95" + struct.pack("<Q", 400) + _file(_array(_PLAIN))[2:] + b"0" * 400,
    "a state twice": _file(_array(_PLAIN), _WRAPPER + b"\x940h\x00}(" + b"ub"),
    "a wrapper that is kept": _file(_WRAPPER + b"\x94" + _array(_PLAIN)[len(_WRAPPER) :], b"h\x00}b"),
    "a state in two parts": _file(
        _WRAPPER + b"\x94}(" + b"".join(_text(key) + value for key, value in _fields().items()) + b"ub\x02\xff\xff",
        _PLAIN,
        b"h\x00}(" + _text("shape") + _shape(1) + b"ub" + _COMMAND,
    ),
    "a state that is kept": _file(
        b"}\x94(" + b"".join(_text(key) + value for key, value in _fields().items()) + b"u0",
        b"cbuiltins\ndict\nh\x00\x85R" + _WRAPPER + b"h\x00b\x02\xff\xff" + _PLAIN,
    ),
    "a state of slots": _file(_WRAPPER + b"}N\x86b\x02\xff\xff" + _PLAIN),
    "a wrapper that is called": _file(b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n(tR}b" + _PLAIN),
    "a wrapper by copyreg": _file(
        b"ccopyreg\n_reconstructor\ncjoblib.numpy_pickle\nNumpyArrayWrapper\ncbuiltins\nobject\nN\x87R}b" + _PLAIN
    ),
    "a wrapper under another name": _file(_SCALAR + _dtype("O8", flags=63) + _WRAPPER + b"\x86R}b" + _PLAIN),
    "a wrapper in a list": _file(b"](" + _WRAPPER + b"e"),
    "the old wrapper": _file(b"cjoblib.numpy_pickle\nNDArrayWrapper\n)\x81}b"),
    "the old wrapper elsewhere": _file(b"cjoblib.numpy_pickle_compat\nZNDArrayWrapper\n)\x81}b"),
    "a command in objects": _file(_array(_objects(_COMMAND), b"", dtype=_OBJECTS)),
    "a command instead of objects": _file(_array(b"\x80\x04" + _COMMAND + b".", b"", dtype=_OBJECTS)),
    "what is no array instead of objects": _file(_array(b"\x80\x04N.", b"", dtype=_OBJECTS)),
    "objects whose frame goes on": _file(
        _array(b"\x80\x04" + _FRAME + _objects(b"N")[2:], b"", dtype=_OBJECTS), b"0" * 1000
    ),
    "objects that do not end": _file(_array(_objects(b"N")[:-1], b"", dtype=_OBJECTS)),
    "a wrapper in objects": _file(_array(_objects(_array(_PLAIN)), b"", dtype=_OBJECTS)),
    "bytes that Python executes": _file(
        _array(
            _COMMAND + b"." + _PLAIN,
            padding=b"",
            leave_out="numpy_array_alignment_bytes",
            shape=_shape(21 + len(_COMMAND)),
        )
    ),
    "bytes that joblib before 1.2 executes": _file(
        _array(b"\x00" * 6 + b"cos\nsystem\n0N", padding=b"\x0c" + b"\xff" * 12, shape=_shape(19)),
    ),
    "an array that breaks off": _file(_array(_PLAIN))[:-10],
    "rubbish behind": _file(_array(_PLAIN)) + b"\xff\xfe",
    "a second pickle behind": _file(_array(_PLAIN)) + b"\x80\x04" + _COMMAND + b".",
}
#: In any pickle: bytes of an array would be taken for addresses of objects.
_ADDRESSES: dict[str, bytes] = {
    "flags of objects": _dtype(flags=63),
    "objects without flags": _dtype("O8", flags=0),
    "a size of its own": _dtype("S20", size=1, align=1),
    "fields of objects": b"cnumpy\ndtype\n"
    + _text("V8")
    + b"\x89\x88\x87R("
    + _number(3)
    + _text("|")
    + b"N"
    + _text("a")
    + b"\x85}"
    + _text("a")
    + _dtype("O8", flags=63)
    + b"K\x00\x86s"
    + _number(8)
    + _number(1)
    + _number(16)
    + b"tb",
    "a second state": _dtype() + b"(" + _number(3) + _text("|") + b"NNN" + _number(-1) * 2 + _number(63) + b"tb",
    "another name": _SCALAR + _dtype("O8", flags=63) + _dtype() + b"\x86R(" + _number(3) + b"tb",
    "the same dtype again": b"cnumpy\ndtype\n" + _dtype() + b"\x85R(" + _number(3) + b"tb",
}
_PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE),
}


@pytest.mark.parametrize("packing", _PACKINGS)
@pytest.mark.parametrize("name", _KNOWN)
def test_arrays_that_joblib_wrote_are_passed_over(name: str, packing: str) -> None:
    found = files.scan("model.joblib", _PACKINGS[packing](_KNOWN[name]))
    assert [(each.format, each.grade) for each in found] == [("joblib", Grade.KNOWN_IMPORTS)], found


@pytest.mark.parametrize("packing", _PACKINGS)
@pytest.mark.parametrize("trick", _HIDDEN)
def test_nothing_hides_behind_an_array(trick: str, packing: str) -> None:
    assert _grade(_PACKINGS[packing](_HIDDEN[trick])) is Grade.UNKNOWN


@pytest.mark.parametrize("trick", _ADDRESSES)
def test_no_dtype_makes_objects_of_bytes(trick: str) -> None:
    assert _grade(_file(_ADDRESSES[trick])) is Grade.UNKNOWN
    assert _grade(_file(_dtype("O8", flags=63), _dtype("U3", "<", 12, 4, 8), _dtype("f16", "<"))) is Grade.KNOWN_IMPORTS


def _models() -> Iterator[object]:
    """Models with structured arrays, arrays of objects, of numbers, and none; the caller imports sklearn."""
    numpy = importlib.import_module("numpy")
    table = numpy.random.default_rng(7).random((60, 3))
    wanted = (table[:, 0] > 0.5).astype(int)
    names = numpy.array(["no", "yes"], dtype=object)[wanted]
    for module, name, target in (
        ("sklearn.ensemble", "RandomForestClassifier", names),
        ("sklearn.tree", "DecisionTreeRegressor", wanted),
        ("sklearn.linear_model", "LogisticRegression", names),
        ("sklearn.svm", "SVC", wanted),
        ("sklearn.decomposition", "PCA", wanted),
    ):
        made = getattr(importlib.import_module(module), name)()
        yield made.set_params(**({"n_estimators": 3} if "ensemble" in module else {})).fit(table, target)
    scale = importlib.import_module("sklearn.preprocessing").StandardScaler
    linear = importlib.import_module("sklearn.linear_model").LinearRegression
    yield importlib.import_module("sklearn.pipeline").make_pipeline(scale(), linear()).fit(table, wanted)


def _dumped(model: object, compress: Any = 0, protocol: int = 4) -> bytes:
    target = io.BytesIO()
    importlib.import_module("joblib").dump(model, target, compress=compress, protocol=protocol)
    return target.getvalue()


@pytest.mark.slow
def test_what_joblib_dumps_of_scikit_learn_has_known_imports() -> None:
    for model in _models():
        for compress in (0, *((name, 3) for name in ("zlib", "gzip", "bz2", "lzma", "xz"))):
            found = files.scan("model.joblib", _dumped(model, compress, 5 if compress else 4))
            grades = [(each.format, each.grade) for each in found]
            assert grades == [("joblib", Grade.KNOWN_IMPORTS)], (model, compress, found)


def _imported(seed: int, count: int) -> tuple[int, list[str]]:
    """How many changed files a scan calls harmless, and the unknown imports of loading these."""
    joblib = importlib.import_module("joblib")
    chance = random.Random(seed)
    whole = [*_KNOWN.values(), *map(_dumped, _models())]
    known, stopped = files.known_imports(), list[str]()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "pickle.find_class":
            pair = " ".join(arguments)
            if pair not in known and pair != "joblib.numpy_pickle NumpyArrayWrapper":
                stopped.append(pair)
                raise RuntimeError(pair)

    sys.addaudithook(watch)
    harmless = 0
    for _ in range(count):
        content = bytearray(chance.choice(whole))
        place = chance.randrange(len(content))
        for _ in range(chance.randint(1, 3)):
            # Near each other, and mostly among the opcodes, which are few beside the bytes of arrays.
            spot = max(0, min(len(content) - 1, place + chance.randint(-20, 20)))
            match chance.randrange(4):
                case 0:
                    content[spot] = chance.choice(b"(.0e}bRtu\x81\x85\x93\x94\x95h]\x00\x01\x08")
                case 1:
                    content[spot:spot] = chance.choice([_COMMAND, b"0", b"h\x00", b"\x940h\x03", b"2"])
                case 2:
                    del content[spot : spot + chance.randint(1, 8)]
                case 3:
                    content[spot] = chance.randrange(256)
        if _grade(bytes(content)) > Grade.KNOWN_IMPORTS:
            continue
        harmless += 1
        for load in (joblib.load, pickle.load):
            with suppress(Exception):
                load(io.BytesIO(bytes(content)))
    return harmless, stopped


@pytest.mark.slow
def test_no_file_that_is_called_harmless_imports_something_else() -> None:
    with other_process() as other:
        harmless, stopped = other.submit(_imported, 20261130, 1500).result()
    assert harmless > 50 and not stopped, (harmless, stopped)
