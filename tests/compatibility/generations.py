"""Which MLflow clients are tried, and a virtual environment for each, kept in `.compatibility/`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".compatibility"
_UV = str(Path(sys.executable).with_name("uv"))


@dataclass(frozen=True)
class Generation:
    """One client, and its requirements for pip."""

    name: str
    requirements: tuple[str, ...]
    #: Whether it is resolved again each time.
    moving: bool = False

    @property
    def python(self) -> Path:
        return CACHE / self.name / "bin" / "python"

    def prepare(self) -> None:
        """Makes the environment when it is missing or was made for other requirements. Raises CalledProcessError."""
        stamp = CACHE / self.name / "requirements.json"
        wanted = json.dumps([sys.version, *self.requirements])
        if not self.moving and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return
        if not self.python.exists():
            subprocess.run([_UV, "venv", "--quiet", "--python", sys.executable, str(CACHE / self.name)], check=True)
        install = [_UV, "pip", "install", "--quiet", "--python", str(self.python)]
        upgrade = ["--upgrade-package", "mlflow"] if self.moving else []
        subprocess.run([*install, *upgrade, *self.requirements], check=True)
        stamp.write_text(wanted, encoding="utf-8")


#: Old clients import `pkg_resources`, and were written for NumPy 1 and pandas 2; old servers for SQLAlchemy 2.0.
GENERATIONS = (
    # Spans of MLflow 2 end with errors under a newer OpenTelemetry.
    Generation(
        "2.14",
        (
            "mlflow~=2.14.0",
            "sqlalchemy<2.1",
            "Flask-WTF<2",
            "numpy<2",
            "pandas<3",
            "setuptools<81",
            "opentelemetry-sdk<1.28",
        ),
    ),
    Generation(
        "2.22",
        ("mlflow~=2.22.0", "sqlalchemy<2.1", "Flask-WTF<2", "pandas<3", "setuptools<81", "opentelemetry-sdk<1.28"),
    ),
    Generation(
        "3.0", ("mlflow~=3.0.0", "sqlalchemy<2.1", "Flask-WTF<2", "pandas<3", "setuptools<81", "opentelemetry-sdk<1.28")
    ),
    Generation("3.5", ("mlflow~=3.5.0", "sqlalchemy<2.1", "Flask-WTF<2", "pandas<3")),
    Generation("pinned", (f"mlflow=={version('mlflow')}",)),
    Generation("newest", ("mlflow",), moving=True),
)
