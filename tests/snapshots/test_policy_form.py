"""The form of a policy keeps values without a field, and shows the service's messages at its fields."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
from textual.widgets import Button, Input, Static

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.base import FieldProblem, Problem
from registry_tui.schemas.ranger import (
    PolicyCondition,
    PolicyItem,
    PolicyItemAccess,
    PolicyResource,
    RangerPolicy,
    ValiditySchedule,
)
from registry_tui.screens.ranger.conditions import ConditionForm
from registry_tui.screens.ranger.policy_form import PolicyForm
from support import scenes
from support.program import Driver
from support.recorded import Answer, Replay

WHOLE = RangerPolicy(
    id=7,
    guid="g",
    version=3,
    service="cm_s3",
    service_type="s3",
    name="everything",
    is_enabled=False,
    is_audit_enabled=False,
    policy_priority=1,
    description="first\nsecond",
    resources={
        "bucket": PolicyResource(values=["a, b", " c "], is_excludes=True),
        "path": PolicyResource(values=["x/*", "  ", "é模"], is_recursive=True),
    },
    additional_resources=[{"bucket": PolicyResource(values=["d"]), "path": PolicyResource(values=["*"])}],
    policy_items=[
        PolicyItem(
            users=["ana", "{USER}"],
            groups=["g, h"],
            roles=["r"],
            accesses=[PolicyItemAccess(type="delete"), PolicyItemAccess(type="other", is_allowed=False)],
            conditions=[PolicyCondition(type="ip-range", values=["10.*"])],
        ),
        PolicyItem(users=["ben"], delegate_admin=True),
    ],
    deny_policy_items=[PolicyItem(groups=["interns"], accesses=[PolicyItemAccess(type="write")])],
    allow_exceptions=[PolicyItem(users=["eve"], accesses=[PolicyItemAccess(type="read")])],
    deny_exceptions=[PolicyItem(roles=["lead"], accesses=[PolicyItemAccess(type="list")])],
    validity_schedules=[
        ValiditySchedule(start_time="2026/11/29 00:00:00", time_zone="Europe/Berlin", recurrences=[{"interval": 1}]),
        ValiditySchedule(end_time="2027/01/01 00:00:00"),
    ],
    policy_labels=["audit, 2026", "x"],
    is_deny_all_else=True,
    updated_by="ana",
)


class Answering(Replay):
    """Records requests that change something, and refuses them with these problems; without any they succeed."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers)
        self.sent: list[httpx.Request] = []
        self.problems: list[FieldProblem] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method not in ("PUT", "POST"):
            return await super().handle_async_request(request)
        await request.aread()
        self.sent.append(request)
        if not self.problems:
            return httpx.Response(200, content=request.content, headers={"Content-Type": "application/json"})
        problem = Problem(
            type="/problems/invalid-input",
            title="",
            status=422,
            detail="The policy is not valid",
            code="invalid-input",
            request_id="r",
            errors=self.problems,
        )
        return httpx.Response(422, json=problem.model_dump(mode="json"))


@asynccontextmanager
async def editing(answers: Mapping[str, Answer], policy: RangerPolicy) -> AsyncIterator[tuple[Driver, Answering]]:
    """The form of a policy, just opened."""
    service = Answering(answers)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(80, 24)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.policies(see)
        frame = see.screen
        form = PolicyForm(frame.service, frame.definition, policy)
        see.app.push_screen(form)
        await see.until(lambda: see.screen is form and form.query("#ok"), "the form")
        # The tests are about the sent request, also of an unchanged policy, which the form would not send.
        form._at_first = ()
        await see.until(lambda: not see.screen.query_one("#ok", Button).disabled, "the input")
        yield see, service


async def press_ok(see: Driver) -> None:
    button = see.screen.query_one("#ok", Button)
    # A button that was just pressed takes no other press for a moment.
    await see.until(lambda: not button.disabled and not button.has_class("-active"), "the button")
    button.focus()
    await see.until(lambda: see.app.focused is button, "the button")
    await see.press("enter")


