"""Attached servers of every MLflow generation: `python tests/compatibility/attached.py [GENERATION…]`.

Runs the tests of `tests/service/test_attached_….py` with a stock server of each, the import with some hundred versions,
then `attached_whole.py` with thousands of runs, whose figures it prints; `--whole` runs only that. Ends with 1 unless
all pass. The generations are those of `generations.py`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from compatibility.generations import GENERATIONS
from support.stock_mlflow import PYTHON

TESTS = [
    str(Path(__file__).parents[1] / f"service/test_attached_{name}.py")
    for name in ("servers", "registering", "importing")
] + [str(Path(__file__).with_name("attached_whole.py"))]
#: Versions of the model that is imported.
VERSIONS = "200"


def main() -> int:
    """Runs the chosen tests. Returns the exit code."""
    known = [each.name for each in GENERATIONS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("generations", nargs="*", help=f"some of {', '.join(known)}; all when none is named")
    parser.add_argument("--whole", action="store_true", help="only the server with thousands of runs")
    arguments = parser.parse_args()
    if unknown := set(arguments.generations) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    failed = []
    for generation in GENERATIONS:
        if generation.name not in (arguments.generations or known):
            continue
        generation.prepare()
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:xdist",
            "-q",
            # Figures are printed.
            "-s",
            *(TESTS[-1:] if arguments.whole else TESTS),
        ]
        print(f"== {generation.name}", flush=True)
        if subprocess.run(
            command, env={**os.environ, PYTHON: str(generation.python), "ATTACHED_VERSIONS": VERSIONS}, check=False
        ).returncode:
            failed.append(generation.name)
    print(f"failed: {', '.join(failed)}" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
