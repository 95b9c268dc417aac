"""A form whose answer is lost, on a real service: sent again, it leads to one thing."""

from __future__ import annotations

import httpx
from textual.widgets import Input

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.places import Project
from registry_tui.screens.models.register_model import RegisterModelForm
from support.platforms import Platform, unique
from support.program import Driver
from support.registered import log_model


class LosesAnswers(httpx.AsyncBaseTransport):
    """Passes requests on, and loses the first answer to each address that something was changed at."""

    def __init__(self, platform: Platform) -> None:
        self._real = httpx.AsyncHTTPTransport(uds=str(platform.home.service_socket))
        self.sent: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._real.handle_async_request(request)
        if request.method == "POST" and request.url.path.endswith("/register"):
            self.sent.append(request.headers["Idempotency-Key"])
            if len(self.sent) == 1:
                await response.aread()
                await response.aclose()
                raise httpx.ReadTimeout("lost", request=request)
        return response

    async def aclose(self) -> None:
        await self._real.aclose()


async def test_a_registration_whose_answer_was_lost_is_sent_again_and_makes_one_version(
    platform: Platform, project: Project
) -> None:
    logged, name, loses = log_model(platform, project), unique("Wine"), LosesAnswers(platform)
    details = platform.ask(lambda client: client.run(project.id, logged.run_id))
    known = platform.ask(lambda client: client.project(project.id))
    app = RegistryApp(lambda: RegistryClient(transport=loses), start_platform=False)
    async with app.run_test(size=(100, 34)) as pilot:
        see = Driver(app, pilot)
        await see.until(lambda: app.answering, "the service")
        form = RegisterModelForm(known, details, logged.artifact_path)
        app.push_screen(form)
        await see.until(lambda: form.query("#ok"), "the form")
        form.query_one("#name", Input).value = name
        form.query_one("#name").focus()
        await see.until(lambda: name in form.names.found, "what is known of the name")
        # From the name to OK; no more, since a further key would send it again.
        while not loses.sent:
            await see.press("enter")
            await see.settled()
        await see.shows("did not answer in time", "Trying again is safe")
        await see.press("enter", "enter", "enter")
        await see.until(lambda: app.screen is not form, "the form to close")
    assert len(loses.sent) == 2 and len(set(loses.sent)) == 1
    registry = known.registry_id
    assert registry is not None
    versions = platform.ask(lambda client: client.versions(registry, name)).items
    assert [version.version for version in versions] == [1] and versions[0].status == "READY"
