"""Names that other packages do not promise: the installed ones have each as we use it, and all are in one list."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest

from support.foreign_names import (
    ROOT,
    Use,
    has_attribute,
    modules,
    patches,
    place_of,
    private_names,
    private_names_in_classes,
    private_of,
)
from support.private_names import ALL
from support.private_names.foreign import PACKAGES, Foreign, Kind

#: Where MLflow and DBOS are changed; screens set documented attributes of Textual's widgets.
PATCHING = ("mlflow_plugin/", "service/engine/", "service/running.py")
#: Modules that start a program, or need packages that tests lack, when they are imported.
LEFT_OUT = ("__main__.py", "migrations/", "on_ray/application.py")
#: A method of our own store, which another module of its package calls.
OUR_OWN = {Use("mlflow_plugin/finding.py", "_routes")}
LISTED = {Use(each.place, name) for each in ALL for name in each.names}


@pytest.fixture(scope="module", autouse=True)
def importable_auth_app() -> Iterator[None]:
    """MLflow's auth app reads its settings while it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", "unit-test")
        yield


def looked_up(found: str) -> tuple[Any, Any]:
    """The object of a name, and the class or module that has it. Raises AttributeError, ModuleNotFoundError."""
    module, _, path = found.partition(":")
    *above, name = path.split(".")
    owner = reduce(getattr, above, importlib.import_module(module))
    return owner, inspect.getattr_static(owner, name)


def parameters(value: Any) -> tuple[str, ...]:
    if isinstance(value, classmethod | staticmethod):
        value = value.__get__(None, object)
    return tuple(inspect.signature(value).parameters)


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.found)
def test_the_installed_package_has_the_name_as_it_is_used(each: Foreign) -> None:
    if each.shape is Kind.ATTRIBUTE:
        module, _, path = each.found.partition(":")
        owner = getattr(importlib.import_module(module), path.partition(".")[0])
        assert has_attribute(owner, each.name)
        return
    try:
        _, value = looked_up(each.found)
        shape = each.shape
    except AttributeError:
        if each.moved is None:
            raise
        _, value = looked_up(each.moved[0])
        shape = each.moved[1]
    if shape is Kind.CLASS:
        assert inspect.isclass(value)
    elif shape is Kind.PROPERTY:
        assert isinstance(value, property)
    elif shape is Kind.VALUE:
        assert not callable(value)
    else:
        assert parameters(value) == shape


def test_every_private_name_that_the_code_uses_is_in_the_list() -> None:
    own = {name for path in modules() for name in private_of(path).defined}
    used = {Use(place_of(path), name) for path in modules() for name in private_of(path).foreign(own)}
    assert used - LISTED - OUR_OWN == set()


def test_no_class_shares_a_private_name_with_a_class_of_another_package_that_is_not_in_the_list() -> None:
    places = [path for path in modules() if not any(part in place_of(path) for part in LEFT_OUT)]
    used = {Use(place_of(path), name) for path in places for name in private_names_in_classes(path, PACKAGES)}
    assert used - LISTED == set()


def test_everything_that_is_patched_is_in_the_list() -> None:
    places = [path for path in modules() if place_of(path).startswith(PATCHING)]
    found = {Use(place_of(path), name) for path in places for name in patches(path.read_text("utf-8"), PACKAGES)}
    assert found - LISTED == set()


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.found)
def test_the_list_names_only_what_is_used_and_says_why(each: Foreign) -> None:
    text = (ROOT / each.place).read_text("utf-8")
    assert all(name == "__init__" or name in text for name in each.names)
    assert len(each.why) > len("as abov")


NEW_USES = {
    "from mlflow.store._new import opened": {"opened"},
    "from mlflow.store import _opened": {"_opened"},
    "import textual._doctor": {"_doctor"},
    "def look(store):\n    return store._get_query": {"_get_query"},
    "def look(store):\n    return getattr(store, '_rows', None)": {"_rows"},
    "class Ours(Theirs):\n    def look(self):\n        return self._nowhere_defined": {"_nowhere_defined"},
    "class Ours:\n    def keep(self):\n        self._kept = 1\n    def look(self):\n        return self._kept": set(),
    "import os\nos._exit(0)": set(),
}


@pytest.mark.parametrize("code", NEW_USES)
def test_a_new_use_is_found(code: str) -> None:
    assert private_names(code).foreign(set()) == NEW_USES[code]


NEW_PATCHES = {
    "def install(handlers: Any) -> None:\n    handlers.search = ours": {"search"},
    "def install(module: ModuleType) -> None:\n    vars(module)['search'] = ours": {"search"},
    "from mlflow.server import routes\ndef install() -> None:\n    routes.known.clear()": {"known"},
    "def install(auth: Any) -> None:\n    known = auth.VALIDATORS\n    known.update(ours)": {"VALIDATORS"},
    "def install(auth: Any) -> None:\n    del auth.HANDLERS['x']": {"HANDLERS"},
    "def install(*stores: Any) -> None:\n    for store in stores:\n        store.search = ours": {"search"},
    "def install(answer: Response) -> None:\n    answer.status = 400": set(),
}


@pytest.mark.parametrize("code", NEW_PATCHES)
def test_a_new_patch_is_found(code: str) -> None:
    assert patches(code, PACKAGES) == NEW_PATCHES[code]
