"""The plugin's contract tests with the newest MLflow: `make mlflow-next`, or `mlflow_next.py VERSION` for another one.

They run in a virtual environment of their own, `.compatibility/mlflow-next`. It has the versions of the lock file but
for MLflow and the packages that a newer MLflow changes; neither the lock file nor `.venv` changes. Ends with 1 if a
test fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from compatibility.generations import CACHE

ROOT = Path(__file__).parents[2]
VENV = CACHE / "mlflow-next"
PYTHON = VENV / "bin/python"
LOCK = ROOT / "requirements/dev.txt"
_UV = str(Path(sys.executable).with_name("uv"))
#: Distributions of one release. The first has all code of the others, and depends on them.
MLFLOW, *PARTS = "mlflow", "mlflow-skinny", "mlflow-tracing"

#: The plugin's contract with MLflow's clients and its needs of the server, by the module that tests it.
CONTRACT = (
    # Names and settings that it uses without MLflow's promise, and how the server is started.
    "unit/test_private_names.py",
    "unit/test_mlflow_private.py",
    "unit/test_mlflow_launch.py",
    # The rules that it shares with MLflow: names, aliases, answers, filters.
    "unit/test_mlflow_names.py",
    "unit/test_mlflow_answers.py",
    "unit/test_filter_language.py",
    # Its changes of the auth app, and the registry store of a stock server.
    "unit/test_mlflow_membership.py",
    "unit/test_registries_elsewhere.py",
    "service/test_registry_of_stock_server.py",
    # Runs and versions that it reads from MLflow's database, and transfers in parts.
    "service/test_run_rows.py",
    "service/test_mlflow_on_both.py",
    "end_to_end/test_artifacts_in_parts.py",
    # Models, versions, aliases, prompts and sources through the server, with its errors and addresses.
    "service/test_mlflow_plugin.py",
    "service/test_mlflow_adapter.py",
    "service/test_mlflow_leftovers.py",
    "service/test_mlflow_prompts.py",
    "service/test_mlflow_model_names.py",
    "service/test_mlflow_errors.py",
    "service/test_mlflow_addresses.py",
    "service/test_model_sources.py",
    "service/test_loadable_versions.py",
    # Every route of MLflow's server, called by everybody; permissions to see and delete.
    "service/test_who_may_at_mlflow.py",
    "service/test_who_may_delete.py",
    "service/test_registry_visibility.py",
    "service/test_runs_purge.py",
)


def main() -> int:
    """Makes the environment and runs the tests. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", nargs="?", help="a version of MLflow; the newest when none is named")
    arguments = parser.parse_args()
    try:
        installed = prepare(arguments.version)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"The environment cannot be made: {error}")
        return 1
    print(f"== the plugin's contract with MLflow {installed}", flush=True)
    tests = [str(ROOT / "tests" / each) for each in CONTRACT]
    done = subprocess.run(
        [str(PYTHON), "-m", "pytest", "-q", "-n", "0", "-o", f"cache_dir={VENV / 'pytest-cache'}", *tests],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        check=False,
    )
    print(f"MLflow {installed}: {'the contract holds' if done.returncode == 0 else 'the contract is broken'}")
    return 1 if done.returncode else 0


def prepare(version: str | None) -> str:
    """Makes or renews the environment; returns MLflow's version. Raises CalledProcessError, OSError."""
    VENV.parent.mkdir(exist_ok=True)
    if not PYTHON.exists():
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(VENV))
    newest = version or _newest()
    whole = _resolve(f"{MLFLOW}[auth]=={newest}")
    _install("--requirement", str(whole or _required(f"{MLFLOW}[auth]")))
    _install("--no-deps", "--no-build-isolation", "--offline", "--editable", str(ROOT))
    if whole is None:
        # Its parts come to the package index one after the other, or not at all.
        print(f"MLflow {newest} does not install with {' and '.join(PARTS)}; it is tried without them.", flush=True)
        _uv("pip", "uninstall", "--quiet", "--python", str(PYTHON), MLFLOW, *PARTS)
        _install("--no-deps", f"{MLFLOW}=={newest}")
    name = f"import importlib.metadata as installed; print(installed.version({MLFLOW!r}))"
    return subprocess.check_output([str(PYTHON), "-c", name], text=True).strip()


def _newest() -> str:
    """The newest version of MLflow's own distribution, whether or not its parts are there."""
    pinned = subprocess.check_output([_UV, "pip", "compile", "--quiet", "--no-deps", "-"], input=MLFLOW, text=True)
    return next(line for line in pinned.splitlines() if line.startswith(f"{MLFLOW}==")).partition("==")[2].split()[0]


def _required(mlflow: str) -> Path:
    resolved = _resolve(mlflow)
    if resolved is None:
        raise OSError(f"{mlflow} does not install with what {LOCK.name} has")
    return resolved


def _resolve(mlflow: str) -> Path | None:
    """A file of versions with this MLflow, the lock file's wherever they fit; None if they cannot be resolved."""
    file, override = VENV / "resolved.txt", VENV / "mlflow.txt"
    # Versions of the file that is written are kept where they fit.
    file.write_text(LOCK.read_text("utf-8"), encoding="utf-8")
    override.write_text(f"{mlflow}\n", encoding="utf-8")
    command = [_UV, "pip", "compile", "--quiet", "--python", str(PYTHON), "--override", str(override)]
    command += [part for each in (MLFLOW, *PARTS) for part in ("--upgrade-package", each)]
    command += ["pyproject.toml", "requirements/build.in", "--extra", "platform", "--extra", "stores"]
    command += ["--extra", "demo", "--group", "dev", "--output-file", str(file)]
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
    return None if done.returncode else file


def _install(*what: str) -> None:
    _uv("pip", "install", "--quiet", "--python", str(PYTHON), *what)


def _uv(*arguments: str) -> None:
    subprocess.run([_UV, *arguments], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
