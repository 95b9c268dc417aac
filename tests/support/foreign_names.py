"""Finds, by reading the code, its uses of unsupported parts of other packages: private names, and patches."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import registry_tui

ROOT = Path(registry_tui.__file__).resolve().parent
#: Private by their spelling only: Python's and SQLAlchemy's documentation has them.
DOCUMENTED = frozenset({"_exit", "_replace", "_asdict", "_mapping"})
_READERS = frozenset({"getattr", "setattr", "hasattr", "delattr"})
_CHANGERS = frozenset({"append", "clear", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update"})
_LOOSE = frozenset({"Any", "ModuleType"})


@dataclass(frozen=True, order=True)
class Use:
    """A name in a module of ours, by its path below the package."""

    place: str
    name: str


@dataclass(frozen=True)
class Private:
    """The private names of a module: that it defines, that it reads of any object, and that it reads of `self`."""

    defined: frozenset[str]
    read: frozenset[str]
    read_of_self: frozenset[str]
    #: The last by class.
    by_class: Mapping[str, frozenset[str]]

    def foreign(self, own: Collection[str]) -> set[str]:
        """Names that belong to no class of ours; `own` are the names that all modules define."""
        return {*(self.read - self.defined), *(self.read_of_self - self.defined - set(own))}


def modules() -> list[Path]:
    """Every module of ours."""
    return sorted(ROOT.rglob("*.py"))


def place_of(path: Path) -> str:
    """A module's path below the package."""
    return path.relative_to(ROOT).as_posix()


def is_private(name: str) -> bool:
    """Whether a name begins with one underscore."""
    return name.startswith("_") and not name.startswith("__") and name != "_" and name not in DOCUMENTED


@cache
def private_of(path: Path) -> Private:
    """The private names of a module of ours."""
    return private_names(path.read_text("utf-8"))


