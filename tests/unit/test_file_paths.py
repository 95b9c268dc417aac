"""Which paths of files can be stored, and which cannot exist together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_tui.client.saving import Remote, Unsafe, save_all
from registry_tui.contracts import file_paths
from registry_tui.contracts.mlflow_routes import RouteError, Routes, artifact_path
from registry_tui.mlflow_plugin import spellings
from registry_tui.schemas.models import Manifest
from registry_tui.service.deployments.model_files import require_possible as require_possible_manifest
from registry_tui.service.errors import InvalidInput, WrongState
from registry_tui.service.stores.bucket_files import Place, StoredFile
from registry_tui.service.workflows.archive import _require_possible
from support.file_names import KEPT_ENCODED
from unit.test_mlflow_routes import ROUTES


@pytest.mark.parametrize("path", KEPT_ENCODED)
def test_a_path_is_kept_byte_by_byte(path: str) -> None:
    assert file_paths.problem(path) is None
    assert ROUTES.locate(f"workspaces/wine/1/r/artifacts/{path}").key.endswith(f"/artifacts/{path}")
    assert artifact_path(spellings.artifact_source(f"1/r/artifacts/{path}")) == f"1/r/artifacts/{path}"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "empty"),
        ("/a", "relative"),
        ("a//b", "empty folders"),
        ("a/", "empty folders"),
        ("a/../b", "folder"),
        (".", "folder"),
        ("a/%2e%2E/b", "folder"),
        ("a/%252e/b", "folder"),
        ("..%2fb", "folder"),
        ("dir\\b", "backslash"),
        ("dir%5cb", "backslash"),
        ("a\0b", "control"),
        ("a\x7fb", "control"),
        ("a%0ab", "control"),
        ("\ud800", "text"),
        ("x" * 256, "255"),
        ("é" * 128, "255"),
        ("d/" * 512 + "x", "1024"),
        ("%" + "25" * 20, "encoded"),
    ],
)
def test_a_path_that_something_could_take_for_another_is_refused(path: str, why: str) -> None:
    assert why in (file_paths.problem(path) or "")
    if path and not path.startswith("/") and "//" not in path and not path.endswith("/"):
        with pytest.raises(RouteError):
            ROUTES.locate(f"workspaces/wine/{path}")


def test_a_whole_key_is_measured_not_only_what_was_asked_for() -> None:
    path = "/".join(["d" * 203] * 5)
    assert file_paths.problem(path) is None
    with pytest.raises(RouteError, match="1024"):
        ROUTES.locate(f"workspaces/wine/{path}")


@given(st.text(max_size=30))
def test_a_sound_path_stays_below_its_folder(path: str) -> None:
    if file_paths.problem(path) is None:
        assert (Path("/folder") / path).resolve().is_relative_to("/folder")
        assert str(Path("/folder") / path) == f"/folder/{path}"


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["a", "a/b"], ("a", "a/b")),
        (["x/a/b/c", "x/a", "y"], ("x/a", "x/a/b/c")),
        (["a", "a.b/c", "a b", "ab/a"], None),
        (["A", "a/b", "n\u00e4h", "na\u0308h/b"], None),
        ([], None),
    ],
)
def test_a_file_and_a_folder_cannot_have_one_name(paths: list[str], found: tuple[str, str] | None) -> None:
    assert file_paths.conflict(paths) == found


def nothing_in(folder: Path) -> bool:
    return list(folder.iterdir()) == []


@pytest.mark.parametrize("paths", [["MLmodel", "a", "a/b"], ["MLmodel", "dir\\b"], ["MLmodel", "x" * 256], ["../x"]])
async def test_such_files_are_neither_archived_nor_fetched_nor_saved(paths: list[str], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        _require_possible([StoredFile(path, 1, "e") for path in paths], Place(None, "b", "p/files/"))
    manifest = Manifest.model_construct(files=[StoredFile(path, 1, "e") for path in paths])
    with pytest.raises(WrongState):
        require_possible_manifest(manifest)

    async def fetch(target: Path, _: object) -> None:
        raise AssertionError(target)

    async def files() -> AsyncIterator[Remote]:
        for path in paths:
            yield Remote(path, 1, fetch)

    with pytest.raises(Unsafe):
        await save_all(files(), tmp_path / "saved", lambda *_: None)
    assert nothing_in(tmp_path)


def test_an_archive_whose_key_would_be_too_long_is_refused() -> None:
    path = "/".join(["d" * 200] * 5)
    with pytest.raises(InvalidInput, match="too long"):
        _require_possible([StoredFile(path, 1, "e")], Place(None, "b", "modelregistry/a/b/files/"))


def test_nothing_is_routed_without_routes() -> None:
    with pytest.raises(RouteError):
        Routes().locate("workspaces/wine/1")
