"""Endpoints describe themselves through the gateway, and a page of theirs shows it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from registry_tui.client import RegistryClient, RegistryError
from registry_tui.schemas.deployments import ApiKeyCreate, Deployment, TestRequest
from support.browser import browsing
from support.platforms import PATIENCE, PLAIN, Platform, unique, wait_for
from support.served import deploy, now, register, split, with_columns


@pytest.fixture(scope="module")
def deployment(platform: Platform) -> Deployment:
    served = register(platform, platform.new_project(), example=split(a=[1.0], b=[2.0]), add=1, streamable=True)
    return deploy(platform, served, authentication=True)


@pytest.fixture(scope="module")
def key(platform: Platform) -> str:
    return platform.call(RegistryClient.create_key, ApiKeyCreate(name=unique("key"))).key


def read(deployment: Deployment, path: str, key: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"{deployment.endpoint_url}/{path}"
    return httpx.get(url, headers=headers, timeout=PATIENCE, trust_env=False, verify=PLAIN)


def test_what_an_endpoint_says_of_itself_can_be_called(deployment: Deployment, key: str) -> None:
    found = read(deployment, "openapi.json", key).raise_for_status().json()
    OpenAPIV31SpecValidator(found).validate()
    assert (found["info"]["title"], found["info"]["version"]) == (deployment.name, str(deployment.version))
    assert found["security"] == [{"apiKey": []}]
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            body: Any = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            headers = {"Authorization": f"Bearer {key}"}
            options: Any = {"headers": headers, "timeout": PATIENCE, "trust_env": False, "verify": PLAIN}
            # This model has no signature, so that its example is one of MLflow's protocol only.
            if method == "get" or body is not None:
                answer = httpx.request(method, f"{deployment.endpoint_url}{path}", json=body, **options)
                assert answer.status_code == 200, (path, answer.text)
    assert found["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["example"] == split(
        a=[1.0], b=[2.0]
    )


def test_a_description_needs_a_key_where_calls_do(platform: Platform, deployment: Deployment) -> None:
    assert read(deployment, "openapi.json").status_code == 401
    calls = now(platform, deployment).traffic.requests
    open_ = deploy(platform, register(platform, platform.new_project()))
    found = read(open_, "openapi.json").raise_for_status().json()
    assert "security" not in found and "securitySchemes" not in found["components"]
    assert httpx.post(f"{open_.endpoint_url}/openapi.json", json={}, verify=PLAIN, trust_env=False).status_code == 405
    # Reading it does not count as a call.
    assert now(platform, open_).traffic.requests == 0 and now(platform, deployment).traffic.requests == calls


def test_the_page_asks_nobody_but_its_own_address(deployment: Deployment) -> None:
    answer = read(deployment, "docs").raise_for_status()
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"https?:|//[a-z]|\bsrc=|\bhref=", answer.text)
    assert deployment.name not in answer.text and deployment.access_key not in answer.text


def test_the_page_shows_and_sends_in_a_browser(platform: Platform, deployment: Deployment, key: str) -> None:
    with browsing({}) as browser:
        browser.open(f"{deployment.endpoint_url}/docs")
        wait_for(lambda: browser.run("!document.getElementById('door').hidden"))
        assert "needs an API key" in browser.run("document.getElementById('about').textContent")
        browser.run(f"document.getElementById('key').value = {key!r}, document.getElementById('enter').click(), 1")
        wait_for(lambda: browser.run("document.querySelectorAll('textarea').length > 0"))
        assert browser.run("document.getElementById('title').textContent") == deployment.name
        browser.run("document.querySelector('section textarea ~ button').click(), 1")
        wait_for(lambda: browser.run("document.querySelector('section textarea ~ pre').textContent.includes('4')"))
        # Pieces are shown, too.
        browser.run(
            "document.querySelector('textarea').value = '"
            '{"dataframe_split": {"columns": ["pieces"], "data": [[2]]}, "stream": true}'
            "', document.querySelector('section textarea ~ button').click(), 1"
        )
        wait_for(lambda: browser.run("document.querySelector('section textarea ~ pre').textContent.includes('[DONE]')"))


def test_every_protocol_is_offered_for_a_test_and_answered(platform: Platform) -> None:
    served = deploy(platform, with_columns(platform))
    found = platform.call(RegistryClient.deployment_example, served.id)
    assert [each.path for each in found.requests] == ["/invocations", f"/v2/models/{served.model_name}/infer"]
    for each in found.requests:
        request = TestRequest(body=each.body, path=each.path)
        answer = platform.call(RegistryClient.test_deployment, served.id, request)
        assert answer.status == 200, answer.body
        assert served.endpoint_url + each.path in answer.curl and served.endpoint_url + each.path in answer.python
    printed = platform.command("deployments", "test", served.name, "--path", found.requests[1].path)
    assert '"outputs"' in printed.stdout
    for path in ("/v2/models/../../ping", "/ping", "invocations", "/openapi.json", "/elsewhere"):
        with pytest.raises(RegistryError, match="No endpoint takes requests at the path"):
            platform.call(RegistryClient.test_deployment, served.id, TestRequest(body="{}", path=path))
