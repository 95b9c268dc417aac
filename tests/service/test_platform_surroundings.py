"""The folder and the shell that the platform is started from change nothing about it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from registry_tui.platform import processes
from registry_tui.platform.children import known_environment, without_proxy
from registry_tui.platform.paths import Home
from registry_tui.schemas.places import ProjectCredentials
from support.platforms import PATIENCE, Platform, temporary_folder

#: Names of modules that supervisord, the parts and their libraries import.
SHADOWS = ("supervisor", "token", "json", "logging", "uvicorn", "mlflow", "dbos", "aiohttp", "registry_tui", "boto3")
SCRIPTS = Path(sys.executable).parent

#: Possible variables in the shell of a person who works with another cloud, behind a proxy.
FOREIGN = {
    "AWS_PROFILE": "a-profile-that-does-not-exist",
    "AWS_DEFAULT_PROFILE": "another-one",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_CA_BUNDLE": "/nonexistent/bundle.pem",
    "AWS_MAX_ATTEMPTS": "no number",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "intranet.example",
    "SSL_CERT_FILE": "/nonexistent/certificates.pem",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    "MLFLOW_REGISTRY_URI": "http://127.0.0.1:9",
    "MLFLOW_TRACKING_TOKEN": "somebody-else",
    "MLFLOW_TRACKING_AWS_SIGV4": "true",
    "_MLFLOW_SERVER_FILE_STORE": "sqlite:////nonexistent/mlflow.db",
    "WEED_MASTER_DEFAULT": "elsewhere",
    "DBOS__CONDUCTOR_URL": "http://127.0.0.1:9",
    "UVICORN_PORT": "9",
}

REGISTERS = """
import mlflow, os, sys
mlflow.set_experiment("surroundings")
with mlflow.start_run() as run:
    mlflow.log_param("a", 1)
    mlflow.log_text("kept", "notes.txt")
assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes.txt") == "kept"
mlflow.MlflowClient().create_registered_model("surroundings")
print(mlflow.MlflowClient().get_registered_model("surroundings").name)
"""


@pytest.fixture(scope="module")
def surroundings() -> Iterator[tuple[Platform, Path, dict[str, str]]]:
    """A platform started from a folder of modules that leave a trace when they are imported, and a foreign shell."""
    with temporary_folder() as folder:
        trap, home = folder / "trap", Home(folder / "h")
        trap.mkdir()
        for name in SHADOWS:
            trace = f"open({str(trap / 'imported')!r}, 'a').write(__name__ + '\\n')\nraise ImportError('shadowed')\n"
            (trap / f"{name}.py").write_text(trace, encoding="utf-8")
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        shell = {**kept, **FOREIGN, "REGISTRY_TUI_HOME": str(home.root)}
        shell["PATH"] = f"{SCRIPTS}{os.pathsep}{kept['PATH']}"
        platform = Platform(home)
        try:
            done = run(["registry-tui", "up"], trap, shell)
            assert done.returncode == 0, done.stdout + done.stderr
            yield platform, trap, shell
        finally:
            platform.down()


def run(command: list[str], folder: Path, shell: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=shell,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=2 * PATIENCE,
        check=False,
    )


def test_files_of_the_folder_are_not_imported(surroundings: tuple[Platform, Path, dict[str, str]]) -> None:
    platform, trap, shell = surroundings
    done = run(["registry-tui", "restart", "gateway"], trap, shell)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (trap / "imported").exists(), (trap / "imported").read_text(encoding="utf-8")
    for pid in processes.ours(platform.home):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            assert Path(f"/proc/{pid}/cwd").readlink() != trap


def test_a_foreign_shell_reaches_no_part(surroundings: tuple[Platform, Path, dict[str, str]]) -> None:
    platform, trap, shell = surroundings
    for pid in processes.ours(platform.home):
        try:
            raw = Path(f"/proc/{pid}/environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        found = dict(entry.decode().partition("=")[::2] for entry in raw.split(b"\0") if entry)
        assert not {name for name in found if name.startswith(("AWS_", "MLFLOW_", "_MLFLOW_", "DBOS_", "UVICORN_"))}
        assert "127.0.0.1" in found["NO_PROXY"].split(",") and "intranet.example" in found["NO_PROXY"].split(",")
    status = run(["registry-tui", "status"], trap, shell)
    assert status.returncode == 0, status.stdout + status.stderr


def test_stock_code_of_that_shell_works_with_the_exports(
    surroundings: tuple[Platform, Path, dict[str, str]], tmp_path: Path
) -> None:
    _, _, shell = surroundings
    script = tmp_path / "train.py"
    script.write_text(REGISTERS, encoding="utf-8")
    line = f'eval "$(registry-tui env --project default)" && {sys.executable} {script}'
    done = run(["bash", "-c", line], tmp_path, shell)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[-1] == "surroundings"


def test_only_listed_variables_are_kept() -> None:
    caller = {"PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "/tmp", "AWS_PROFILE": "x", "REGISTRY_TUI_USER": "eve"}
    assert known_environment({"ADDED": "1"}, caller=caller) == {
        **without_proxy({}),
        "PATH": "/bin",
        "LC_ALL": "C",
        "ADDED": "1",
    }


def test_exceptions_from_a_proxy_stay_and_are_not_repeated() -> None:
    found = without_proxy({"no_proxy": "a.example, 127.0.0.1", "NO_PROXY": "b.example"})
    assert found["NO_PROXY"] == found["no_proxy"] == "b.example,a.example,127.0.0.1,localhost,::1"


def test_exports_disable_telemetry() -> None:
    found = ProjectCredentials(tracking_uri="http://x", mlflow_workspace="w", username="u", password="p")
    assert found.as_exports()["MLFLOW_DISABLE_TELEMETRY"] == "true"
