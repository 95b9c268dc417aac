"""Opening a model's page asks the service for nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import httpx

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from support.program import Driver
from support.recorded import Answer, Replay
from support.scenes import MODEL, REGISTRY

VERSIONS = f"/api/v1/registries/{REGISTRY}/models/{MODEL}/versions"


class Counting(Replay):
    """Counts the questions by path."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers)
        self.asked: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked[request.url.path] += 1
        return await super().handle_async_request(request)


async def test_a_models_page_opens_with_one_question_for_the_model_and_its_versions(
    answers: Mapping[str, Answer],
) -> None:
    service = Counting(answers)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(110, 34)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await see.settled()
        service.asked.clear()
        see.go("model", registry=REGISTRY, model=MODEL)
        await see.rows("model")
        await see.until(lambda: not see.app.frame.asks("start"), "the answers")
        of_models = {path: count for path, count in service.asked.items() if "/models/" in path}
        assert of_models == {VERSIONS: 1}
        assert service.asked["/api/v1/deployments"] == 1
        assert MODEL in see.text and "owner" in see.text
        # Looking again asks for both anew: nothing is shown from the first answer.
        see.app.frame.refresh_data()
        await see.until(lambda: service.asked[VERSIONS] == 2, "the versions once more")
        assert service.asked[VERSIONS.removesuffix("/versions")] == 1
