"""The sources of another revision, to be run beside today's."""

from __future__ import annotations

import compileall
import io
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The last revision before the modules were moved into packages.
BEFORE = "d27a826^"


def variables_of(revision: str, folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Writes a revision's sources into a folder, compiled; the variables with which Python imports them."""
    try:
        packed = subprocess.run(["git", "-C", ROOT, "archive", revision, "src"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(
            f"The revision {revision} cannot be read ({error}). Run this in a clone with its history, "
            "or leave the comparison out with --against none."
        )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    compileall.compile_dir(folder, quiet=2)
    return {**variables, "PYTHONPATH": str(folder / "src")}
