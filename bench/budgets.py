"""The budgets of all benchmarks, stated here only, and the judge that decides how a benchmark ends.

`python bench/budgets.py` prints all of them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The largest or the smallest value that is allowed."""

    most: float = math.inf
    least: float = -math.inf
    unit: str = ""

    def allows(self, value: float) -> bool:
        return self.least <= value <= self.most

    def __str__(self) -> str:
        sign, bound = ("≤", self.most) if self.most < math.inf else ("≥", self.least)
        return f"{sign} {bound:g} {self.unit}".rstrip()


#: Budgets by benchmark (file name) and measured value. × is the ratio to the other side, measured in the same run.
BUDGETS: Mapping[str, Mapping[str, Budget]] = {
    "archive": {"speed beside a bare boto3 copy": Budget(least=0.95, unit="×")},
    "charts": {"reading a curve": Budget(most=1500, unit="ms"), "moving the cursor": Budget(most=16, unit="ms")},
    "gateway": {
        "new connections refused": Budget(most=0),
        "calls lost, of each caller and kill": Budget(most=1),
    },
    "idle": {
        "processor, fresh": Budget(most=2, unit="% of a core"),
        "processor, after use": Budget(most=2, unit="% of a core"),
        "written to disk, fresh": Budget(most=0, unit="bytes"),
        "written to disk, after use": Budget(most=0, unit="bytes"),
    },
    "known": {
        "a page of 100 of a search of 10 000 versions": Budget(most=1, unit="s"),
        "verifying 100 000 events": Budget(most=5, unit="s"),
    },
    "life_cycle": {
        "a page of 100 of 10 000 versions beside MLflow's REST API": Budget(most=2, unit="×"),
        "those in one stage beside MLflow's page of all": Budget(most=2, unit="×"),
        "a page of an inbox with 5 000 approvals": Budget(most=0.5, unit="s"),
    },
    "lineage": {"lineage of a model with 1 000 versions": Budget(most=1, unit="s")},
    "pages": {
        "time beside MLflow's REST API": Budget(most=0.25, unit="×"),
        "10 000 runs with all metrics": Budget(most=1, unit="s"),
    },
    "serving": {
        "requests/s beside a bare FastAPI app": Budget(least=0.95, unit="×"),
        "requests/s beside mlflow models serve, 16 connections": Budget(least=3, unit="×"),
        "the same, 1 row": Budget(least=6, unit="×"),
        "p99 beside a bare FastAPI app": Budget(most=1, unit="×"),
        "p99 beside mlflow models serve": Budget(most=1, unit="×"),
        "failures": Budget(most=0),
        "first answer beside mlflow models serve": Budget(most=1.5, unit="×"),
        "first answer in a kept environment beside making it": Budget(most=1, unit="×"),
    },
    "sort_runs": {"sorting by a metric": Budget(most=0.5, unit="s")},
    "start": {
        "until the service answers": Budget(most=3, unit="s"),
        "MLflow beside mlflow server alone": Budget(most=0.9, unit="×"),
    },
    "tui": {
        "first paint": Budget(most=1.2, unit="×"),
        "memory": Budget(most=70, unit="MB"),
        "memory with 100 000 runs": Budget(most=80, unit="MB"),
        "key to paint, p99": Budget(most=0.25, unit="×"),
        "bytes of a cursor move": Budget(most=1024, unit="B"),
        "largest frame": Budget(most=32 << 10, unit="B"),
        "bytes while nobody does anything": Budget(most=0, unit="B"),
        "time beside the revision before": Budget(most=1.1, unit="×"),
        "memory beside the revision before": Budget(most=1.05, unit="×"),
        "work beside the revision before": Budget(most=1.1, unit="×"),
        "bytes beside the revision before": Budget(most=1.1, unit="×"),
    },
    "versions": {"opening beside a page of 100": Budget(most=2, unit="×")},
}


class Judge:
    """Compares a benchmark's measurements with its budgets; several values of one name must all be within it."""

    def __init__(self, benchmark: str) -> None:
        self.budgets = BUDGETS[benchmark]
        self._values: dict[str, list[float]] = {name: [] for name in self.budgets}

    def measured(self, name: str, value: float) -> bool:
        """Notes a value; returns whether it is within the budget of this name."""
        self._values[name].append(value)
        return self.budgets[name].allows(value)

    def end(self) -> int:
        """Prints every verdict. Returns the exit code: 1 when a value is over its budget, or was not measured."""
        print("\nbudgets")
        within = True
        for name, values in self._values.items():
            budget = self.budgets[name]
            bad = [value for value in values if not budget.allows(value)]
            within &= bool(values) and not bad
            verdict = "OVER" if bad else "ok" if values else "not measured"
            shown = max(values, key=lambda value: _over(budget, value), default=math.nan)
            print(f"  {name:<56} {shown:>12.2f}   {budget!s:<18} {verdict}", flush=True)
        return 0 if within else 1


def _over(budget: Budget, value: float) -> float:
    """How far a value is beyond its budget; negative within it."""
    return max(value - budget.most, budget.least - value)


def main() -> int:
    for benchmark, budgets in BUDGETS.items():
        print(f"bench/{benchmark}.py")
        for name, budget in budgets.items():
            print(f"  {name:<56} {budget}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
