"""Every client generation against one platform: prints a table, generation x step, and ends with 1 unless all is well.

`make compatibility` runs it; `python tests/compatibility/run.py 2.14 rest` only some. `MLFLOW_SOURCE=DIR` adds MLflow's
own client tests from a checkout of its repository. `--platform DIR` uses a platform that is up.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from compatibility import raw, upstream
from compatibility.generations import CACHE, GENERATIONS, Generation
from registry_tui.platform.paths import Home
from support.platforms import Platform, clean_environment, running_platform

REST = "rest"
#: Seconds for all steps of one generation.
_TIMEOUT = 1200
_SIGNS = {"ok": "ok", "none": "-", "failed": "FAILED"}

Results = dict[str, dict[str, dict[str, Any]]]


def main() -> int:
    """Runs the requested generations. Returns the exit code."""
    known = [*(each.name for each in GENERATIONS), REST]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("generations", nargs="*", help=f"some of {', '.join(known)}; all when none is named")
    parser.add_argument("--platform", type=Path, help="the data folder of a platform that is up")
    arguments = parser.parse_args()
    if unknown := set(arguments.generations) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    wanted = arguments.generations or known
    results: Results = {}
    with _platform(arguments.platform) as platform:
        for generation in GENERATIONS:
            if generation.name in wanted:
                results[generation.name] = _try(generation, platform)
        if REST in wanted:
            results[REST] = {}
            raw.run(_exports(platform), lambda step: results[REST].update({step["step"]: step}))
        source = os.environ.get("MLFLOW_SOURCE")
        code = upstream.run(Path(source), platform) if source else 0
    print(table(results))
    failed = [step for steps in results.values() for step in steps.values() if step["outcome"] == "failed"]
    if not source:
        print("\nMLflow's own client tests were left out: set MLFLOW_SOURCE to a checkout of its repository.")
    return 1 if failed or code else 0


def table(results: Results) -> str:
    """Generations as columns, steps as rows, and below it why something failed or cannot be."""
    steps = list(dict.fromkeys(step for each in results.values() for step in each))
    width = max(map(len, [*steps, "step"])) + 2
    columns = {name: max(len(name), 6) + 2 for name in results}
    lines = ["step".ljust(width) + "".join(name.ljust(columns[name]) for name in results)]
    for step in steps:
        signs = [_SIGNS[each[step]["outcome"]] if step in each else "-" for each in results.values()]
        line = "".join(sign.ljust(columns[name]) for name, sign in zip(results, signs, strict=True))
        lines.append(step.replace("_", " ").ljust(width) + line)
    lines.append("")
    for name, each in results.items():
        for step in steps:
            if step not in each:
                lines.append(f"{name}: {step.replace('_', ' ')}: no such call of its own")
            elif each[step]["outcome"] != "ok":
                lines.append(f"{name}: {step.replace('_', ' ')}: {each[step]['reason']}")
    return "\n".join(lines)


def _try(generation: Generation, platform: Platform) -> dict[str, dict[str, Any]]:
    print(f"== MLflow {generation.name}", flush=True)
    try:
        generation.prepare()
        done = subprocess.run(
            [str(generation.python), "-P", str(Path(__file__).with_name("steps.py"))],
            env=clean_environment(_exports(platform)),
            cwd=CACHE,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (subprocess.SubprocessError, OSError) as error:
        return {"environment": {"step": "environment", "outcome": "failed", "reason": str(error)[:300]}}
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    for step in steps:
        print(f"   {step['seconds']:6.1f} s  {_SIGNS[step['outcome']]:7}{step['step']}  {step['reason']}", flush=True)
    if done.returncode or not steps:
        steps.append({"step": "end", "outcome": "failed", "reason": f"ended with {done.returncode}"})
    return {step["step"]: step for step in steps}


def _exports(platform: Platform) -> dict[str, str]:
    """A new project for each, so that none finds another's things."""
    return platform.exports(platform.new_project(prefix="compat").id)


@contextmanager
def _platform(folder: Path | None) -> Iterator[Platform]:
    if folder is not None:
        yield Platform(Home(folder))
        return
    with running_platform() as platform:
        yield platform


if __name__ == "__main__":
    sys.exit(main())
