"""Callers of a deployment, any number at once, and the responses they got."""

from __future__ import annotations

import json
import threading
from collections import Counter

import httpx

from registry_tui.schemas.deployments import Deployment
from support.platforms import PATIENCE, wait_for
from support.served import split


class Load:
    """Requests from several threads until the block ends; `statuses` counts the responses.

    `pause`: seconds between two requests of a thread, which leave CPU time to the processes that are starting.
    """

    def __init__(self, deployment: Deployment, threads: int = 16, pause: float = 0.0) -> None:
        self.deployment, self.statuses = deployment, Counter[object]()
        self._pause = pause
        self.predictions: Counter[float] = Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self) -> None:
        content = json.dumps(split(a=[1.0], b=[2.0]))
        headers = {"Content-Type": "application/json"}
        url = f"{self.deployment.endpoint_url}/invocations"
        with httpx.Client(timeout=PATIENCE, trust_env=False) as client:
            while not self._stop.wait(self._pause):
                try:
                    response = client.post(url, content=content, headers=headers)
                except httpx.HTTPError as error:
                    self.statuses[type(error).__name__] += 1
                    continue
                self.statuses[response.status_code] += 1
                if response.status_code == 200:
                    self.predictions[response.json()["predictions"][0]] += 1

    def failed(self) -> Counter[object]:
        """Counts of the failed requests until now, by status or name of the error."""
        return Counter({status: count for status, count in self.statuses.copy().items() if status != 200})

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self.statuses.total() > 20, what="the load to begin")
        return self

    def __exit__(self, *_: object) -> None:
        seen = self.statuses.total()
        wait_for(lambda: self.statuses.total() > seen + 20, what="the load to go on")
        self._stop.set()
        for thread in self._threads:
            thread.join()