async def saved(see: Driver, service: Answering) -> RangerPolicy:
    """The policy sent by a press of Save."""
    before = len(service.sent)
    await press_ok(see)
    await see.until(lambda: len(service.sent) > before, "the request")
    return RangerPolicy.model_validate_json(service.sent[-1].content)


async def test_a_policy_that_nobody_touched_is_sent_as_it_was(answers: Mapping[str, Answer]) -> None:
    async with editing(answers, WHOLE) as (see, service):
        assert await saved(see, service) == WHOLE
        assert service.sent[0].headers["If-Match"] == '"3"'
        assert service.sent[0].url.path == "/service/public/v2/api/policy/7"


async def test_a_condition_that_was_opened_and_confirmed_is_as_it_was(answers: Mapping[str, Answer]) -> None:
    async with editing(answers, WHOLE) as (see, service):
        form = see.screen
        for line in range(len(WHOLE.policy_items)):
            form.query_one("#conditions").highlighted = line
            await see.press("enter")
            await see.until(lambda: isinstance(see.screen, ConditionForm) and see.screen.query("#ok"), "the condition")
            await press_ok(see)
            await see.until(lambda: see.screen is form, "the form")
        assert await saved(see, service) == WHOLE


async def test_what_was_changed_is_sent_and_nothing_else(answers: Mapping[str, Answer]) -> None:
    async with editing(answers, WHOLE) as (see, service):
        form = see.screen
        form.query_one("#conditions").highlighted = 1
        await see.press("ctrl+d")
        form.query_one("#labels", Input).value = "new , two"
        form.query_one("#start", Input).value = ""
        form.query_one("#values-0").text = "  e\n\nf, g"
        form.query_one("#enabled").value = True
        buckets = WHOLE.resources["bucket"].model_copy(update={"values": ["e", "f, g"]})
        assert await saved(see, service) == WHOLE.model_copy(
            update={
                "is_enabled": True,
                "policy_items": WHOLE.policy_items[:1],
                "policy_labels": ["new", "two"],
                "resources": {**WHOLE.resources, "bucket": buckets},
                # A period without start and end has no effect.
                "validity_schedules": WHOLE.validity_schedules[1:],
            }
        )


@pytest.mark.parametrize(
    ("field", "place", "words"),
    [
        ("name", "name", "is taken"),
        ("resources.path", "values-1", "is taken"),
        ("policyItems.1.accesses", "conditions", "Allow, condition 2: is taken"),
        ("denyExceptions.0", "conditions", "Exclude from deny, condition 1: is taken"),
        ("policyItems", "conditions", "is taken"),
        ("validitySchedules.0.startTime", "start", "is taken"),
        ("validitySchedules.0.endTime", "end", "is taken"),
    ],
)
async def test_a_problem_stands_at_its_field_and_what_was_typed_stays(
    field: str, place: str, words: str, answers: Mapping[str, Answer]
) -> None:
    async with editing(answers, WHOLE) as (see, service):
        form = see.screen
        form.query_one("#labels", Input).value = "mine"
        service.problems = [FieldProblem(field=field, message="is taken")]
        sent = await saved(see, service)
        await see.until(lambda: form.query_one(f"#said-{place}", Static).display, "the problem")
        assert str(form.query_one(f"#said-{place}", Static).content) == words
        await see.until(lambda: see.app.focused is form.query_one(f"#{place}"), "the keys")
        assert [each.id for each in form.query(".said") if each.display] == [f"said-{place}"]
        assert "what is wrong stands below its field" in see.text
        service.problems = []
        assert await saved(see, service) == sent and sent.policy_labels == ["mine"]
        await see.at("policies")


async def test_a_problem_without_a_field_is_shown_with_its_reason(answers: Mapping[str, Answer]) -> None:
    async with editing(answers, WHOLE) as (see, service):
        service.problems = [FieldProblem(field="additionalResources.0.path", message="is too long")]
        await saved(see, service)
        await see.shows("The policy is not valid", "additionalResources.0.path: is too long")
        assert json.loads(service.sent[0].content)["name"] == WHOLE.name
