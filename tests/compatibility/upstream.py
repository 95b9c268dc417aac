"""MLflow's own client tests from a checkout of it, against our platform in place of the server that they start.

Every test gets a project of its own, as it expects an empty server.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.platforms import Platform, clean_environment

#: Test files of MLflow's repository whose client talks to a server by REST.
FILES = ("tests/tracking/test_model_registry.py", "tests/tracking/test_rest_tracking.py")
#: Parts of names, and why such tests are left out.
LEFT_OUT = {
    "file": "a store in files, which the platform does not have",
    "postgres or mysql or mssql": "another database behind the server",
    "csrf or cors or host_header or security": "they start servers with other settings",
    "artifact_location": "workspaces choose where artifacts lie, so a client cannot",
    "webhook or gateway or scorer or job or prompt_optimization": "for administrators, or language models' providers",
    "mock or handler": "they call the server's Python functions, not its API",
    "model_version and not registered_model": "they register `runs:/run_id/model`: here a source must hold a model",
}


def run(source: Path, platform: Platform) -> int:
    """Runs them and prints what was left out. Returns pytest's exit code."""
    files = [name for name in FILES if (source / name).exists()]
    if not files:
        print(f"{source} holds none of {', '.join(FILES)}: MLFLOW_SOURCE is a checkout of MLflow's repository.")
        return 1
    for what, why in LEFT_OUT.items():
        print(f"left out: {what}: {why}")
    expression = " and ".join(f"not ({what})" for what in LEFT_OUT)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "compatibility.upstream_plugin", "-k", expression, *files]
    environment = clean_environment({"COMPATIBILITY_HOME": str(platform.home.root)})
    environment["PYTHONPATH"] = os.pathsep.join([str(source), str(Path(__file__).parents[1])])
    return subprocess.run(command, cwd=source, env=environment, check=False).returncode
