"""Deleted runs are removed for good, with their bytes; and a disk without room is named, not "internal error"."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry_tui.client import RegistryClient
from registry_tui.client.errors import Refused, WrongInput
from registry_tui.contracts.mlflow_routes import RoutesFile
from registry_tui.platform.paths import Home
from registry_tui.platform.probes import platform_status
from registry_tui.schemas.places import CollaboratorChange, Project, Role
from registry_tui.schemas.tracking import RunPurge
from registry_tui.service.stores.seaweedfs import ObjectStore
from support.platforms import PATIENCE, Platform, run_python, temporary_folder, unique

#: Logs a run with an artifact and a logged model, registers it, deletes the run; prints its ID.
DELETED_RUN = """
import sys, mlflow, numpy
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]:
        return model_input
with open(sys.argv[2], "wb") as file:
    file.write(numpy.random.default_rng(1).bytes(int(sys.argv[3])))
with mlflow.start_run() as run:
    mlflow.log_artifact(sys.argv[2])
    mlflow.pyfunc.log_model(name="m", python_model=Model(), artifacts={"big": sys.argv[2]}, pip_requirements=["mlflow"],
                            registered_model_name=sys.argv[1] or None)
mlflow.delete_run(run.info.run_id)
print(run.info.run_id)
"""
SIZE = 3_000_000


def bytes_in(platform: Platform, project: Project) -> int:
    store = ObjectStore(platform.ports, platform.secrets)
    bucket = RoutesFile(platform.home.routes_file).load().projects[project.mlflow_workspace].bucket
    return store.usage(bucket, f"workspaces/{project.mlflow_workspace}/").bytes


@pytest.fixture
def deleted(platform: Platform, project: Project, sdk: Callable[..., str], tmp_path: Path) -> str:
    """A deleted run of the project, whose model was registered."""
    sdk("import mlflow; mlflow.set_experiment('purged')")
    code = "import mlflow; mlflow.set_experiment('purged')\n" + DELETED_RUN
    return sdk(code, unique("Purged"), str(tmp_path / "big.bin"), str(SIZE)).split()[-1]


def test_purged_runs_give_their_bytes_back_and_versions_stay(
    platform: Platform, project: Project, sdk: Callable[..., str], deleted: str
) -> None:
    assert bytes_in(platform, project) > 2 * SIZE
    done = platform.command("runs", "purge", deleted, "--project", project.id, "--yes")
    assert "1 of 1 run removed" in done.stderr and "of the disk are free again" in done.stderr
    assert bytes_in(platform, project) == 0
    listed = platform.command("runs", "list", "--deleted", "--project", project.id, "--json").stdout
    assert deleted not in listed
    code = """
import sys, mlflow
found = mlflow.search_registered_models(filter_string="name LIKE 'Purged-%'")
mine = [each for each in found if each.latest_versions and each.latest_versions[0].run_id == sys.argv[1]]
print(mlflow.pyfunc.load_model(f"models:/{mine[0].name}/1").predict(["still here"]))
"""
    assert "still here" in sdk(code, deleted)


def test_only_deleted_runs_of_the_project_are_purged(
    platform: Platform, project: Project, sdk: Callable[..., str], deleted: str
) -> None:
    code = """
import mlflow
mlflow.set_experiment("purged")
with mlflow.start_run() as run:
    mlflow.log_text("kept", "kept.txt")
print(run.info.run_id)
"""
    alive = sdk(code).split()[-1]
    elsewhere = platform.new_project()
    for name, run in ((project.id, alive), (elsewhere.id, deleted), (project.id, "no-such-run")):
        with pytest.raises(WrongInput, match="Not among the runs"):
            platform.call(RegistryClient.purge_runs, name, RunPurge(run_ids=[run]))
    young = platform.command("runs", "purge", "--project", project.id, "--older-than", "1", "--yes")
    assert "0 of 0 runs removed" in young.stderr
    assert "1 of 1 run removed" in platform.command("runs", "purge", "--project", project.id, "--yes").stderr
    assert "kept" in sdk(f"import mlflow; print(mlflow.artifacts.load_text('runs:/{alive}/kept.txt'))")


def test_contributors_purge_nothing(platform: Platform, project: Project, deleted: str) -> None:
    person = unique("person")
    platform.ask(lambda client: client.set_collaborator(project.id, person, CollaboratorChange(role=Role.CONTRIBUTOR)))
    with pytest.raises(Refused):
        platform.ask(lambda client: client.purge_runs(project.id, RunPurge(run_ids=[deleted])), user=person)
    assert deleted in platform.command("runs", "list", "--deleted", "--project", project.id, "--json").stdout


def test_mlflow_gc_removes_bytes_too(platform: Platform, project: Project, deleted: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", f"sqlite:///{platform.home.mlflow_database}"],
        env={**platform.environment(), **platform.exports(project.id)},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert f"Run with ID {deleted} has been permanently deleted" in done.stdout
    assert bytes_in(platform, project) < 2 * SIZE


@pytest.fixture
def small_disk() -> Iterator[Platform]:
    """A platform on a file system of its own with 700 MiB."""
    with temporary_folder() as folder:
        mounted = folder / "disk"
        mounted.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700M", "tmpfs", str(mounted)], check=True)
        platform = Platform(Home(mounted / "h"))
        try:
            platform.up()
            yield platform
        finally:
            platform.down()
            subprocess.run(["umount", "-l", str(mounted)], check=True)


def test_a_full_disk_is_named_and_cleaning_up_still_works(small_disk: Platform, tmp_path: Path) -> None:
    exports = small_disk.exports("default")
    run = run_python(DELETED_RUN, exports, "Fits", str(tmp_path / "a.bin"), "20000000").split()[-1]
    disk = small_disk.home.root.parent
    with (disk / "filling").open("wb") as filling:
        os.posix_fallocate(filling.fileno(), 0, shutil.disk_usage(disk).free - (200 << 20))

    said = run_python(DELETED_RUN, exports, "DoesNotFit", str(tmp_path / "b.bin"), "5000000", check=False)
    assert "The disk of" in said and "is full" in said and "InternalError" not in said
    parts = {each.name: each for each in platform_status(small_disk.home).parts}
    assert "is full" in parts["object-store"].detail and "runs purge" in (parts["object-store"].action or "")

    # Less is free than the reserve: the platform still starts, and its own cleaning up works.
    small_disk.down()
    small_disk.up()
    before = shutil.disk_usage(disk).free
    done = small_disk.command("runs", "purge", run, "--project", "default", "--yes")
    assert "1 of 1 run removed" in done.stderr
    assert shutil.disk_usage(disk).free - before > 30_000_000
