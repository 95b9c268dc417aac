"""Every benchmark has a budget, and ends with 1 when it is over it."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench"
#: Modules shared by benchmarks, and the other side of one.
HELPERS = {"budgets", "data_table", "filled", "revisions", "servers", "serving_sides", "terminal"}
BENCHMARKS = sorted(path.stem for path in BENCH.glob("*.py") if path.stem not in HELPERS)


@pytest.fixture(scope="module")
def budgets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_budgets", BENCH / "budgets.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    """Calls of a function or method of this name."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [node for node in found if getattr(node.func, "id", getattr(node.func, "attr", "")) == name]


def test_every_benchmark_has_budgets_and_every_budget_a_benchmark(budgets: ModuleType) -> None:
    assert set(budgets.BUDGETS) == set(BENCHMARKS)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_a_benchmark_ends_as_the_judge_says(budgets: ModuleType, benchmark: str) -> None:
    text = (BENCH / f"{benchmark}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    judges = [*calls(tree, "Judge"), *calls(tree, "Report")]
    assert [ast.literal_eval(judge.args[0]) for judge in judges] == [benchmark]
    # It measures the values with budgets, and its exit code is the judge's.
    literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    strings = [node.values[:1] for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    templates = {part.value for first in strings for part in first if isinstance(part, ast.Constant)}
    for name in budgets.BUDGETS[benchmark]:
        assert name in literals or any(isinstance(each, str) and name.startswith(each) for each in templates), name
    assert calls(tree, "end") and text.endswith('\nif __name__ == "__main__":\n    sys.exit(main())\n')
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert all(each.value is not None for each in ast.walk(functions["main"]) if isinstance(each, ast.Return))
    assert ast.unparse(functions["main"].returns or ast.Constant(None)) == "int"


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_a_value_over_its_budget_ends_with_1(
    budgets: ModuleType, benchmark: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for over in (None, *budgets.BUDGETS[benchmark]):
        judge = budgets.Judge(benchmark)
        for name, budget in judge.budgets.items():
            bound = budget.most if budget.most < float("inf") else budget.least
            assert judge.measured(name, bound), "the bound itself is allowed"
            if name == over:
                worse = bound + 0.01 if bound == budget.most else bound - 0.01
                assert not judge.measured(name, worse)
                assert judge.measured(name, bound), "a later good value does not make up for it"
        assert judge.end() == (0 if over is None else 1)
        assert capsys.readouterr().out.count("OVER") == (0 if over is None else 1)


def test_what_was_not_measured_ends_with_1(budgets: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    judge = budgets.Judge("start")
    judge.measured("until the service answers", 1.0)
    assert judge.end() == 1 and "not measured" in capsys.readouterr().out


def test_make_bench_runs_every_benchmark_although_one_is_over(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "Makefile").write_text((BENCH.parent / "Makefile").read_text(encoding="utf-8"))
    (tmp_path / "requirements").mkdir()
    install = tmp_path / "requirements/install"
    install.write_text("#!/bin/sh\n")
    install.chmod(0o755)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    for path in BENCH.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        end = "sys.exit(main())" if "sys.exit(main())" in text else "pass"
        (tmp_path / "bench" / path.name).write_text(
            f"import sys\n\ndef main() -> int:\n    print('ran')\n    return 1\n\n{end}\n"
        )
    done = subprocess.run(["make", "bench"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0, done.stdout
    ran = [line.removeprefix("== python bench/") for line in done.stdout.splitlines() if line.startswith("== ")]
    assert ran == [*(f"{name}.py" for name in BENCHMARKS), "archive.py --files 2000"]
    assert done.stdout.count("ran") == len(ran) == done.stdout.count("over budget: ")
