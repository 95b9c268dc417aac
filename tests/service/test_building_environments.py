"""Environments really made with uv from requirements as MLflow writes them."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from registry_tui.service.core.kept import Locks
from registry_tui.service.deployments import python_environments
from registry_tui.service.deployments.model_requirements import read_wanted
from registry_tui.service.errors import InvalidInput

CODE = """
import mine, iniconfig, uvicorn, mlflow
from importlib.metadata import version
print(mine.x, version("iniconfig"))
"""


@pytest.fixture
def service(tmp_path: Path) -> Any:
    settings = SimpleNamespace(package_indexes=())
    return SimpleNamespace(home=SimpleNamespace(serving=tmp_path / "serving home"), settings=settings, locks=Locks())


def make_wheel(folder: Path) -> Path:
    path = folder / "wheels" / "mine-1.0-py3-none-any.whl"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mine.py", "x = 42")
        archive.writestr("mine-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
        archive.writestr("mine-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("mine-1.0.dist-info/RECORD", "")
    return path


def test_wheels_constraints_nested_files_hashes_and_marks_are_followed(tmp_path: Path, service: Any) -> None:
    model = tmp_path / "the model"
    digest = hashlib.sha256(make_wheel(model).read_bytes()).hexdigest()
    text = f"-c constraints.txt\n-r more.txt\nwheels/mine-1.0-py3-none-any.whl \\\n    --hash=sha256:{digest}\n"
    (model / "requirements.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (model / "more.txt").write_text("iniconfig\n")
    (model / "constraints.txt").write_text("iniconfig<2\n")
    (model / "python_env.yaml").write_text("python: 3.11.1\n")
    (model / "conda.yaml").write_text("dependencies: [python=3.11.1, r-base, {pip: []}]\n")
    said: list[str] = []
    made = python_environments.ensure(service, read_wanted(model), said.append)
    assert made.built and made.key != python_environments.PLATFORM
    answer = subprocess.run([made.python, "-P", "-c", CODE], capture_output=True, text=True, check=True, timeout=300)
    assert answer.stdout.split()[0] == "42" and answer.stdout.split()[1].startswith("1.")
    assert any("conda's r-base" in line for line in said)
    assert any("asks for Python 3.11.1; the nearest here is 3.11." in line for line in said)
    again = python_environments.ensure(service, read_wanted(model), said.append)
    assert (again.key, again.built) == (made.key, False)


def test_a_wheel_with_another_hash_and_a_python_that_is_missing_are_refused_in_words(
    tmp_path: Path, service: Any
) -> None:
    model = tmp_path / "model"
    make_wheel(model)
    (model / "requirements.txt").write_text(f"wheels/mine-1.0-py3-none-any.whl --hash=sha256:{'0' * 64}\nmlflow\n")
    with pytest.raises(InvalidInput, match="cannot be installed"):
        python_environments.ensure(service, read_wanted(model), lambda _: None)
    (model / "requirements.txt").write_text("mlflow\n")
    (model / "python_env.yaml").write_text("python: 3.6.15\n")
    with pytest.raises(InvalidInput, match=r"no Python 3\.6 is installed"):
        python_environments.ensure(service, read_wanted(model), lambda _: None)
    (model / "requirements.txt").write_text("--extra-index-url https://packages.example.org/simple\nmine\n")
    (model / "python_env.yaml").unlink()
    with pytest.raises(InvalidInput, match="which is not used here"):
        python_environments.ensure(service, read_wanted(model), lambda _: None)
    assert not list((service.home.serving / "environments").glob("*"))
