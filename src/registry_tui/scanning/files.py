"""Finds the format of a file from its content, also of files packed into it; bounded in depth, number and bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from registry_tui.contracts import bounded_yaml
from registry_tui.scanning import pickles
from registry_tui.scanning.findings import Finding, Grade
from registry_tui.scanning.readings import Opcodes, Reading

#: Part of every stored scan; scans by an older version may be repeated.
VERSION = 5
#: Bytes of a file that are read whole; of larger ones the head decides.
MAX_FILE = 256 * 1024 * 1024
#: Bytes of everything that is unpacked from one file.
MAX_UNPACKED = 256 * 1024 * 1024
MAX_DEPTH = 5
#: Bytes of memory that LZMA may take besides; its strongest preset takes 65 MiB.
_MAX_DICTIONARY = 128 * 1024 * 1024
_ZIPPED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})
MAX_MEMBERS = 2000

_PACKED: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x78\x01", "zlib"),
    (b"\x78\x5e", "zlib"),
    (b"\x78\x9c", "zlib"),
    (b"\x78\xda", "zlib"),
)
_NATIVE = (b"\x7fELF", b"MZ", b"\xfe\xed\xfa", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
#: Formats that hold values and no code. Their first bytes are not opcodes, or need values on a stack that is empty.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"GGUF", "GGUF"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"\x89PNG\r\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"tree\nversion=", "LightGBM text"),
    (b"{L\x00\x00\x00\x00", "Universal Binary JSON"),
)
_UNSAFE_YAML = re.compile(rb"!!?python|!<[^>\n]{0,200}python|tag:yaml\.org,2002:python|^%TAG", re.MULTILINE)
_CODE = (".py", ".pyc", ".pyo", ".pth", ".sh", ".ipynb", ".whl", ".egg", ".js", ".jar", ".R", ".rds", ".RData")
_ARRAY_HEADER = re.compile(rb"'descr':\s*('[^']*'|\[[^\]]*\])")
_LOADERS = re.compile(r"(Function|Partial|Operator|Method|Reduce|Cached)\w*Node")


@cache
def known_imports() -> Mapping[str, bool]:
    """Pairs of module and name whose import does nothing but make values, and whether a call with arguments does so."""
    text = files("registry_tui.scanning").joinpath("known_imports.txt").read_text()
    lines = [line.removesuffix(" new") for line in text.splitlines() if line and not line.startswith("#")]
    made = {line.removesuffix(" new") for line in text.splitlines() if line.endswith(" new")}
    return {line: line not in made for line in lines}


class _TooMuch(Exception):
    pass


class _Budget:
    def __init__(self) -> None:
        self._bytes = MAX_UNPACKED
        self._members = MAX_MEMBERS
        self.opcodes = Opcodes()

    def spend(self, size: int) -> None:
        self._bytes -= size
        if self._bytes < 0:
            raise _TooMuch(f"more than {MAX_UNPACKED} bytes are packed into it")

    def member(self) -> None:
        self._members -= 1
        if self._members < 0:
            raise _TooMuch(f"more than {MAX_MEMBERS} files are packed into it")

    def read(self, stream: Any) -> bytes:
        # One buffer that grows: pieces would be held twice when they are joined.
        found = io.BytesIO()
        while piece := stream.read(min(1 << 20, self._bytes + 1)):
            self.spend(len(piece))
            found.write(piece)
        return found.getvalue()


def scan(path: str, content: bytes, *, whole: bool = True) -> list[Finding]:
    """The findings in a file and in files within; `whole` is false for the head of one that is too large."""
    if not whole:
        known = _safetensors(content, whole=False) or _by_magic(content)
        if known in ("safetensors", "GGUF", "Parquet"):
            return [Finding(path, known, Grade.SAFE_FORMAT)]
        return [_unknown(path, "not read", f"it is larger than {MAX_FILE} bytes")]
    try:
        return list(_scan(path, content, _Budget(), 0))
    except _TooMuch as error:
        return [_unknown(path, "archive", str(error))]
    except Exception as error:  # a library's reader failed on a crafted file
        return [_unknown(path, "not read", f"it cannot be read ({type(error).__name__})")]


def _unknown(path: str, form: str, reason: str, imports: tuple[str, ...] = ()) -> Finding:
    return Finding(path, form, Grade.UNKNOWN, reason, imports)


def _scan(path: str, content: bytes, budget: _Budget, depth: int) -> Iterator[Finding]:
    if depth > MAX_DEPTH:
        raise _TooMuch(f"more than {MAX_DEPTH} archives are packed into each other")
    # As a pickle, a zip file begins with a persistent name whose bytes are not text, so that reading stops there.
    zipped = content.startswith(b"PK\x03\x04")
    reading = Reading() if zipped else pickles.read(content, known_imports(), budget.opcodes)
    if reading.whole or reading.imports or reading.problems:
        yield _pickle(path, reading)
        if reading.problems:
            return
    if zipfile.is_zipfile(io.BytesIO(content)):
        yield from _zip(path, content, budget, depth)
    elif packed := next((name for magic, name in _PACKED if content.startswith(magic)), None):
        yield from _scan(f"{path}!", _unpack(packed, content, budget), budget, depth + 1)
    elif content[257:262] == b"ustar":
        yield from _tar(path, content, budget, depth)
    elif not reading.whole:
        yield _leaf(path, content, budget)


def _pickle(path: str, reading: Reading) -> Finding:
    imports, form = tuple(reading.imports), "joblib" if reading.arrays else "pickle"
    if reading.makes_code and reading.whole and not reading.unread:
        return Finding(path, form, Grade.RUNS_CODE, "it carries functions or classes of its own, as code", imports)
    if reading.problems:
        return _unknown(path, form, "; ".join(list(reading.problems)[:5]), imports)
    return Finding(path, form, Grade.KNOWN_IMPORTS, "", imports)


def _unpack(name: str, content: bytes, budget: _Budget) -> bytes:
    stream = io.BytesIO(content)
    if name == "zlib":
        machine = zlib.decompressobj()
        found = machine.decompress(content, MAX_FILE)
        budget.spend(len(found))
        if not machine.eof or machine.unused_data:
            raise _TooMuch("the packed data does not end where it should")
        return found
    if name == "gzip":
        return budget.read(gzip.GzipFile(fileobj=stream))
    return budget.read(bz2.BZ2File(stream)) if name == "bzip2" else _unpack_lzma(content, budget)


def _unpack_lzma(content: bytes, budget: _Budget) -> bytes:
    """Limits the memory for unpacking, which `lzma.LZMAFile` would take from the file's head unchecked."""
    machine = lzma.LZMADecompressor(memlimit=_MAX_DICTIONARY)
    found, waiting = io.BytesIO(), content
    while not machine.eof:
        piece = machine.decompress(waiting, 1 << 20)
        waiting = b""
        if not piece and machine.needs_input:
            raise _TooMuch("the packed data is truncated")
        budget.spend(len(piece))
        found.write(piece)
    if machine.unused_data:
        raise _TooMuch("the packed data does not end where it should")
    return found.getvalue()


