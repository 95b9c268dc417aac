"""The facts of a version for rules, each read once and only when needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from registry_tui.contracts import file_paths
from registry_tui.schemas.admission import Purpose
from registry_tui.schemas.cards import ModelCard
from registry_tui.schemas.models import ModelVersion, RegisteredModel, VersionStatus
from registry_tui.schemas.scans import ScanVerdict
from registry_tui.schemas.signatures import CheckedSignature
from registry_tui.service.adapters.mlflow_words import metric_value
from registry_tui.service.core import ml_model, packages
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.packages import Wanted
from registry_tui.service.errors import Missing, WrongState
from registry_tui.service.models import cards, scans, versions
from registry_tui.service.promotion import approvals
from registry_tui.service.registries.place import RegistryPlace
from registry_tui.service.signing import archives as signing
from registry_tui.service.stores import bucket_files
from registry_tui.service.stores.archives import FILES
from registry_tui.service.tracking.project import enter_project
from registry_tui.service.tracking.runs import fetch_run

#: Bytes of the largest requirements file that is read.
_MAX_FILE = 4 << 20


class VersionFacts:
    """The facts of one version. Reading a fact raises PartUnavailable when a part does not respond."""

    def __init__(
        self,
        service: Service,
        principal: Principal,
        place: RegistryPlace,
        model: RegisteredModel,
        version: ModelVersion,
        into: tuple[RegistryPlace, RegisteredModel | None] | None = None,
        target: RegistryPlace | None = None,
    ) -> None:
        """`into`: the registry that the version is promoted to, and the model there; then its aliases are meant.

        `target`: one of the same environment.
        """
        self.service = service
        self.place = place
        self.model = model
        self.version = version
        self._compared = (place, model) if into is None else into
        #: The registry that the version is promoted to.
        self.target = target if into is None else into[0]
        # Rules concern the version; the person may lack rights in the project that it comes from.
        self._anybody = replace(principal, administrator=True)

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """The values of its `MLmodel` file; empty while it has no archive."""
        content = self.file(ml_model.MODEL_FILE)
        return {} if content is None else ml_model.read(content)

    @cached_property
    def requirements(self) -> list[Wanted] | None:
        """The packages that it requires; None if not stated."""
        return packages.read(self.file)

    @cached_property
    def metrics(self) -> Mapping[str, float] | None:
        """The last values of its run's metrics; None if the run is deleted or was not named."""
        origin = self.version.origin
        if origin.run_id is None or origin.project_id is None:
            return None
        try:
            place = enter_project(self.service, self._anybody, origin.project_id)
            run = fetch_run(self.service, place, origin.run_id)
        except Missing:
            return None
        return {each["key"]: metric_value(each.get("value", 0.0)) for each in run.get("data", {}).get("metrics", ())}

    @cached_property
    def scan(self) -> ScanVerdict:
        """The verdict of its newest scan."""
        with self.service.database.reading() as session:
            return scans.verdict(session, self.version.id)

    @cached_property
    def signatures(self) -> list[CheckedSignature]:
        """Its signatures, each checked now; none while it has no archive."""
        if self.version.status is not VersionStatus.READY:
            return []
        return signing.checked(
            self.service, signing.version_at(self.service, self.place, self.version.model_id, self.version.id)
        )

    @cached_property
    def card(self) -> ModelCard | None:
        """The newest card that a person wrote; None where nobody did."""
        with self.service.database.reading() as session:
            return cards.written(session, self.version.id)

    def approved(self, purpose: str, *, by_another: bool = False) -> bool:
        """Whether somebody approved it for a purpose, and nobody rejected it since; `by_another`: not its asker."""
        with self.service.database.reading() as session:
            return approvals.approved(session, self.version.id, purpose, by_another=by_another)

    def approved_there(self, *, by_another: bool = False) -> bool:
        """The same for promoting it to the target, decided by somebody with rights there."""
        if self.target is None:
            return False
        with self.service.database.reading() as session:
            purpose = f"{Purpose.PROMOTE.value}:{self.target.name}"
            return approvals.approved(session, self.version.id, purpose, self.target.id, by_another=by_another)

    def rejected_there(self) -> bool:
        """Whether the newest decision in the target is a rejection."""
        if self.target is None:
            return False
        with self.service.database.reading() as session:
            purpose = f"{Purpose.PROMOTE.value}:{self.target.name}"
            return approvals.rejected(session, self.version.id, purpose, self.target.id)

    def named_by(self, alias: str) -> VersionFacts | None:
        """The facts of the version that an alias of the same model names now."""
        place, model = self._compared
        number = None if model is None else model.aliases.get(alias)
        if model is None or number is None:
            return None
        try:
            found = versions.find_version(self.service, place, model, number)
        except Missing:  # deleted in this moment
            return None
        return VersionFacts(self.service, self._anybody, place, model, found)

    def file(self, path: str) -> bytes | None:
        """A small file of its archive; None if it does not exist."""
        if self.version.status is not VersionStatus.READY or file_paths.problem(path):
            return None
        archive = self.place.archive(self.service, self.version.model_id, self.version.id).below(FILES)
        there = bucket_files.files_there(archive, [path])
        if not there:
            return None
        if there[0].size > _MAX_FILE:
            raise WrongState(
                f"{path} of {self.version.model_name} v{self.version.version} is too large to be checked",
                action="Log the model again with a smaller one, and register that as a new version",
            )
        return bucket_files.read_whole(archive, path)
