"""Responses of deployments when JSON, callers or models are faulty."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry_tui.client import RegistryClient
from registry_tui.platform import lifecycle
from registry_tui.schemas.deployments import Batching, Deployment, DeploymentUpdate, RevisionState, TestRequest
from registry_tui.schemas.operations import Accepted, WorkflowStatus
from registry_tui.serving.scorer import MOST_LONG
from support.platforms import PATIENCE, Platform, wait_for
from support.served import Served, answer, call, deploy, finish, register, split, update


@pytest.fixture(scope="module")
def adder(platform: Platform) -> Served:
    """A model that adds, with side effects chosen by columns; without an example."""
    return register(platform, platform.new_project())


def require_reason(platform: Platform, deployment: Deployment, reason: str) -> None:
    """Waits for it: while a replica responds late, on a busy machine, the reason is about that for a moment."""

    def given() -> str:
        return platform.ask(lambda client: client.deployment(deployment.id)).reason

    wait_for(lambda: given() == reason, what=f"the reason {reason!r}")


def shown(platform: Platform, deployment: Deployment) -> str:
    return platform.command("deployments", "show", deployment.name).stdout


def test_whether_requests_share_calls_is_set_and_shown_with_the_reason(platform: Platform, adder: Served) -> None:
    deployment = deploy(platform, adder)
    assert deployment.batching is Batching.AUTO
    assert deployment.batching_decision.startswith("each request is predicted alone: models of the flavour served_")
    changed = update(platform, deployment, batching="on")
    assert (changed.batching, changed.revision) == (Batching.ON, 2)
    assert "requests that wait together share a call: the deployment's setting is on" in shown(platform, deployment)
    history = platform.ask(lambda client: client.revisions(deployment.id))
    assert [each.batching for each in history] == ["on", "auto"]
    # Requests of older clients keep their meaning.
    assert DeploymentUpdate.model_validate({"batching": False}).batching is Batching.OFF
    done = platform.command("deployments", "update", deployment.name, "--batching", "off")
    assert "off: each request is predicted alone: the deployment's setting is off" in done.stdout
    assert answer(deployment) == [3.0]


def test_nan_and_infinities_are_answered_as_by_mlflow_or_as_strict_json(platform: Platform, adder: Served) -> None:
    deployment = deploy(platform, adder)
    body = split(nan=[1])
    assert call(deployment, body).text == '{"predictions": [NaN, Infinity, -Infinity, 0.30000000000000004]}'
    update(platform, deployment, strict_json=True)
    assert call(deployment, body).text == '{"predictions": [null, null, null, 0.30000000000000004]}'
    assert "answered as null (strict JSON)" in shown(platform, deployment)


def test_what_is_wrong_with_a_request_or_an_answer_is_one_sentence_with_the_right_status(
    platform: Platform, adder: Served
) -> None:
    deployment = deploy(platform, adder)
    deep = '{"dataframe_split": ' + "[" * 5000 + "]" * 5000 + "}"
    headers = {"Content-Type": "application/json"}
    with httpx.Client(trust_env=False, timeout=PATIENCE, headers=headers) as http:
        nested = http.post(f"{deployment.endpoint_url}/invocations", content=deep)
        assert (nested.status_code, nested.headers["Content-Type"]) == (400, "application/problem+json")
        assert nested.json()["detail"] == "The body is nested too deeply to be read"
        assert nested.json()["error_code"] == "BAD_REQUEST"
        found = http.post(f"{deployment.endpoint_url}/invocations", json=split(object=[1]))
    expected = "The model's answer cannot be written as JSON: TypeError: Object of type object is not JSON serializable"
    assert (found.status_code, found.json()["detail"], found.json()["message"]) == (500, expected, expected)
    wrapped = httpx.post(
        deployment.model_url,
        json={"accessKey": deployment.access_key, "request": split(object=[1])},
        trust_env=False,
        timeout=PATIENCE,
    )
    assert wrapped.status_code == 500 and wrapped.json()["error"]["detail"] == expected
    # The list, the page and the test agree.
    tried = platform.ask(
        lambda client: client.test_deployment(deployment.id, TestRequest(body=json.dumps(split(object=[1]))))
    )
    assert (tried.status, json.loads(tried.body)["detail"]) == (500, expected)
    require_reason(platform, deployment, f"calls fail: {expected}")
    assert answer(deployment) == [3.0]
    require_reason(platform, deployment, "")


def test_calls_whose_caller_hung_up_are_not_computed(platform: Platform, adder: Served, tmp_path: Path) -> None:
    deployment = deploy(platform, adder)
    log, go = tmp_path / "calls.log", tmp_path / "go"
    body = split(a=[1.0], b=[2.0], log=[str(log)], until=[str(go)])
    # As many as are made beside each other: all others wait.
    first = [threading.Thread(target=lambda: call(deployment, body)) for _ in range(1 + MOST_LONG)]
    for thread in first:
        thread.start()
    called = ["called"] * len(first)
    wait_for(lambda: log.exists() and log.read_text().splitlines() == called, what="the first calls to be under way")
    url = f"{deployment.endpoint_url}/invocations"

    def hung_up() -> int:
        traffic = platform.ask(lambda client: client.deployment(deployment.id)).traffic
        return traffic.by_status.get("499", 0) if traffic else 0

    def hang_up() -> None:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=body, timeout=httpx.Timeout(PATIENCE, read=0.5), trust_env=False)

    callers = [threading.Thread(target=hang_up) for _ in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    wait_for(lambda: hung_up() == len(callers), what="the gateway to know that they hung up")
    go.touch()
    for thread in first:
        thread.join()
    assert answer(deployment) == [3.0]
    assert log.read_text().splitlines() == called


def test_short_predictions_are_answered_beside_a_long_one(platform: Platform, adder: Served, tmp_path: Path) -> None:
    deployment = deploy(platform, adder)
    log, go = tmp_path / "calls.log", tmp_path / "go"
    answers: list[httpx.Response] = []
    body = split(a=[1.0], b=[2.0], log=[str(log)], until=[str(go)])
    long = threading.Thread(target=lambda: answers.append(call(deployment, body)))
    long.start()
    wait_for(log.exists, what="the long call to be under way")
    assert answer(deployment) == [3.0]
    assert not answers
    go.touch()
    long.join()
    assert [each.status_code for each in answers] == [200]


@pytest.fixture(scope="module")
def soon(own_platform: Platform) -> Platform:
    """A platform on which calls have six seconds: more than a good one takes on a busy machine."""
    own_platform.home.config_file.write_text("[service]\nprediction_seconds = 6.0\n")
    list(lifecycle.restart(own_platform.home, "service"))
    return own_platform


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hangs": 10_000}, "calls hang: the model has not answered one within 6 seconds"),
        ({"raises": "first line\nno such column"}, "calls fail: no such column"),
        ({"dies": True}, "calls end the replica: its process ended while the model answered"),
    ],
    ids=["hangs", "raises", "dies"],
)
def test_a_version_whose_first_calls_fail_goes_back_by_itself_and_says_why(
    soon: Platform, settings: dict[str, Any], said: str
) -> None:
    platform, project = soon, soon.new_project()
    good = register(platform, project, add=1)
    register(platform, project, good.version.model_name, **settings)
    deployment = deploy(platform, good)
    assert answer(deployment) == [4.0]
    update(platform, deployment, version=2)

    def gone_back() -> bool:
        with suppress(httpx.HTTPError):
            call(deployment)
        found = platform.ask(lambda client: client.deployment(deployment.id))
        return (found.version, found.state) == (1, "deployed")

    # One that dies loads its model anew before each call that ends it.
    wait_for(gone_back, what="the deployment to go back", timeout=2 * PATIENCE)
    assert answer(deployment) == [4.0]
    require_reason(platform, deployment, f"revision 2 (version 2) was rolled back: its first {said}")
    newest, failed, _ = platform.ask(lambda client: client.revisions(deployment.id))
    assert (newest.version, newest.comment) == (1, "went back by itself to revision 1")
    assert failed.state is RevisionState.FAILED and said in failed.error
    listed = platform.command("deployments", "list", "--json").stdout
    assert said in listed
    events = platform.events(action="deployment.roll-back", resource=deployment.id)
    assert any(said in str(event.detail) for event in events)


def test_the_list_says_the_last_line_of_why_calls_fail_where_nothing_served_before(soon: Platform) -> None:
    deployment = deploy(soon, register(soon, soon.new_project(), raises="first line\nno such column"))
    assert call(deployment).status_code == 400
    require_reason(soon, deployment, "calls fail: no such column")
    for _ in range(4):
        call(deployment)
    wait_for(
        lambda: "its first calls fail" in soon.ask(lambda client: client.revisions(deployment.id))[0].error,
        what="the revision to be known as failing",
    )
    assert soon.ask(lambda client: client.deployment(deployment.id)).state == "deployed"


def test_a_version_that_fails_over_its_example_is_rolled_back_with_the_last_line_of_the_cause(soon: Platform) -> None:
    project = soon.new_project()
    good = register(soon, project, add=1)
    example = split(a=[1.0], b=[2.0])
    register(soon, project, good.version.model_name, example=example, raises="first line\nno such column")
    register(soon, project, good.version.model_name, example=example, hangs=10_000)
    deployment = deploy(soon, good)
    for version, said in ((2, "own input example: no such column"), (3, "does not answer its input example within 6")):
        request = DeploymentUpdate(version=version)
        accepted = soon.call(RegistryClient.update_deployment, deployment.id, request)
        assert isinstance(accepted, Accepted)
        assert said in str(finish(soon, accepted.workflow, WorkflowStatus.FAILED).error)
    assert answer(deployment) == [4.0]


def test_a_followed_alias_whose_version_fails_is_not_rolled_out_again_until_it_moves(platform: Platform) -> None:
    project = platform.new_project()
    good = register(platform, project, add=1)
    registry, model = good.registry, good.version.model_id
    register(platform, project, good.version.model_name, raises="no such column")
    platform.ask(lambda client: client.set_alias(registry, model, "champion", 1))
    deployment = deploy(platform, good, version=None, alias="champion", follow_alias=True)
    assert answer(deployment) == [4.0]
    platform.ask(lambda client: client.set_alias(registry, model, "champion", 2))

    def gone_back() -> bool:
        call(deployment)
        found = platform.ask(lambda client: client.deployment(deployment.id))
        return (found.revision, found.version, found.state) == (3, 1, "deployed")

    wait_for(gone_back, what="the deployment to go back", timeout=2 * PATIENCE)
    # It still follows: the next move rolls, the version that failed did not.
    register(platform, project, good.version.model_name, add=5)
    platform.ask(lambda client: client.set_alias(registry, model, "champion", 3))
    wait_for(
        lambda: call(deployment).text == '{"predictions": [8.0]}', what="the deployment to follow", timeout=2 * PATIENCE
    )
    wanted = [(1, "replaced"), (2, "failed"), (1, "replaced")]

    def history() -> list[tuple[int, str]]:
        found = platform.ask(lambda client: client.revisions(deployment.id))
        return [(each.version, each.state.value) for each in found][1:]

    wait_for(lambda: history() == wanted, what=f"the history {wanted}")
