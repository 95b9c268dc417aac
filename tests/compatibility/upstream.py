"""MLflow's own client tests from a checkout of it, against our platform in place of the servers that they start.

Every test gets a project of its own, as it expects an empty server. The checkout's code is the client.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Listener
from pathlib import Path

from compatibility.generations import Generation
from registry_tui.client.client import RegistryClient
from registry_tui.schemas.places import EnvironmentCreate, Project, ProjectCreate, WorkspaceCreate
from registry_tui.schemas.registries import RegistryCreate
from support.platforms import Platform, clean_environment, temporary_folder, unique

#: Test files of MLflow's repository whose client talks to a server by REST.
FILES = ("tests/tracking/test_model_registry.py", "tests/tracking/test_rest_tracking.py")
#: Seconds for all of them.
_TIMEOUT = 3600


def run(source: Path, platform: Platform) -> int:
    """Runs them and prints which were left out, and why. Returns pytest's exit code."""
    source = source.resolve()
    files = [name for name in FILES if (source / name).exists()]
    if not files:
        print(f"{source} holds none of {', '.join(FILES)}: set MLFLOW_SOURCE to a checkout of MLflow's repository.")
        return 1
    try:
        client = _client(source)
        print(f"== MLflow's own tests of {client.name}", flush=True)
        client.prepare()
        with _projects(platform) as address:
            return _pytest(client, source, files, address)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"MLflow's own tests could not run to their end: {error}")
        return 1


def _pytest(client: Generation, source: Path, files: list[str], address: str) -> int:
    plugin = ["-p", "compatibility.upstream_plugin", "-p", "no:cacheprovider"]
    options = ["-q", "--no-header", "--color=no", "-W", "ignore", "--tb=short", *_more_options()]
    environment = clean_environment({"COMPATIBILITY_PROJECTS": address})
    environment["PYTHONPATH"] = os.pathsep.join([str(source), str(Path(__file__).parents[1])])
    command = [str(client.python), "-m", "pytest", *plugin, *options, *files]
    return subprocess.run(command, cwd=source, env=environment, timeout=_TIMEOUT, check=False).returncode


def _client(source: Path) -> Generation:
    """The environment in which the checkout's code and tests run."""
    text = (source / "mlflow" / "version.py").read_text(encoding="utf-8")
    found = re.search(r"""^VERSION = ["'](\d+\.\d+)""", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"{source}/mlflow/version.py holds no version: set MLFLOW_SOURCE to a checkout of MLflow")
    requirements = ("--no-sources", "-r", str(source / "pyproject.toml"), f"mlflow=={found[1]}.*")
    return Generation(
        f"checkout-{found[1]}",
        # The release is needed only so that the checkout's code takes itself for a full MLflow; older ones do not
        # support SQLAlchemy 2.1.
        (*requirements, "sqlalchemy<2.1", "pytest", "pytest-asyncio", "pytest-timeout"),
    )


def _more_options() -> list[str]:
    """`MLFLOW_SOURCE_TESTS=word` runs the tests with this word in their names, as pytest's `-k` does."""
    chosen = os.environ.get("MLFLOW_SOURCE_TESTS")
    return ["-k", chosen] if chosen else []


@contextmanager
def _projects(platform: Platform) -> Iterator[str]:
    """Gives a new project's variables to each caller of the yielded address, with an own registry on request.

    The tests run with another MLflow than ours, so they cannot ask the platform by our code.
    """
    with temporary_folder() as folder:
        address = str(folder / "projects")
        with Listener(address) as listener:
            threading.Thread(target=_hand_out, args=(listener, platform), daemon=True).start()
            yield address


def _hand_out(listener: Listener, platform: Platform) -> None:
    with suppress(OSError):  # the listener was closed
        while True:
            with listener.accept() as connection:
                wanted = json.loads(connection.recv_bytes())
                if wanted["own_registry"]:
                    project = platform.ask(_with_own_registry)
                else:
                    project = platform.new_project(prefix="upstream")
                connection.send_bytes(json.dumps(platform.exports(project.id)).encode())


async def _with_own_registry(client: RegistryClient) -> Project:
    name = unique("upstream")
    await client.create_environment(EnvironmentCreate(name=name))
    workspace = await client.create_workspace(WorkspaceCreate(name=name, environment=name))
    project = await client.create_project(ProjectCreate(name=name, workspace=workspace.id))
    created = await client.create_registry(RegistryCreate(environment=name, grant_storage_access=True))
    await client.wait_for_workflow(created.workflow.id)
    synchronized = await client.synchronize_registry(created.resource.id)
    await client.wait_for_workflow(synchronized.workflow.id)
    return project
