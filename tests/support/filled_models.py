"""Forms about runs, models, deployments and keys, opened and filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from registry_tui.schemas.cards import ModelCard
from registry_tui.schemas.deployments import ApiKey
from registry_tui.schemas.drift import DriftRules
from registry_tui.schemas.promotion import PromotionRules
from registry_tui.schemas.request_log import RequestLogRules
from registry_tui.schemas.scans import Verdict, VersionScan
from registry_tui.schemas.stages import Stage
from registry_tui.screens.base.changing_experiments import CreateExperiment, RenameExperiment
from registry_tui.screens.base.form import Form
from registry_tui.screens.deployments.change_deployment import ChangeForm
from registry_tui.screens.deployments.deploy import DeployForm
from registry_tui.screens.deployments.key_limits import LimitKey
from registry_tui.screens.deployments.keys import NewKey
from registry_tui.screens.deployments.watching_forms import JudgeDrift, KeepRequests
from registry_tui.screens.known.card_form import CardForm
from registry_tui.screens.known.signing_forms import SignForm
from registry_tui.screens.models.ask_approval import AskApproval
from registry_tui.screens.models.edit_model import EditModel, EditVersion, SetAlias
from registry_tui.screens.models.exception_forms import LetThrough
from registry_tui.screens.models.profile_form import ProfileForm
from registry_tui.screens.models.promote import PromoteForm
from registry_tui.screens.models.register_model import RegisterModelForm
from registry_tui.screens.models.scan_form import ScanForm
from registry_tui.screens.models.stage_form import SetStage
from registry_tui.screens.models.verify import VerifyForm
from registry_tui.screens.tracking.changing_runs import EditRuns
from support import scenes
from support.program import Driver
from support.sending import opened, the_project, the_version

#: Rows to make a profile from.
PAIRS = Path(__file__).resolve().parent.parent / "snapshots" / "pairs.csv"


async def create_experiment(see: Driver) -> Form[Any]:
    form = CreateExperiment(scenes.PROJECT)
    await opened(see, form, name="berlin")
    return form


async def rename_experiment(see: Driver) -> Form[Any]:
    await scenes.project(see)
    form = RenameExperiment(scenes.PROJECT, see.screen.current)
    await opened(see, form, name="berlin")
    return form


async def edit_runs(see: Driver) -> Form[Any]:
    await scenes.experiment(see)
    form = EditRuns(scenes.PROJECT, [see.screen.table.current])
    await opened(see, form, name="berlin")
    return form


async def new_key(see: Driver) -> Form[Any]:
    form = NewKey()
    await opened(see, form, name="ci")
    return form


async def limit_key(see: Driver) -> Form[Any]:
    moment = datetime(2026, 11, 29, tzinfo=UTC)
    form = LimitKey(ApiKey(id="k", name="ci", owner="ada", created_at=moment, expires_at=moment))
    await opened(see, form, **{"per-second": "5", "per-day": "1000"})
    return form


async def register_model(see: Driver) -> Form[Any]:
    project = await the_project(see)
    await scenes.run(see)
    form = RegisterModelForm(project, see.screen.run, "model")
    form.names.found["New"] = None
    await opened(see, form, name="New")
    return form


async def deploy(see: Driver) -> Form[Any]:
    project = await the_project(see)
    model, version = await the_version(see)
    form = DeployForm(project, model, version.version)
    await opened(see, form, name="wine-api", memory="300M")
    return form


async def change_deployment(see: Driver) -> Form[Any]:
    await scenes.deployments(see)
    form = ChangeForm(see.screen.current, [])
    await opened(see, form, replicas="3")
    return form


async def keep_requests(see: Driver) -> Form[Any]:
    await scenes.deployments(see)
    form = KeepRequests(see.screen.current.id, see.screen.current.name, RequestLogRules(share=0.0))
    await opened(see, form, share="5%", mask="email, phone")
    return form


async def judge_drift(see: Driver) -> Form[Any]:
    await scenes.deployments(see)
    form = JudgeDrift(see.screen.current.id, see.screen.current.name, DriftRules())
    await opened(see, form, hours="6")
    return form


async def edit_model(see: Driver) -> Form[Any]:
    model, _ = await the_version(see)
    form = EditModel(model)
    await opened(see, form, owner="grace")
    return form


async def edit_version(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = EditVersion(version)
    await opened(see, form, tags="a=b")
    return form


async def promote(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = PromoteForm(version)
    await opened(see, form, to="registry-azure")
    return form


async def set_alias(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = SetAlias(version)
    await opened(see, form, alias="brand-new")
    return form


async def verify(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = VerifyForm(version)
    see.app.push_screen(form)
    await see.until(lambda: form.is_attached and form.busy, "the form")
    return form


async def ask_approval(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = AskApproval(version)
    await opened(see, form, comment="better on all slices")
    return form


async def set_stage(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = SetStage(version, list(Stage), PromotionRules(), ())
    await opened(see, form, comment="released")
    return form


async def make_profile(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = ProfileForm(version, None)
    await opened(see, form, file=str(PAIRS), target="quality")
    return form


async def scan(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = ScanForm(version, VersionScan(version_id=version.id, verdict=Verdict.UNKNOWN, reason="weights.bin"))
    see.app.push_screen(form)
    await see.until(lambda: form.is_attached and form.query("#ok"), "the form")
    form.query_one("#ok").focus()
    return form


async def let_through(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    found = await see.app.client.check_rules(scenes.REGISTRY, scenes.MODEL, version.version)
    form = LetThrough(version, found)
    await opened(see, form, reason="Ticket 12")
    return form


async def sign(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = SignForm(version, scenes.ENVIRONMENT)
    await opened(see, form, file="")
    return form


async def write_card(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = CardForm(version, ModelCard(version_id=version.id, number=1, text="# Wine"))
    await opened(see, form, text="# Wine\n\nFor tests alone.")
    form.query_one("#ok").focus()
    return form
