"""Every form that sends, opened and filled in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from registry_tui.screens.activity.deciding import Decide
from registry_tui.screens.admission.exception_forms import ChangeException, CreateException
from registry_tui.screens.admission.rules_form import SetRules
from registry_tui.screens.base.changing_experiments import CreateExperiment, RenameExperiment
from registry_tui.screens.base.form import Form
from registry_tui.screens.deployments.change_deployment import ChangeForm
from registry_tui.screens.deployments.deploy import DeployForm
from registry_tui.screens.deployments.key_limits import LimitKey
from registry_tui.screens.deployments.keys import NewKey
from registry_tui.screens.deployments.watching_forms import JudgeDrift, KeepRequests
from registry_tui.screens.known.card_form import CardForm
from registry_tui.screens.known.signing_forms import SignForm, TrustKey
from registry_tui.screens.models.ask_approval import AskApproval
from registry_tui.screens.models.edit_model import EditModel, EditVersion, SetAlias
from registry_tui.screens.models.exception_forms import LetThrough
from registry_tui.screens.models.profile_form import ProfileForm
from registry_tui.screens.models.promote import PromoteForm
from registry_tui.screens.models.register_model import RegisterModelForm
from registry_tui.screens.models.scan_form import ScanForm
from registry_tui.screens.models.stage_form import SetStage
from registry_tui.screens.models.verify import VerifyForm
from registry_tui.screens.people.changing_people import DeletePerson, PersonForm
from registry_tui.screens.people.giving_roles import GiveRoles
from registry_tui.screens.people.group import AddMember
from registry_tui.screens.people.groups import GroupForm
from registry_tui.screens.people.person import NewToken
from registry_tui.screens.places.attach_forms import AttachServer, ChangeServer
from registry_tui.screens.places.backend_form import ChangeBackend
from registry_tui.screens.places.collaborators import SetCollaborator
from registry_tui.screens.places.create_place import CreateEnvironment, CreateProject, CreateWorkspace
from registry_tui.screens.places.import_models import ImportModels
from registry_tui.screens.places.store_forms import ChangeStore
from registry_tui.screens.ranger.policy_form import PolicyForm
from registry_tui.screens.ranger.source_form import SourceForm
from registry_tui.screens.registries.create_registry import CreateRegistry
from registry_tui.screens.registries.idbroker import ManageAccess
from registry_tui.screens.registries.promotion_rules import SetPromotionRules
from registry_tui.screens.registries.registry_actions import Synchronize
from registry_tui.screens.registries.store_key import ChangeStoreKey
from registry_tui.screens.tracking.changing_runs import EditRuns
from registry_tui.screens.webhooks.webhook_forms import ChangeWebhook, CreateWebhook
from support.filled_models import (
    ask_approval,
    change_deployment,
    create_experiment,
    deploy,
    edit_model,
    edit_runs,
    edit_version,
    judge_drift,
    keep_requests,
    let_through,
    limit_key,
    make_profile,
    new_key,
    promote,
    register_model,
    rename_experiment,
    scan,
    set_alias,
    set_stage,
    sign,
    verify,
    write_card,
)
from support.filled_places import (
    add_member,
    attach_server,
    change_backend,
    change_exception,
    change_server,
    change_store,
    change_store_key,
    change_webhook,
    create_environment,
    create_exception,
    create_group,
    create_project,
    create_registry,
    create_user,
    create_webhook,
    create_workspace,
    decide,
    delete_user,
    give_roles,
    import_models,
    manage_access,
    new_token,
    policy_form,
    set_collaborator,
    set_promotion_rules,
    set_rules,
    source_form,
    synchronize,
    trust_key,
)
from support.program import Driver

#: Each form that asks the service for a change, and how it is opened and filled; `VerifyForm` sends by itself.
FORMS: dict[type[Form[Any]], Callable[[Driver], Awaitable[Form[Any]]]] = {
    CreateEnvironment: create_environment,
    ChangeStore: change_store,
    ChangeBackend: change_backend,
    ChangeStoreKey: change_store_key,
    AttachServer: attach_server,
    ChangeServer: change_server,
    CreateWorkspace: create_workspace,
    CreateProject: create_project,
    ImportModels: import_models,
    CreateExperiment: create_experiment,
    RenameExperiment: rename_experiment,
    EditRuns: edit_runs,
    CreateRegistry: create_registry,
    SetCollaborator: set_collaborator,
    NewKey: new_key,
    LimitKey: limit_key,
    RegisterModelForm: register_model,
    DeployForm: deploy,
    ChangeForm: change_deployment,
    KeepRequests: keep_requests,
    JudgeDrift: judge_drift,
    EditModel: edit_model,
    EditVersion: edit_version,
    PromoteForm: promote,
    SetAlias: set_alias,
    AskApproval: ask_approval,
    Decide: decide,
    SetStage: set_stage,
    ScanForm: scan,
    ProfileForm: make_profile,
    SetPromotionRules: set_promotion_rules,
    SetRules: set_rules,
    LetThrough: let_through,
    CreateException: create_exception,
    ChangeException: change_exception,
    SignForm: sign,
    TrustKey: trust_key,
    CardForm: write_card,
    CreateWebhook: create_webhook,
    ChangeWebhook: change_webhook,
    ManageAccess: manage_access,
    PolicyForm: policy_form,
    SourceForm: source_form,
    PersonForm: create_user,
    DeletePerson: delete_user,
    NewToken: new_token,
    GroupForm: create_group,
    AddMember: add_member,
    GiveRoles: give_roles,
    VerifyForm: verify,
    Synchronize: synchronize,
}
