"""Places of environments' own stores: whose archives are where, and the errors when the store is missing."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from registry_tui.schemas.places import EnvironmentCreate
from registry_tui.schemas.stores import DirectoryAddress, DirectoryStore, StoreChange
from registry_tui.service.core import identity, own_stores, store_checks
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.own_stores import MARK, archives_folder
from registry_tui.service.core.store_checks import _Checks
from registry_tui.service.database.tables import RegistryRow
from registry_tui.service.errors import AlreadyThere, InUse, InvalidInput, Missing, PartUnavailable, WrongState
from registry_tui.service.places import environments
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.registries.views import to_schema
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.bucket_files import StoreFolder
from registry_tui.service.stores.directory import Directory
from support.bare import bare_service
from support.platforms import PATIENCE


class Objects:
    """The embedded store, whose buckets hold nothing."""

    def create_bucket(self, bucket: str) -> None: ...

    def delete_bucket(self, bucket: str) -> None: ...

    def put_bucket_policy(self, bucket: str, statements: Sequence[Mapping[str, Any]]) -> None: ...

    def bucket_holds_objects(self, bucket: str) -> bool:
        return False


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    stores: Any = SimpleNamespace(objects=Objects())
    ports: Any = SimpleNamespace(s3_endpoint="http://127.0.0.1:1")
    (tmp_path / "home").mkdir()
    with bare_service(tmp_path / "home", stores=stores, ports=ports) as made:
        yield made


def owner(service: Service) -> Principal:
    row = identity.ensure_user(service, identity.owner_name(service))
    return Principal(row.name, row.crn, "request", administrator=True)


def bring(service: Service, name: str, path: Path) -> str:
    """The ID of a new environment whose archives lie in a directory."""
    path.mkdir(parents=True, exist_ok=True)
    store = DirectoryStore(address=DirectoryAddress(path=str(path)))
    request = EnvironmentCreate(name=name, store=store)
    return environments.create_environment(service, owner(service), request).id


def add_registry(service: Service, environment: str) -> RegistryPlace:
    """The place of a new registry of an environment."""
    with service.database.session() as session:
        values = dict.fromkeys(
            ("name", "crn", "location", "owner", "creator", "mlflow_workspace", "version"), f"registry-{environment}"
        )
        keys = {"machine_user_access_key_id": "id", "machine_user_secret_access_key": "secret"}
        row = RegistryRow(
            **values,
            **keys,
            status="installation:finished",
            environment_id=environment,
            prefix=archives_folder(session, environment),
        )
        session.add(row)
        session.flush()
        id_ = row.id
    return enter_registry(service, id_)


def test_an_embedded_store_keeps_the_folder_that_it_had(service: Service) -> None:
    made = environments.create_environment(service, owner(service), EnvironmentCreate(name="lab"))
    with service.database.reading() as session:
        assert archives_folder(session, made.id) == "modelregistry"


def test_a_registry_deletes_its_own_archives_alone(service: Service, tmp_path: Path) -> None:
    """Not those of somebody else in a folder `modelregistry`, nor those of a place below its own."""
    others = tmp_path / "store" / "modelregistry" / "m" / "v" / "manifest.json"
    others.parent.mkdir(parents=True)
    others.write_bytes(b"{}")
    place = add_registry(service, bring(service, "prod", tmp_path / "store"))
    archive = place.archive(service, "m", "v")
    assert isinstance(archive, StoreFolder)
    archive.store.put(archive.key("manifest.json"), b"{}")
    assert [each.key for each in place.listing(service)] == ["m/v/manifest.json"]
    assert place.delete_below(service).objects == 1
    assert others.read_bytes() == b"{}"
    assert list(place.listing(service)) == []


def test_no_place_lies_in_the_archives_of_another(service: Service, tmp_path: Path) -> None:
    folder = "modelregistry-0d3f2a4c-5b6d-4e7f-8a9b-0c1d2e3f4a5b"
    for place in (tmp_path / folder, tmp_path / folder / "below"):
        with pytest.raises(AlreadyThere, match="lies in an environment's archives"):
            bring(service, "inner", place)


def test_a_directory_is_the_same_under_another_name(service: Service, tmp_path: Path) -> None:
    bring(service, "first", tmp_path / "store")
    (tmp_path / "link").symlink_to(tmp_path / "store")
    for place in (tmp_path / "link", tmp_path / "store" / ".." / "store"):
        with pytest.raises(AlreadyThere, match="archives of environment first"):
            bring(service, "second", place)


def test_an_empty_folder_under_a_missing_mount_is_not_taken_for_the_store(service: Service, tmp_path: Path) -> None:
    """Nothing is found missing there, deleted or stored before it is back."""
    store = tmp_path / "store"
    place = add_registry(service, bring(service, "prod", store))
    archive = place.archive(service, "m", "v")
    assert isinstance(archive, StoreFolder)
    archive.store.put(archive.key("manifest.json"), b"{}")
    store.rename(tmp_path / "elsewhere")
    store.mkdir()
    for act in (
        lambda: place.archive(service, "m", "v"),
        lambda: list(place.listing(service)),
        lambda: place.holds(service, "m/v/manifest.json"),
        lambda: place.delete_below(service),
        lambda: place.require_store(service),
    ):
        with pytest.raises(PartUnavailable, match="is missing"):
            act()
    store.rmdir()
    (tmp_path / "elsewhere").rename(store)
    assert place.holds(service, "m/v/manifest.json")


def test_a_list_that_ends_because_the_mount_went_is_not_taken_for_whole(service: Service, tmp_path: Path) -> None:
    store = tmp_path / "store"
    place = add_registry(service, bring(service, "prod", store))
    found = place.listing(service)
    shutil.rmtree(store)
    store.mkdir()
    with pytest.raises(PartUnavailable):
        list(found)


def test_the_store_of_another_environment_is_not_used(service: Service, tmp_path: Path) -> None:
    place = add_registry(service, bring(service, "prod", tmp_path / "store"))
    (tmp_path / "store" / MARK).write_text('{"environment_id": "another"}', encoding="utf-8")
    with pytest.raises(WrongState, match="names another environment"):
        place.delete_below(service)


def test_an_environment_with_kept_archives_in_its_own_store_is_not_deleted(service: Service, tmp_path: Path) -> None:
    store = tmp_path / "store"
    id_ = bring(service, "prod", store)
    (store / "somebody-s.txt").write_bytes(b"1")
    kept = store / f"modelregistry-{id_}" / "m" / "v" / "manifest.json"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"{}")
    with pytest.raises(InUse, match="archives that were kept"):
        environments.delete_environment(service, owner(service), id_)
    assert (store / MARK).exists()
    kept.unlink()
    environments.delete_environment(service, owner(service), id_)
    assert not (store / MARK).exists()


def test_a_store_of_an_environment_that_goes_meanwhile_cannot_be_changed(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DirectoryStore(address=DirectoryAddress(path=str(tmp_path / "store")))
    id_ = bring(service, "prod", tmp_path / "store")

    def look(bucket: Bucket, environment_id: str) -> None:
        environments.delete_environment(service, owner(service), id_)

    monkeypatch.setattr(own_stores, "require_claimed", look)
    with pytest.raises(Missing, match="deleted meanwhile"):
        environments.change_store(service, owner(service), id_, StoreChange(store=store))


def test_a_registry_is_shown_with_the_place_where_its_archives_lie(service: Service, tmp_path: Path) -> None:
    own = bring(service, "prod", tmp_path / "store")
    embedded = environments.create_environment(service, owner(service), EnvironmentCreate(name="lab")).id
    places = {id_: add_registry(service, id_) for id_ in (own, embedded)}
    with service.database.reading() as session:
        shown = {id_: to_schema(service, session, session.get_one(RegistryRow, p.id)) for id_, p in places.items()}
    assert shown[own].archives == places[own].uri(service) == f"file://{tmp_path}/store/modelregistry-{own}/"
    assert shown[own].archives_at == ""
    assert shown[embedded].archives == places[embedded].uri(service)
    assert shown[embedded].archives_at == "http://127.0.0.1:1"


def _unopened(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets no store be opened any more, as when its profile or its extra is removed."""

    def refuse(_: object) -> Bucket:
        raise InvalidInput("There is no profile models")

    monkeypatch.setattr(own_stores, "open_store", refuse)
    service.kept.of(own_stores._Opened).known.clear()


