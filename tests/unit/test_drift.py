"""Drift of a deployment: its logged requests against the profile, windows, and when events and webhooks report it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import select

from registry_tui.cli import drift as drift_command
from registry_tui.contracts import profiles
from registry_tui.contracts.request_columns import MASK
from registry_tui.schemas.drift import Drift, DriftRules, ProfileChange, ProfiledColumn, Side
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import (
    DeploymentRow,
    EventRow,
    VersionProfileRow,
    WebhookDeliveryRow,
    WebhookRow,
)
from registry_tui.service.deployments import drift
from registry_tui.service.errors import NotPermitted
from registry_tui.service.models import profiles as kept_profiles
from registry_tui.service.webhooks import deliveries
from support.bare import bare_service, make_place, set_roles

TASTER = "prod-deployment"
TRAINED = [float(number % 100) for number in range(1000)]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with bare_service(tmp_path) as made:
        made.database.committing.append(deliveries.note)
        identity.ensure_user(made, "ann")
        make_place(made, "prod")
        with made.database.session() as session:
            row = session.get_one(DeploymentRow, TASTER)
            row.state, row.revision = "deployed", 1
        yield made


@pytest.fixture
def owner(service: Service) -> Principal:
    return identity.owner_principal(service)


def column(name: str, values: Sequence[object], side: Side = Side.INPUT) -> ProfiledColumn:
    found = profiles.profile(name, values)
    assert found is not None
    return ProfiledColumn.model_validate({"side": side, **found.to_json()})


def keep_profile(service: Service) -> None:
    columns = [
        column("age", TRAINED),
        column("city", ["rome", "oslo"] * 500),
        column("predictions", TRAINED, Side.OUTPUT),
    ]
    change = ProfileChange(source="train.csv", rows=1000, columns=columns)
    with service.database.session() as session:
        session.add(
            VersionProfileRow(
                version_id="v",
                registry_id="prod-registry",
                model_id="m",
                document=change.model_dump(mode="json"),
                author="ann",
            )
        )


def ask(service: Service, name: str, ages: Sequence[float], *, ago: float = 60.0, city: str = "rome") -> None:
    """Requests of one row each, as the gateway keeps them, a tenth of a second apart."""
    folder = service.home.request_logs / TASTER
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, age in enumerate(ages):
        record = {
            "at": time.time() - ago + number / 1000,
            "id": f"{name}-{number}",
            "path": "invocations",
            "status": 200,
            "seconds": 0.01,
            "replica": "r",
            "rows": 1,
            "inputs": {"age": [age], "city": [MASK if number == 0 else city], "new": [1]},
            "outputs": {"predictions": [age]},
        }
        lines.append(json.dumps(record) + "\n")
    (folder / f"{name}.jsonl").write_text("".join(lines))


def by_name(found: Drift) -> dict[str, bool]:
    return {f"{each.side.value} {each.name}": each.drifted for each in found.columns}


def test_columns_are_compared_and_judged(service: Service, owner: Principal) -> None:
    assert "has no profile" in drift.get_drift(service, owner, TASTER).problem
    keep_profile(service)
    assert drift.get_drift(service, owner, TASTER).problem == "no requests are kept"
    ask(service, "a", TRAINED[:400], city="oslo")
    found = drift.get_drift(service, owner, TASTER)
    assert (found.problem, found.requests, found.rows, found.unknown) == ("", 400, 400, ["input new"])
    assert by_name(found) == {"input city": True, "input age": False, "output predictions": False}
    city = found.columns[0]
    # The masked value does not count; all others are oslo.
    assert (city.count, city.labels, city.actual) == (399, ["oslo", "rome", "(others)"], [1.0, 0.0, 0.0])
    assert city.ks is None and city.psi == pytest.approx(
        profiles.population_stability_index(city.expected, city.actual)
    )
    later = [each + 60 for each in TRAINED[:400]]
    ask(service, "b", later, ago=30.0)
    both = drift.get_drift(service, owner, TASTER, {"requests": 400})
    assert both.requests == 400 and both.since is not None and both.until is not None and both.since < both.until
    assert by_name(both)["input age"] and by_name(both)["output predictions"]
    age = next(each for each in both.columns if each.name == "age")
    assert age.ks == pytest.approx(profiles.ks_statistic(sorted(TRAINED), sorted(later)))
    assert age.p_value is not None and age.p_value < 1e-6
    # Other bounds and windows for this once.
    assert not drift.get_drift(service, owner, TASTER, {"requests": 400, "max_psi": 99.0}).drifted
    ks = drift.get_drift(service, owner, TASTER, {"requests": 400, "max_psi": 99.0, "max_ks": 0.3})
    assert {each.name for each in ks.drifted} == {"age", "predictions"}
    few = drift.get_drift(service, owner, TASTER, {"min_rows": 801})
    assert few.problem == "800 rows in the window, and 801 are needed" and not few.drifted
    assert drift.get_drift(service, owner, TASTER, {"hours": 0.001}).requests == 0


def test_a_window_is_judged_in_parts_that_follow_each_other(service: Service, owner: Principal) -> None:
    keep_profile(service)
    ask(service, "a", TRAINED[:300])
    ask(service, "b", [each + 60 for each in TRAINED[:150]], ago=30.0)
    found = drift.get_drift(service, owner, TASTER)
    assert sum(each.rows for each in found.slices) == 450 and len(found.slices) == 4
    assert all(each.rows >= found.rules.min_rows for each in found.slices)
    assert found.slices == sorted(found.slices, key=lambda each: each.until)
    age = next(each for each in found.columns if each.name == "age")
    first, *_, last = age.psi_by_slice
    assert first is not None and last is not None and first < 0.25 < last
    # One part is the window itself.
    assert drift.get_drift(service, owner, TASTER, {"min_rows": 300}).slices == []


def test_requests_without_the_columns_are_said_to_be_so(
    service: Service, owner: Principal, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_profile(service)
    folder = service.home.request_logs / TASTER
    folder.mkdir(parents=True)
    chat = {"turns": [2], "characters": [24], "content": ["Hello"]}
    records: list[dict[str, object]] = [
        {"inputs": chat, "outputs": {"characters": [5]}},
        {"inputs": chat, "note": "it was answered in pieces"},
        {"note": "its tensors are not columns of values"},
    ]
    (folder / "a.jsonl").write_text(
        "".join(json.dumps({"at": time.time() - 9, "id": str(at), **each}) + "\n" for at, each in enumerate(records))
    )
    found = drift.get_drift(service, owner, TASTER, {"min_rows": 1})
    assert found.problem == "none of the columns of train.csv is in the requests" and not found.drifted
    assert "input characters" in found.unknown
    assert {(each.why, each.requests) for each in found.not_compared} == {
        ("it was answered in pieces", 1),
        ("its tensors are not columns of values", 1),
    }
    drift_command._print(found, as_json=False)
    said = capsys.readouterr().err
    assert "Not compared: " in said
    assert "1 request: it was answered in pieces" in said and "1 request: its tensors are not columns" in said


def test_who_sees_drift(service: Service) -> None:
    contributor = set_roles(service, "bob", "prod", "MLUser", project="contributor")
    with pytest.raises(NotPermitted):
        drift.get_drift(service, contributor, TASTER)
    with pytest.raises(NotPermitted):
        drift.set_rules(service, contributor, TASTER, DriftRules())
    admin = set_roles(service, "eve", "prod", "MLUser", project="admin")
    rules = DriftRules(max_psi=0.1, hours=2)
    assert drift.set_rules(service, admin, TASTER, rules).rules == rules
    assert drift.get_drift(service, admin, TASTER, {"hours": 1.0}).rules == rules.model_copy(update={"hours": 1.0})


def told(service: Service) -> list[tuple[str, str]]:
    with service.database.reading() as session:
        rows = session.scalars(select(EventRow).where(EventRow.action == "deployment.drift").order_by(EventRow.id))
        return [(row.outcome, row.detail) for row in rows]


def test_beginning_and_end_of_drift_are_told_once(service: Service, owner: Principal) -> None:
    keep_profile(service)
    with service.database.session() as session:
        session.add(
            WebhookRow(
                name="w",
                environment_id="prod",
                url="https://hooks.example",
                events=["deployment.*"],
                creator="ann",
                creator_crn="ann",
                secret="s",
            )
        )
    ask(service, "a", [each + 90 for each in TRAINED[:400]])
    assert not drift.watch(service)
    assert told(service) == []  # nobody asked for it
    drift.set_rules(service, owner, TASTER, DriftRules(watch=True))
    for _ in range(3):
        assert drift.watch(service)
    ((outcome, detail),) = told(service)
    assert outcome == "failed"
    assert detail.startswith("version 1 drifts from train.csv: input age: PSI ") and "400 rows of 400" in detail
    ask(service, "a", TRAINED[:400])
    ask(service, "b", TRAINED[:400], city="oslo", ago=59.0)
    for _ in range(2):
        drift.watch(service)
    assert [each for each, _ in told(service)] == ["failed", "succeeded"]
    with service.database.reading() as session:
        types = session.scalars(select(WebhookDeliveryRow.type).order_by(WebhookDeliveryRow.number)).all()
    assert [each for each in types if "drift" in each] == ["deployment.drifted", "deployment.drift_ended"]


def test_profiles_go_with_their_versions(service: Service) -> None:
    keep_profile(service)
    with service.database.session() as session:
        kept_profiles.forget(session, "other", None)
        assert kept_profiles.profile_of(session, "v") is not None
        kept_profiles.forget(session, "m", "v")
        assert kept_profiles.profile_of(session, "v") is None
