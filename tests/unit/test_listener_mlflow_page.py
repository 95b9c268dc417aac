"""MLflow's web page at the listener: a browser may sign in there and load the page, and nothing else gets easier."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from aiohttp import web

from registry_tui.service.listening import mlflow_page
from support.lone_doors import LoneDoor, lone_door
from support.platforms import PATIENCE

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneDoor]:
    async def redirects(request: web.Request) -> web.StreamResponse:
        if request.path == "/projects/a":
            return web.Response(status=307, headers={"Location": "/projects/a/"})
        if request.path == "/whole":
            return web.Response(status=302, headers={"Location": f"{request.scheme}://{request.host}/projects/b/?c=d"})
        if request.path == "/elsewhere":
            return web.Response(status=302, headers={"Location": "https://example.com/x"})
        return web.Response(text="page", content_type="text/html")

    with lone_door(tmp_path_factory.mktemp("d")) as running:
        running.parts["mlflow"].handler = redirects
        yield running


@pytest.fixture
def person(door: LoneDoor) -> Iterator[httpx.Client]:
    """A browser that keeps a person's name and token."""
    with httpx.Client(
        base_url=door.url,
        auth=("ada", door.token("ada")),
        headers={**HTML, "Sec-Fetch-Site": "same-origin"},
        timeout=PATIENCE,
        trust_env=False,
    ) as client:
        yield client


@pytest.mark.parametrize("path", ["/mlflow", "/mlflow/", "/mlflow/projects/a/", "/mlflow/static-files/index.html"])
def test_a_browser_that_opens_mlflows_page_is_asked_for_a_name_and_a_token(door: LoneDoor, path: str) -> None:
    answer = httpx.get(door.url + path, headers=HTML, trust_env=False)
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == mlflow_page.CHALLENGE
    assert answer.headers["Content-Type"].startswith("text/plain") and "a token as the password" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("GET", "/mlflow/api/2.0/mlflow/experiments/search", "*/*"),
        ("GET", "/mlflow/ajax-api/2.0/mlflow/experiments/search", "application/json"),
        ("POST", "/mlflow/graphql", HTML["Accept"]),
        ("GET", "/mlflowx/", HTML["Accept"]),
        ("GET", "/api/v1/user", HTML["Accept"]),
        ("GET", "/api/v1/docs", HTML["Accept"]),
        ("GET", "/model", HTML["Accept"]),
    ],
)
def test_nothing_else_has_a_browser_ask_for_a_password(door: LoneDoor, method: str, path: str, accept: str) -> None:
    answer = httpx.request(method, door.url + path, headers={"Accept": accept}, trust_env=False)
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_page_may_load_its_own_files_and_an_artifact_may_load_nothing(person: httpx.Client) -> None:
    for path in ("/mlflow/", "/mlflow/projects/a/", "/mlflow/static-files/static/js/main.js"):
        assert person.get(path).headers["Content-Security-Policy"] == mlflow_page.POLICY
    for path in ("/mlflow/get-artifact?path=x.html", "/mlflow/projects/a/get-artifact", "/mlflow/api/2.0/mlflow/x"):
        assert person.get(path).headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in mlflow_page.POLICY


def test_a_browser_is_sent_on_within_mlflows_part_of_the_listener(door: LoneDoor, person: httpx.Client) -> None:
    assert person.get("/mlflow?a=b").headers["Location"] == "/mlflow/?a=b"
    assert person.get("/mlflow/projects/a").headers["Location"] == "/mlflow/projects/a/"
    assert person.get("/mlflow/whole").headers["Location"] == "/mlflow/projects/b/?c=d"
    assert person.get("/mlflow/elsewhere").headers["Location"] == "https://example.com/x"


def test_what_a_browser_keeps_opens_mlflows_page_alone(door: LoneDoor, person: httpx.Client) -> None:
    assert person.get("/mlflow/").status_code == 200
    asked = len(door.parts["service"].asked)
    for path in ("/api/v1/user", "/service/public/v2/api/policy", "/model", "/endpoints/x/ping", "/authz/v1/authorize"):
        refused = person.get(path)
        assert (refused.status_code, refused.json()["code"]) == (403, "kept-password")
    assert len(door.parts["service"].asked) == asked
    # Programs, which send no such header, go on with name and token.
    assert person.get("/api/v1/user", headers={"Sec-Fetch-Site": ""}).status_code == 403
    program = httpx.get(f"{door.url}/api/v1/user", auth=("ada", door.token("ada")), trust_env=False)
    assert program.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_pages_of_other_sites_cannot_use_what_a_browser_keeps(
    door: LoneDoor, person: httpx.Client, headers: dict[str, str]
) -> None:
    asked = len(door.parts["mlflow"].asked)
    for method, path in (("GET", "/mlflow/"), ("POST", "/mlflow/graphql"), ("POST", "/mlflow/ajax-api/2.0/x")):
        assert person.request(method, path, headers=headers).status_code == 403
    assert len(door.parts["mlflow"].asked) == asked