def private_names(code: str) -> Private:
    """The private names in a module's code. A name from a private module is one."""
    defined: set[str] = set()
    read: set[str] = set()
    of_self: set[str] = set()
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            if isinstance(node.ctx, ast.Store) and _is_self(node.value):
                defined.add(node.attr)
            (of_self if _may_be_ours(node.value) else read).add(node.attr)
        elif isinstance(node, ast.ImportFrom) and not _is_ours(node.module):
            within = any(map(is_private, str(node.module or "").split(".")))
            read |= {each.name for each in node.names if within or is_private(each.name)}
        elif isinstance(node, ast.Import):
            read |= {part for each in node.names for part in each.name.split(".") if is_private(part)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _READERS:
            name = node.args[1] if len(node.args) > 1 else None
            if isinstance(name, ast.Constant) and is_private(str(name.value)):
                read.add(str(name.value))
    by_class = {
        each.name: frozenset(
            node.attr for node in ast.walk(each) if isinstance(node, ast.Attribute) and _may_be_ours(node.value)
        )
        for each in ast.walk(tree)
        if isinstance(each, ast.ClassDef)
    }
    return Private(frozenset(filter(is_private, defined)), frozenset(read), frozenset(of_self), by_class)


def private_names_in_classes(path: Path, packages: Collection[str]) -> set[str]:
    """Private names that a module defines or reads, and that classes of packages have from which its own derive."""
    module = ".".join(["registry_tui", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
    imported, ours, found = importlib.import_module(module), private_of(path), set[str]()
    for each in vars(imported).values():
        if not isinstance(each, type) or each.__module__ != module:
            continue
        above = [base for base in each.__mro__[1:] if base.__module__.partition(".")[0] in packages]
        if above:
            # Attributes that every subclass gets from Textual or Python itself.
            given = {*vars(type("Sub", (above[0],), {})), "_abc_impl"}
            used = (set(vars(each)) - given) | ours.by_class.get(each.__name__, frozenset())
            found |= used & set[str]().union(*(_names_of(base) for base in above))
    return set(filter(is_private, found))


def has_attribute(of: type, name: str) -> bool:
    """Whether a class, or its instances according to its source, has an attribute."""
    return hasattr(of, name) or any(name in _names_of(base) for base in of.__mro__ if base is not object)


def patches(code: str, packages: Collection[str]) -> set[str]:
    """Attributes that a module sets, deletes or changes on objects imported from packages, or typed as `Any`."""
    tree = ast.parse(code)
    outer = _imported(tree.body, packages)
    found: set[str] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes = list(ast.walk(function))
            called = dict.fromkeys(outer | _imported(nodes, packages) | _loose_arguments(function), "")
            # Twice: a name may be bound to another bound name.
            for _ in range(2):
                called |= _named_after(nodes, called)
            for target in (each for node in nodes for each in _changed(node)):
                if (root := _root(target)) in called:
                    found.add(called[root] if isinstance(target, ast.Name) and called[root] else _last(target))
    return found


def _changed(node: ast.AST) -> Iterator[ast.expr]:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign | ast.Delete):
        targets = list(node.targets)
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGERS:
        yield node.func.value
    for target in targets:
        if isinstance(target, ast.Attribute | ast.Subscript):
            yield target


def _last(target: ast.expr) -> str:
    """The name of the last attribute, or the key of `vars(module)[key]`."""
    if isinstance(target, ast.Subscript):
        if isinstance(target.value, ast.Call) and isinstance(target.slice, ast.Constant):
            return str(target.slice.value)
        return _last(target.value)
    if isinstance(target, ast.Call):
        return _last(target.func)
    return target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)


def _root(target: ast.expr) -> str:
    """The name that an expression begins with."""
    while True:
        if isinstance(target, ast.Attribute | ast.Subscript):
            target = target.value
        elif isinstance(target, ast.Call):
            plain = isinstance(target.func, ast.Name) and target.func.id == "vars" and target.args
            target = target.args[0] if plain else target.func
        else:
            return target.id if isinstance(target, ast.Name) else ""


def _imported(nodes: Collection[ast.AST], packages: Collection[str]) -> set[str]:
    return {
        (each.asname or each.name).partition(".")[0]
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for each in node.names
        if str(node.module if isinstance(node, ast.ImportFrom) else each.name).partition(".")[0] in packages
    }


def _loose_arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    every += [function.args.vararg] if function.args.vararg else []
    return {each.arg for each in every if each.annotation is not None and ast.unparse(each.annotation) in _LOOSE}


def _named_after(nodes: Collection[ast.AST], roots: Collection[str]) -> dict[str, str]:
    """Names that a function binds to values of the roots, with their original names.

    `routes = router.routes` and `for each in stores` do.
    """
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute | ast.Call | ast.Name):
            # A new object of theirs is ours: a row of a table.
            if _root(node.value) in roots and not _makes_object(node.value):
                found |= {each.id: _last(node.value) for each in node.targets if isinstance(each, ast.Name)}
        elif isinstance(node, ast.For) and isinstance(node.target, ast.Name):
            many = node.iter.elts if isinstance(node.iter, ast.Tuple) else [node.iter]
            if any(_root(each.value if isinstance(each, ast.Starred) else each) in roots for each in many):
                found[node.target.id] = ""
    return found


@cache
def _names_of(base: type) -> frozenset[str]:
    """Attributes of a class, and those that it gives its instances, according to its source."""
    try:
        source = inspect.getsourcefile(base)
    except TypeError:  # Made by C.
        source = None
    return frozenset(vars(base)) | (_assigned(Path(source)).get(base.__name__, frozenset()) if source else frozenset())


@cache
def _assigned(file: Path) -> dict[str, frozenset[str]]:
    """The attributes of `self` that the classes of a file assign."""
    return {
        each.name: frozenset(
            node.attr
            for node in ast.walk(each)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value)
        )
        for each in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(each, ast.ClassDef)
    }


def _makes_object(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id[:1].isupper()


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _may_be_ours(node: ast.expr) -> bool:
    """Whether an expression is an object of the class that it stands in: `self`, `super()`."""
    return _is_self(node) or (isinstance(node, ast.Call) and ast.unparse(node.func) == "super")


def _is_ours(module: str | None) -> bool:
    return (module or "").partition(".")[0] == "registry_tui"
