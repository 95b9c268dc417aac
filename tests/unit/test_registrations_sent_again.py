"""A stock server's client that sends a registration again, while or after the files are sent, gets one version."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from registry_tui.mlflow_plugin import entry_points
from registry_tui.mlflow_plugin.elsewhere import turns
from support.little_platform import LittlePlatform, little_platform
from support.platforms import wait_for


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LittlePlatform]:
    """A platform with a model, as a process of a stock server sees it."""
    with little_platform() as found:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{found.place}/projects/other")
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "rt_of_lab")
        monkeypatch.delenv("MLFLOW_WORKSPACE", raising=False)
        monkeypatch.delenv("_MLFLOW_SERVER_REGISTRY_STORE", raising=False)
        monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", f"sqlite:///{tmp_path / 'mlflow.db'}")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "MLmodel").write_bytes(b"flavors: {}\n")
        found.models.append({"name": "churn"})
        yield found


def register(platform: LittlePlatform, folder: Path, description: str = "") -> str:
    store = entry_points.open_store(f"registry-tui://{platform.place}/lab")
    model = str(folder / "model")
    made = store.create_model_version("churn", model, description=description, local_model_path=model)
    return str(made.version)


def test_requests_that_come_while_the_files_are_sent_get_the_same_version(
    platform: LittlePlatform, tmp_path: Path
) -> None:
    platform.open.clear()
    with ThreadPoolExecutor(4) as threads:
        same = [threads.submit(register, platform, tmp_path) for _ in range(3)]
        try:
            wait_for(lambda: platform.asked == 3, what="three requests")
            other = threads.submit(register, platform, tmp_path, "another request")
            wait_for(lambda: len(platform.runs) == 2, what="the files of two requests")
        finally:
            platform.open.set()
        found = {each.result() for each in same}
    assert len(found) == 1 and other.result() not in found
    assert len(platform.versions) == len(platform.runs) == 2


def test_a_request_that_comes_after_a_long_one_gets_its_version(
    platform: LittlePlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [register(platform, tmp_path) for _ in range(2)] == ["1", "2"], "no client gave up so soon"
    monkeypatch.setattr(turns, "LONG", 0.0)
    assert register(platform, tmp_path) == "2" and len(platform.versions) == 2
    monkeypatch.setattr(turns, "KEPT", -1.0)
    assert register(platform, tmp_path) == "3"


def test_a_request_that_fails_leaves_the_same_one_to_be_carried_out(platform: LittlePlatform, tmp_path: Path) -> None:
    platform.refuses_versions = True
    with pytest.raises(MlflowException):
        register(platform, tmp_path)
    platform.refuses_versions = False
    assert register(platform, tmp_path) == "1"


def test_a_folder_of_somebody_else_is_not_used(platform: LittlePlatform, tmp_path: Path) -> None:
    register(platform, tmp_path)
    (folder,) = tmp_path.glob("registry-tui-turns-*")
    folder.chmod(0o777)
    with pytest.raises(MlflowException, match="account alone"):
        register(platform, tmp_path)
