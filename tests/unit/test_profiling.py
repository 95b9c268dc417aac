"""Profiles of files: Parquet in bounded memory, and many values beside all of them."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy
import pyarrow
import pytest
from pyarrow import parquet

from registry_tui.client import profiling
from registry_tui.client.errors import RegistryError
from registry_tui.contracts import profiles


def test_parquet_has_the_profile_of_the_same_csv(tmp_path: Path) -> None:
    table = pyarrow.table({"a": [1.5, None, 3.0, 4.0], "city": ["rome", "oslo", None, "rome"], "y": [0, 1, 1, 0]})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    (tmp_path / "t.csv").write_text("a,city,y\n1.5,rome,0\n,oslo,1\n3.0,,1\n4.0,rome,0\n")
    found, other = (profiling.of_file(tmp_path / name, ["y"]).profiled("y") for name in ("t.parquet", "t.csv"))
    assert (found.columns, found.rows) == (other.columns, 4)
    assert [each.numeric for each in found.columns] == [True, False, False]


def test_many_values_need_no_more_memory_and_have_nearly_the_same_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "SAMPLE", 5_000)
    values = numpy.random.default_rng(3).normal(0.0, 1.0, 100_000)
    gathered = profiles.Gathering()
    tracemalloc.start()
    try:
        for part in range(0, len(values), 1_000):
            gathered.add(values[part : part + 1_000].tolist())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    found = gathered.profile("x")
    assert found is not None and (found.count, found.numeric) == (100_000, True)
    # As lists, they would take more than three times as much.
    assert peak < 1 << 20
    compared = profiles.compare(found, values.tolist())
    assert compared.psi < 0.01 and compared.ks is not None and compared.ks < 0.03


def test_many_names_are_counted_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "NAMES", 100)
    gathered = profiles.Gathering()
    for part in range(50):
        gathered.add(["often"] * 50 + [f"once {part} {each}" for each in range(50)])
    found = gathered.profile("x")
    assert found is not None and found.count == 5_000
    assert found.shares[found.categories.index("often")] == 0.5 and sum(found.shares) == pytest.approx(1.0)


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RegistryError) as refused:
        profiling.of_file(tmp_path / "t.parquet")
    assert "not installed" in refused.value.message and "pip install pyarrow" in (refused.value.action or "")
