"""Runs a pipeline like a runner of GitHub Actions and of GitLab CI, as far as `docs/pipelines.md` uses it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.platforms import PATIENCE

#: Installs packages that this Python has already.
INSTALLS = "pip install registry-tui mlflow scikit-learn"


@dataclass
class Ran:
    """The run of a pipeline: each step with its exit code and output, until one failed."""

    steps: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.steps]

    @property
    def codes(self) -> dict[str, int]:
        return {name: code for name, code, _ in self.steps}

    @property
    def failed(self) -> bool:
        return any(code != 0 for _, code, _ in self.steps)

    @property
    def output(self) -> str:
        return "\n".join(f"== {name}: {code}\n{text}" for name, code, text in self.steps)

    def run(self, name: str, script: str, environment: Mapping[str, str], folder: Path) -> None:
        # As both runners start bash.
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=3 * PATIENCE,
            check=False,
        )
        self.steps.append((name, done.returncode, done.stdout))


def run_github(
    workflow: Mapping[str, Any],
    folder: Path,
    environment: Mapping[str, str],
    values: Mapping[str, str],
    begin: str = "",
) -> Ran:
    """Runs the one job's steps in order, from one named `begin` on. `values` are the repository's variables and
    secrets."""
    ran, (job,) = Ran(), workflow["jobs"].values()
    known, outcomes = {**environment, **job["env"]}, dict[str, str]()
    names = [step.get("name", "") for step in job["steps"]]
    for number, step in enumerate(job["steps"]):
        if number < names.index(begin):
            continue
        if "uses" in step or step["run"] == INSTALLS:
            continue
        condition = step.get("if", "")
        assert condition in ("", "failure() && steps.deploy.outcome == 'success'"), condition
        if ran.failed is not bool(condition) or (condition and outcomes.get("deploy") != "success"):
            continue
        variables = folder / f"github-env-{number}"
        variables.touch()
        own = {name: _expanded(text, values) for name, text in step.get("env", {}).items()}
        ran.run(step["name"], step["run"], {**known, **own, "GITHUB_ENV": str(variables)}, folder)
        known |= _variables(variables)
        if "id" in step:
            outcomes[step["id"]] = "success" if ran.steps[-1][1] == 0 else "failure"
    return ran


def _expanded(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ (?:vars|secrets)\.(\w+) \}\}", lambda found: values[found[1]], text)


def run_gitlab(
    pipeline: Mapping[str, Any],
    folder: Path,
    environment: Mapping[str, str],
    values: Mapping[str, str],
    begin: str = "",
) -> Ran:
    """Runs the jobs by stage, from the stage `begin` on; each starts anew and gets the variables that earlier ones
    reported."""
    ran, known = Ran(), {**environment, **values, **pipeline["variables"]}
    jobs = {name: job for name, job in pipeline.items() if name not in ("stages", "variables", "default")}
    stages = pipeline["stages"]
    for name, job in sorted(jobs.items(), key=lambda each: stages.index(each[1]["stage"])):
        if begin and stages.index(job["stage"]) < stages.index(begin):
            continue
        before, installs = pipeline["default"]["before_script"], [INSTALLS]
        script = "\n".join([each for each in before if each not in installs] + job["script"])
        ran.run(name, script, known, folder)
        if ran.failed:
            break
        if report := job.get("artifacts", {}).get("reports", {}).get("dotenv"):
            known |= _variables(folder / report)
    return ran


def _variables(file: Path) -> dict[str, str]:
    lines = file.read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
