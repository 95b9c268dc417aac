"""Which packages a model's requirements allow, by the files of its archive."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from packaging.specifiers import SpecifierSet

from registry_tui.service.core import packages


def wanted(**files: str) -> list[packages.Wanted] | None:
    named = {path.replace("__", ".").replace("_DIR_", "/"): text.encode() for path, text in files.items()}
    return packages.read(named.get)


@pytest.mark.parametrize(
    ("line", "denied", "allowed"),
    [
        ("numpy==1.26.4", "numpy<2", True),
        ("numpy==2.1.0", "numpy<2", False),
        ("NumPy == 2.1.0", "numpy<2", False),
        ("numpy>=2", "numpy<2", False),
        ("numpy>=2,<3", "numpy<2", False),
        ("numpy>1.9,<2.1", "numpy<2", True),
        ("numpy<2.1", "numpy<2", True),
        ("numpy", "numpy<2", True),
        ("numpy!=1.26.4", "numpy==1.26.4", False),
        ("numpy!=1.26.4", "numpy<2", True),
        ("numpy~=1.26", "numpy<1.26", False),
        ("numpy~=1.26", "numpy>=1.26.9", True),
        ("numpy==1.*", "numpy<1", False),
        ("numpy==1.*", "numpy>=1.99", True),
        ("numpy==2.0.0rc1", "numpy<2", False),
        ("numpy===2.1.0", "numpy<2", False),
        ("pandas==2.2.0", "numpy<2", False),
        ("pandas==2.2.0", "pandas", True),
        ("scikit_learn[all]==1.5", "scikit-learn<1.6", True),
        ("numpy==1.26.4 ; python_version < '3'", "numpy<2", False),
        ("numpy==1.26.4 --hash=sha256:" + "0" * 64, "numpy<2", True),
        ("numpy @ https://example.org/numpy.whl", "numpy<2", True),
        ("https://example.org/numpy-1.26.4-py3-none-any.whl", "numpy<2", True),
        ("https://example.org/pandas-1.0-py3-none-any.whl", "numpy<2", False),
        ("git+https://example.org/thing.git", "numpy<2", True),
        ("git+https://example.org/thing.git#egg=pandas", "numpy<2", False),
        ("-e ./local#egg=numpy", "numpy<2", True),
        ("# numpy==1.26.4", "numpy<2", False),
        ("--extra-index-url https://example.org", "numpy<2", False),
        ("numpy>=1!1.0", "numpy<2", False),
    ],
)
def test_a_requirement_allows_what_it_does_not_rule_out(line: str, denied: str, allowed: bool) -> None:
    found = wanted(requirements__txt=f"mlflow==3.17.0\n{line}\n")
    assert found is not None
    assert (packages.allowed(found, denied) is not None) is allowed


def test_constraints_and_included_files_count() -> None:
    found = wanted(
        requirements__txt="-c limits.txt\n-r more.txt\nnumpy\n", limits__txt="numpy==2.1\n", more__txt="six\n"
    )
    assert found is not None
    assert packages.allowed(found, "numpy<2") is None
    assert packages.allowed(found, "six") is not None


def test_an_included_file_that_is_missing_could_be_anything() -> None:
    found = wanted(requirements__txt="-r more.txt\n")
    assert found is not None and packages.allowed(found, "numpy<2") == "'-r more.txt' does not say which package it is"


def test_files_that_include_each_other_are_read_once() -> None:
    found = wanted(requirements__txt="-r more.txt\nsix\n", more__txt="-r requirements.txt\nnumpy==1.0\n")
    assert found is not None and [each.text for each in found] == ["numpy==1.0", "six"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"conda__yaml": "dependencies: [python=3.11, {pip: [numpy==1.0]}]"}, ["numpy==1.0"]),
        ({"python_env__yaml": "dependencies: [numpy==1.0]"}, ["numpy==1.0"]),
        ({"conda__yaml": "dependencies: [python=3.11]"}, None),
        ({"conda__yaml": "[1"}, None),
        ({}, None),
    ],
)
def test_the_files_of_conda_are_read_where_there_is_no_other(
    files: Mapping[str, str], expected: list[str] | None
) -> None:
    found = wanted(**files)
    assert (None if found is None else [each.text for each in found]) == expected


def test_versions_between_two_bounds_are_found() -> None:
    assert packages.overlap(SpecifierSet(">1.2.3,<1.2.5"), SpecifierSet("!=1.2.3"))
    assert not packages.overlap(SpecifierSet("<1.2.3"), SpecifierSet(">=1.2.3"))
    assert packages.overlap(SpecifierSet(""), SpecifierSet(""))