def _zip(path: str, content: bytes, budget: _Budget, depth: int) -> Iterator[Finding]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        names = {member.filename for member in members}
        if len(names) != len(members):
            yield _unknown(path, "zip", "two files in it have the same name")
            return
        for member in members:
            budget.member()
            if member.is_dir() and not member.file_size:
                continue
            if member.compress_type not in _ZIPPED:
                yield _unknown(f"{path}!{member.filename}", "zip", "it is compressed in a way that is not read")
                continue
            with archive.open(member) as stream:
                inner = budget.read(stream)
            if member.filename == "schema.json" and not depth:
                yield _skops(f"{path}!{member.filename}", inner)
            else:
                yield from _scan(f"{path}!{member.filename}", inner, budget, depth + 1)


def _tar(path: str, content: bytes, budget: _Budget, depth: int) -> Iterator[Finding]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for member in archive:
            budget.member()
            if member.isdir():
                continue
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is None:
                yield _unknown(f"{path}!{member.name}", "tar", "it is a link or a device, not a file")
                continue
            yield from _scan(f"{path}!{member.name}", budget.read(stream), budget, depth + 1)


def _skops(path: str, content: bytes) -> Finding:
    imports: dict[str, None] = {}
    problems: dict[str, None] = {}
    waiting: list[Any] = [json.loads(content)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        if not isinstance(node, dict):
            continue
        waiting += node.values()
        loader = str(node.get("__loader__", ""))
        if "__class__" in node or "__module__" in node or loader:
            module, name = str(node.get("__module__")), str(node.get("__class__"))
            imports[f"{module}.{name}"] = None
            if loader == "CachedNode":
                continue
            if f"{module} {name}" not in known_imports() or _LOADERS.fullmatch(loader):
                problems[f"imports {module}.{name}"[:200]] = None
    found = tuple(imports)[:1000]
    if problems:
        return _unknown(path, "skops", "; ".join(list(problems)[:5]), found)
    return Finding(path, "skops", Grade.KNOWN_IMPORTS, "", found)


def _by_magic(content: bytes) -> str:
    return next((name for magic, name in _MAGIC if content.startswith(magic)), "")


def _safetensors(content: bytes, *, whole: bool = True) -> str:
    size = int.from_bytes(content[:8], "little")
    if len(content) < 10 or size > 100_000_000 or content[8:9] != b"{":
        return ""
    if size + 8 > len(content):
        return "" if whole else "safetensors"
    try:
        return "safetensors" if isinstance(json.loads(content[8 : 8 + size]), dict) else ""
    except (ValueError, RecursionError):
        return ""


def _leaf(path: str, content: bytes, budget: _Budget) -> Finding:
    name = path.rsplit("/", 1)[-1].rsplit("!", 1)[-1] or path
    if any(content.startswith(magic) for magic in _NATIVE) or re.search(r"\.(so|dll|dylib|pyd)(\.|$)", name):
        return _unknown(path, "native library", "it is a native library or a program")
    if content.startswith(b"#!") or name.endswith(_CODE):
        return Finding(path, "code", Grade.RUNS_CODE, "it is code that may run when the model is loaded")
    if not content:
        return Finding(path, "empty", Grade.SAFE_FORMAT)
    if content.startswith(b"\x93NUMPY"):
        return _array(path, content, budget)
    if form := _by_magic(content) or _safetensors(content):
        return Finding(path, form, Grade.SAFE_FORMAT)
    if name.endswith(".onnx") and content[:1] == b"\x08":
        return Finding(path, "ONNX", Grade.SAFE_FORMAT)
    return _text(path, name, content)


def _array(path: str, content: bytes, budget: _Budget) -> Finding:
    long = content[6] > 1
    size = int.from_bytes(content[8 : 12 if long else 10], "little")
    start = (12 if long else 10) + size
    kind = _ARRAY_HEADER.search(content[:start])
    if kind is None or b"O" in kind[1]:
        reading = pickles.read(content[start:], known_imports(), budget.opcodes)
        if kind is None or not reading.whole:
            return _unknown(path, "NumPy array", "it holds objects that cannot be read")
        return _pickle(path, reading)
    return Finding(path, "NumPy array", Grade.SAFE_FORMAT)


def _text(path: str, name: str, content: bytes) -> Finding:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return _unknown(path, "unknown", "its format is not known")
    if "\x00" in text:
        return _unknown(path, "unknown", "its format is not known")
    if _UNSAFE_YAML.search(content):
        return _unknown(path, "YAML", "it has tags that name Python objects")
    if name == "MLmodel":
        return _described(path, text)
    if text.lstrip()[:1] in ("{", "["):
        return _json(path, text)
    return Finding(path, "text", Grade.SAFE_FORMAT)


def _json(path: str, text: str) -> Finding:
    if '"Lambda"' in text or "__lambda__" in text:
        return Finding(path, "JSON", Grade.RUNS_CODE, "it holds a Lambda layer of Keras, which is code")
    return Finding(path, "JSON", Grade.SAFE_FORMAT)


def _described(path: str, text: str) -> Finding:
    """MLflow imports the module that `loader_module` names, and puts the folder `code` on Python's path."""
    try:
        waiting: list[Any] = [bounded_yaml.load(text.encode())]
    except ValueError as error:
        return _unknown(path, "MLmodel", f"it is not YAML that can be read: {error}"[:200])
    while waiting:
        node = waiting.pop()
        waiting += node if isinstance(node, list) else node.values() if isinstance(node, dict) else []
        if not isinstance(node, dict):
            continue
        module = node.get("loader_module")
        if module is not None and not str(module).startswith("mlflow."):
            reason = f"the module {str(module)[:200]} is imported to load the model"
            return Finding(path, "MLmodel", Grade.RUNS_CODE, reason)
        if node.get("model_code_path") is not None:
            return Finding(path, "MLmodel", Grade.RUNS_CODE, "the model is made by code when it is loaded")
    return Finding(path, "MLmodel", Grade.SAFE_FORMAT)
