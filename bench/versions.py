"""Opens a model with 10 000 versions, compared with a page of 100 versions of a model with only these, in one run.

`python bench/versions.py` (about a minute)

Opening sends the requests of the model's page: the model, its deployments, and the first 100 versions. The other
side is the one request for 100 versions. Both keep one connection and take turns.
"""

from __future__ import annotations

import statistics
import sys
import time

import httpx
from budgets import Judge
from filled import main_of

from support.many_models import MANY, fill_models
from support.platforms import Platform

PAGE = 100
FEW = "model-few-versions"


def measure(platform: Platform, versions: int, repeat: int) -> int:
    """Prints both sides; returns the exit code."""
    registry = platform.ask(lambda client: client.registry("registry-local"))
    for name, number in ((MANY, versions), (FEW, PAGE)):
        fill_models(platform.home.mlflow_database, 1, number, workspace=registry.mlflow_workspace, many=name)
    # MLflow analyses a database that has grown only from time to time, and at each start.
    platform.command("restart", "mlflow")
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket))
    below = f"/api/v1/registries/{registry.id}/models"
    opening, page = list[float](), list[float]()
    with httpx.Client(base_url="http://registry-tui", transport=transport, timeout=60) as service:

        def ask(path: str, **params: str | int) -> httpx.Response:
            return service.get(path, params=params).raise_for_status()

        for number in range(repeat + 3):
            began = time.perf_counter()
            model = ask(f"{below}/{MANY}").json()
            ask("/api/v1/deployments", registry=registry.id, model=model["id"], page_size=200)
            first = ask(f"{below}/{MANY}/versions", page_size=PAGE).json()["items"]
            opened = time.perf_counter()
            other = ask(f"{below}/{FEW}/versions", page_size=PAGE).json()["items"]
            ended = time.perf_counter()
            if [each["version"] for each in first] != list(range(versions, versions - PAGE, -1)) or len(other) != PAGE:
                sys.exit("the versions are wrong")
            if number >= 3:  # the first ones warm up
                opening.append(opened - began)
                page.append(ended - opened)
    ratio = statistics.median(mine / its for mine, its in zip(opening, page, strict=True))
    print(
        f"a model with {versions} versions opens in {statistics.median(opening) * 1000:.1f} ms, {PAGE} versions of a "
        f"model with {PAGE} take {statistics.median(page) * 1000:.1f} ms, ratio {ratio:.2f} (median of {repeat} pairs)",
        flush=True,
    )
    judge = Judge("versions")
    judge.measured("opening beside a page of 100", ratio)
    return judge.end()


def main() -> int:
    return main_of(measure, __doc__, versions=10_000, repeat=30)


if __name__ == "__main__":
    sys.exit(main())
