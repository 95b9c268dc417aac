"""A platform's home elsewhere: copied beside the original."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from registry_tui.platform.paths import Home
from registry_tui.schemas.deployments import Deployment
from support import served
from support.platforms import Platform, run_python, wait_for
from support.served import Served, answer, deploy, now, two_versions

LOAD = """
import sys, mlflow, pandas
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[1]}/1")
print(model.predict(pandas.DataFrame({"a": [1.0], "b": [2.0]})))
"""


@pytest.fixture(scope="module")
def model(own_platform: Platform) -> Served:
    """Version 1 adds 10 to a + b."""
    return two_versions(own_platform)


@pytest.fixture(scope="module")
def deployment(own_platform: Platform, model: Served) -> Iterator[Deployment]:
    yield deploy(own_platform, model)
    del served.DEPLOYED[:]


@contextmanager
def elsewhere(platform: Platform, name: str) -> Iterator[Platform]:
    """A platform with a home beside that of another one, down and gone at the end."""
    there = Platform(Home(platform.home.root.with_name(name)))
    try:
        yield there
    finally:
        there.down()
        shutil.rmtree(there.home.root, ignore_errors=True)


def loads(platform: Platform, model: Served) -> bool:
    """Whether stock code loads version 1 from there, and it adds 10."""
    return "13." in run_python(LOAD, platform.exports(model.project.name), model.version.model_name)


def test_a_copied_home_starts_beside_the_original(
    own_platform: Platform, model: Served, deployment: Deployment
) -> None:
    with elsewhere(own_platform, "copy") as copy:
        own_platform.down()
        subprocess.run(["cp", "-a", own_platform.home.root, copy.home.root], check=True)
        own_platform.up()
        started = copy.command("up")
        assert f"copied from {own_platform.home.root}" in started.stderr and copy.ports.mlflow_url in started.stderr
        assert copy.ports != own_platform.ports
        assert loads(copy, model)
        there = now(copy, deployment)
        wait_for(lambda: answer(there) == [23.0], what="the copied deployment to answer")
        copy.down()
        assert answer(now(own_platform, deployment)) == [23.0], "the copy's end took something from the original"
        assert loads(own_platform, model)
        ports = copy.ports
        assert "copied from" not in copy.command("up").stderr and copy.ports == ports