def test_a_store_that_cannot_be_opened_has_its_address_still(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = add_registry(service, bring(service, "prod", tmp_path / "models"))
    before = place.uri(service)
    _unopened(service, monkeypatch)
    assert place.uri(service) == before
    with pytest.raises(InvalidInput, match="no profile models"):
        place.delete_below(service)


def test_an_environment_goes_although_its_store_cannot_be_opened(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bring(service, "prod", tmp_path / "models")
    _unopened(service, monkeypatch)
    environments.delete_environment(service, owner(service), made)
    assert environments.list_environments(service, owner(service)).items == []


def test_an_environment_goes_although_its_store_never_answers(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, gone_on = bring(service, "prod", tmp_path / "models"), threading.Event()
    monkeypatch.setattr(own_stores, "_PATIENCE", 0.05)
    for name in ("read", "list", "delete"):
        monkeypatch.setattr(Directory, name, lambda *_, **__: gone_on.wait(PATIENCE))
    try:
        environments.delete_environment(service, owner(service), made)
        assert environments.list_environments(service, owner(service)).items == []
    finally:
        gone_on.set()


def test_a_trial_that_ends_after_its_environment_went_leaves_nothing(service: Service, tmp_path: Path) -> None:
    made, known = bring(service, "prod", tmp_path / "store"), service.kept.of(_Checks).known
    assert set(known) == {made}
    environments.delete_environment(service, owner(service), made)
    assert not known
    # A trial that began before the deletion ends now.
    store_checks.note(service, made, 1, [])
    assert not known
