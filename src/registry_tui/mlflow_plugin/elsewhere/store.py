"""MLflow's registry store for `registry-tui://HOST:PORT/PROJECT`: MLflow's own REST store, and the models' files."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities.model_registry import ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag
from mlflow.exceptions import MlflowException, RestException
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.rest_store import RestStore

from registry_tui.mlflow_plugin.elsewhere import calls, sources, turns, uploading
from registry_tui.mlflow_plugin.elsewhere.address import Address

#: MLflow's mark of a prompt, which has no files.
_PROMPT = "mlflow.prompt.is_prompt"


class RegistryStore(RestStore):  # type: ignore[misc]
    """Registered models of a platform, for a stock MLflow server or client. Methods raise MlflowException."""

    def __init__(self, store_uri: str, tracking_uri: str | None = None) -> None:
        self._address = calls.parsed(store_uri)
        if self._address.path:
            raise calls.invalid(f"{store_uri} names more than a project: registry-tui://HOST:PORT/PROJECT")
        super().__init__(lambda: calls.host_credentials(self._address))

    def create_registered_model(
        self, name: str, tags: Any = None, description: str | None = None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        """Makes a model. MLflow's server gives the tags as it read them, which the REST store does not take."""
        given = [RegisteredModelTag(tag.key, tag.value) for tag in tags or ()]
        return super().create_registered_model(name, given, description)

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Any = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Makes a version. The platform cannot read the store of a model elsewhere: its files are sent there first."""
        given = [ModelVersionTag(tag.key, tag.value) for tag in tags or ()]
        if _is_copy(source) or _is_prompt(given):
            return super().create_model_version(name, source, run_id or None, given, run_link, description)
        asked = time.time()
        # Before the files are sent: it may be missing, or not be this account's.
        self.get_registered_model(name)
        named = (name, source, run_id or None, given, run_link, description, local_model_path, model_id or None)
        if not sources.in_server():
            return self._send(*named)
        request = (str(self._address), *named[:3], [(tag.key, tag.value) for tag in given], *named[4:])
        with turns.turn(asked, *request) as turn:
            if turn.version is not None:
                # It may have been deleted meanwhile.
                with suppress(MlflowException):
                    return self.get_model_version(name, turn.version)
            made = self._send(*named)
            turn.made(str(made.version))
            return made

    def _send(
        self,
        name: str,
        source: str,
        run_id: str | None,
        given: list[ModelVersionTag],
        run_link: str | None,
        description: str | None,
        local_model_path: str | None,
        model_id: str | None,
    ) -> ModelVersion:
        """Sends the files of a model, and makes a version of them."""
        facts = {uploading.SOURCE_TAG: source, **({uploading.RUN_TAG: run_id} if run_id else {})}
        with tempfile.TemporaryDirectory(prefix="registry-tui-") as folder:
            if local_model_path:
                model = Path(local_model_path)
            else:
                model = sources.fetch(source, run_id, model_id, Path(folder))
            sent = uploading.upload(self._address, model, facts, name)
        tags = [*given, *(ModelVersionTag(key, value) for key, value in facts.items())]
        try:
            return super().create_model_version(name, sent.source, sent.run_id, tags, run_link, description)
        except MlflowException as error:
            refused = isinstance(error, RestException) and error.get_http_status_code() < 500
            with suppress(MlflowException):
                if refused:
                    uploading.withdraw(self._address, sent.run_id)
                # The platform may have made the version, or still make it, and needs the run and its files.
                elif found := self.search_model_versions(f"run_id = '{sent.run_id}'", max_results=1):
                    return found[0]
            raise

    def get_model_version_download_uri(self, name: str, version: str | int) -> str:
        """Where the files of a version are read, by MLflow wherever this package is installed."""
        found = str(super().get_model_version_download_uri(name, version))
        parts = urlsplit(found)
        if parts.scheme != "mlflow-artifacts":
            return found
        return str(Address(self._address.place, self._address.project, parts.path.strip("/")))

    def list_webhooks_by_event(
        self, event: Any, max_results: int | None = None, page_token: str | None = None
    ) -> PagedList[Any]:
        """None: a stock server requests those that it calls by itself, and the platform's are not its own."""
        return PagedList([], None)


def _is_copy(source: str) -> bool:
    """Whether a source names a version of this registry, and no logged model."""
    parts = urlsplit(source)
    return parts.scheme == "models" and not parts.netloc and "/" in parts.path.strip("/")


def _is_prompt(tags: Iterable[ModelVersionTag]) -> bool:
    return any(tag.key == _PROMPT and str(tag.value).lower() == "true" for tag in tags)
