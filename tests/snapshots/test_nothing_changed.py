"""A form that begins with the present values sends nothing while they are unchanged, and shows this."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from textual.widgets import Static

from registry_tui.schemas.people import Group
from registry_tui.schemas.places import Collaborator, Role
from registry_tui.schemas.promotion import PromotionRules
from registry_tui.schemas.request_log import RequestLogRules
from registry_tui.schemas.stores import EnvironmentStore, SignsIn
from registry_tui.screens.admission.exception_forms import ChangeException
from registry_tui.screens.admission.rules_form import SetRules
from registry_tui.screens.base.changing_experiments import RenameExperiment
from registry_tui.screens.base.form import Form
from registry_tui.screens.deployments.change_deployment import ChangeForm
from registry_tui.screens.deployments.key_limits import LimitKey
from registry_tui.screens.deployments.watching_forms import JudgeDrift, KeepRequests
from registry_tui.screens.known.card_form import CardForm
from registry_tui.screens.models.edit_model import EditModel, EditVersion
from registry_tui.screens.models.stage_form import SetStage
from registry_tui.screens.people.changing_people import PersonForm
from registry_tui.screens.people.giving_roles import GiveRoles
from registry_tui.screens.people.groups import GroupForm
from registry_tui.screens.places.attach_forms import ChangeServer
from registry_tui.screens.places.backend_form import ChangeBackend
from registry_tui.screens.places.collaborators import SetCollaborator
from registry_tui.screens.places.store_forms import ChangeStore
from registry_tui.screens.ranger.policy_form import PolicyForm
from registry_tui.screens.registries.promotion_rules import SetPromotionRules
from registry_tui.screens.tracking.changing_runs import EditRuns
from registry_tui.screens.webhooks.webhook_forms import ChangeWebhook
from support import filled_models, filled_places, scenes
from support.filled_forms import FORMS
from support.program import Driver
from support.recorded import Answer
from support.sending import opened, program, the_project

pytestmark = pytest.mark.slow


async def change_user(see: Driver) -> Form[Any]:
    form = PersonForm(await see.app.client.user(scenes.USER))
    await opened(see, form, full="Grace H.")
    return form


async def change_group(see: Driver) -> Form[Any]:
    moment = datetime(2026, 11, 29, tzinfo=UTC)
    form = GroupForm(Group(name="night-shift", id="g", description="", creator="ada", created_at=moment))
    await opened(see, form, description="at night")
    return form


async def change_reachable_store(see: Driver) -> Form[Any]:
    """One whose access needs no secret to be typed."""
    (environment,) = (await see.app.client.environments(page_size=1000)).items[:1]
    known = EnvironmentStore(kind="s3", uri="s3://acme-models/registry/", signs_in=SignsIn.MACHINE)
    form = ChangeStore(environment.model_copy(update={"store": known}))
    await opened(see, form)
    return form


async def change_role(see: Driver) -> Form[Any]:
    form = SetCollaborator(await the_project(see), Collaborator(user="ada", role=Role.VIEWER))
    await opened(see, form)
    return form


async def change_roles(see: Driver) -> Form[Any]:
    form = GiveRoles(scenes.ENVIRONMENT, (), user="ada")
    await opened(see, form)
    return form


async def change_kept_requests(see: Driver) -> Form[Any]:
    await scenes.deployments(see)
    form = KeepRequests(see.screen.current.id, see.screen.current.name, RequestLogRules(share=0.05))
    await opened(see, form, share="6%")
    return form


async def change_promotion_rules(see: Driver) -> Form[Any]:
    await scenes.registry(see)
    form = SetPromotionRules(see.screen.registry, PromotionRules())
    await opened(see, form)
    return form


#: Each form that begins with the present values, and how it is opened.
EDITING: dict[type[Form[Any]], Callable[[Driver], Awaitable[Form[Any]]]] = {
    **{
        each: FORMS[each]
        for each in (
            CardForm,
            ChangeBackend,
            ChangeException,
            ChangeForm,
            ChangeServer,
            ChangeWebhook,
            EditModel,
            EditRuns,
            EditVersion,
            JudgeDrift,
            LimitKey,
            PolicyForm,
            RenameExperiment,
            SetRules,
            SetStage,
        )
    },
    ChangeStore: change_reachable_store,
    GiveRoles: change_roles,
    GroupForm: change_group,
    KeepRequests: change_kept_requests,
    PersonForm: change_user,
    SetCollaborator: change_role,
    SetPromotionRules: change_promotion_rules,
}
#: The others: they make something, or OK does something where nothing is typed (fetching policies, synchronizing).
NOT_EDITING = {
    "AddMember",
    "AskApproval",
    "AttachServer",
    "ChangeStoreKey",
    "CreateEnvironment",
    "CreateException",
    "CreateExperiment",
    "CreateProject",
    "CreateRegistry",
    "CreateWebhook",
    "CreateWorkspace",
    "Decide",
    "DeletePerson",
    "DeployForm",
    "ImportModels",
    "LetThrough",
    "ManageAccess",
    "NewKey",
    "NewToken",
    "ProfileForm",
    "PromoteForm",
    "RegisterModelForm",
    "ScanForm",
    "SetAlias",
    "SignForm",
    "SourceForm",
    "Synchronize",
    "TrustKey",
    "VerifyForm",
}


def problem(form: Form[Any]) -> str:
    """The complaint that a form shows, empty if none."""
    line = form.query_one("#problem", Static)
    return str(line.render()) if line.display else ""


def test_every_form_is_known_to_edit_or_not() -> None:
    assert {kind.__name__ for kind in FORMS.keys() - EDITING.keys()} == NOT_EDITING and EDITING.keys() <= FORMS.keys()


@pytest.mark.parametrize("kind", EDITING, ids=lambda kind: kind.__name__)
async def test_a_form_in_which_nothing_is_changed_says_so_and_sends_nothing(
    kind: type[Form[Any]], answers: Mapping[str, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def untouched(see: Driver, form: Form[Any], **_: str) -> None:
        see.app.push_screen(form)
        await see.until(lambda: form.is_attached and form.query("#ok"), "the form")

    for module in (sys.modules[__name__], filled_models, filled_places):
        monkeypatch.setattr(module, "opened", untouched)
    async with program(answers) as (see, held):
        form = await EDITING[kind](see)
        await see.until(lambda: form.problem_of() is None, "what is now")
        form.query_one("#ok").focus()
        await see.press("enter")
        await see.until(lambda: "Nothing is changed" in problem(form), "that nothing is changed")
        await see.press("ctrl+o")
        await see.until(lambda: "not copied: nothing is changed" in problem(form), "that nothing is copied")
        assert not held.sent and not form.busy and see.screen is form
