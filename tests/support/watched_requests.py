"""Requests of the demo's deployment that were kept, and the profile that they are compared with."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx

from registry_tui.client import RegistryClient
from registry_tui.contracts import profiles
from registry_tui.contracts.request_columns import PREDICTIONS
from registry_tui.platform.paths import Home
from registry_tui.schemas.drift import ProfileChange, ProfiledColumn, Side
from registry_tui.schemas.request_log import RequestLogRules
from support.platforms import PATIENCE

#: Rows of the training data, of each request, and requests.
TRAINED, ROWS, REQUESTS = 2000, 60, 24


def _rows(number: random.Random, example: dict[str, Any], count: int, further: float) -> list[list[float]]:
    """Rows about the example's first; `further` shifts the first column by so many deviations."""
    first = [float(each) for each in example["data"][0]]
    return [
        [each * (1 + number.gauss(further if at == 0 else 0.0, 1.0) / 8) for at, each in enumerate(first)]
        for _ in range(count)
    ]


def _profiled(side: Side, name: str, values: list[float]) -> ProfiledColumn:
    found = profiles.profile(name, values)
    assert found is not None
    return ProfiledColumn.model_validate({"side": side, **found.to_json()})


async def make_requests(home: Home) -> None:
    """Keeps all requests of the first deployment, and sends some, the later ones further from the training data."""
    number = random.Random(7)
    async with RegistryClient(home) as client:
        found = (await client.deployments()).items[0]
        if (await client.request_log(found.id)).rules.share:
            return
        example = json.loads((await client.deployment_example(found.id)).example)["dataframe_split"]
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:

            async def answer(rows: list[list[float]]) -> list[float]:
                body = {"dataframe_split": {"columns": example["columns"], "data": rows}}
                response = await http.post(f"{found.endpoint_url}/invocations", json=body)
                predictions: list[float] = response.raise_for_status().json()["predictions"]
                return predictions

            trained = _rows(number, example, TRAINED, 0.0)
            columns = [
                _profiled(Side.INPUT, name, [row[at] for row in trained]) for at, name in enumerate(example["columns"])
            ]
            columns.append(_profiled(Side.OUTPUT, PREDICTIONS, await answer(trained)))
            change = ProfileChange(source="wine-train.parquet", rows=TRAINED, columns=columns)
            await client.set_profile(found.registry_id, found.model_name, found.version, change)
            rules = RequestLogRules(share=1.0, leave_out=["customer"], mask=["region"])
            await client.set_request_log(found.id, rules)
            for each in range(REQUESTS):
                await answer(_rows(number, example, ROWS, max(0.0, each / 8 - 1)))
